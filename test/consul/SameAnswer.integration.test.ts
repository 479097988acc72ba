import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schedule, Stream } from "effect"
import * as ApiWatch from "../../src/consul/ApiWatch.ts"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import { badAgent, json, refusing } from "../support/agents.ts"

type Answer = readonly [body: ReadonlyArray<object>, index: number] | "fails"

/** What is heard of an agent that answers these, and what of it is decoded. */
const watch = Effect.fnUntraced(function*(
  answers: ReadonlyArray<Answer>,
  decode: (text: string, times: number) => Result.Result<string, string> = Result.succeed
) {
  const decoded: Array<string> = []
  const agent = yield* badAgent((_, response, count) => {
    const answer = answers[count - 1]
    if (answer === undefined) return
    if (answer === "fails") return refusing(500, "no leader")(response)
    json(response, answer[0], answer[1])
  })
  const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address })
  const heard = yield* ApiWatch.byIndex(consul, {
    name: "GET /v1/config/mesh",
    sharing: "vital",
    request: (api, blocking) => api.config.list({ params: { kind: "mesh" }, query: blocking }),
    decode: (entries) => {
      const text = JSON.stringify(entries)
      decoded.push(text)
      return decode(text, decoded.length)
    }
  }).pipe(
    Stream.take(answers.length),
    Stream.runCollect,
    Effect.provideService(BlockingQuery.Policy, {
      ...(yield* BlockingQuery.Policy),
      backoff: Schedule.spaced("1 millis")
    })
  )
  return { decoded, heard: heard.map((seen) => seen._tag === "Answer" ? seen.value : seen.error.reason._tag) }
})

const one = [{ Kind: "mesh", Name: "mesh", Meta: { version: "1" } }]
const two = [{ Kind: "mesh", Name: "mesh", Meta: { version: "2" } }]
const [first, second] = [JSON.stringify(one), JSON.stringify(two)]

describe("an answer that is repeated", () => {
  it.live("is heard of, and not decoded again", () =>
    Effect.gen(function*() {
      const { decoded, heard } = yield* watch([[one, 7], [one, 7], [two, 8], [two, 8], [one, 9]])
      assert.deepStrictEqual(heard, [first, first, second, second, first])
      assert.deepStrictEqual(decoded, [first, second, first])
    }))

  it.live("is another one where its index is", () =>
    Effect.gen(function*() {
      const { decoded } = yield* watch([[one, 7], [one, 8]])
      assert.deepStrictEqual(decoded, [first, first])
    }))

  it.live("is decoded anew after a failure", () =>
    Effect.gen(function*() {
      const { decoded, heard } = yield* watch([[one, 7], "fails", [one, 7]])
      assert.deepStrictEqual(heard, [first, "ServerError", first])
      assert.deepStrictEqual(decoded, [first, first])
    }))

  it.live("goes on being a failure where it could not be decoded", () =>
    Effect.gen(function*() {
      const { heard } = yield* watch(
        [[one, 7], [two, 8], [two, 8], [two, 8]],
        (text, times) => times === 1 || times === 4 ? Result.succeed(text) : Result.fail("not yet")
      )
      assert.deepStrictEqual(heard, [first, "Undecodable", "Undecodable", second])
    }))
})
