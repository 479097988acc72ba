/** Questions to an agent over HTTP, without the connections that they are about. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Authorization from "../../src/inbound/Authorization.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as AskedAgent from "../support/askedAgent.ts"
import * as Certificates from "../support/certificates.ts"
import * as Sockets from "../support/sockets.ts"

const start = Effect.fnUntraced(function*(options: Partial<Authorization.Options> = {}) {
  const agent = yield* AskedAgent.make()
  const context = yield* Layer.build(
    Authorization.layerAsked({ service: "api", ...options }).pipe(
      Layer.provide(ConsulClient.layer({ address: agent.address }))
    )
  )
  const asked = yield* Effect.provideContext(Authorization.Authorization, context)
  if (asked === undefined) return assert.fail("nobody is asked")
  const ask = (withinMillis = 10_000) =>
    asked.ask({ caller: Certificates.service("web"), serial: "01:02" }, withinMillis)
  return { agent, ask }
})

describe("an agent that is asked", () => {
  it.live("hears few questions at a time, however many there are", () =>
    Effect.gen(function*() {
      const { agent, ask } = yield* start()
      const asking = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 40 }), () => ask(), { concurrency: "unbounded" })
      )
      yield* Sockets.eventually(() => agent.held().length === 8)
      agent.answer((question) => void setImmediate(() => AskedAgent.allow(question)))
      const decisions = yield* Fiber.join(asking)
      assert.isTrue(decisions.every(({ allowed }) => allowed))
      assert.deepStrictEqual([agent.most(), agent.questions.length], [8, 40])
    }))

  it.live("refuses a caller that it will not be asked about, in its own words", () =>
    Effect.gen(function*() {
      const { agent, ask } = yield* start()
      agent.answer(AskedAgent.fail(400, "Mismatched partitions"))
      assert.strictEqual(Decision.explain(yield* ask()), "denied by the agent: Mismatched partitions")
    }))

  it.effect.each(
    [
      ["by its own time for an answer", { timeout: "50 millis" } as const, 10_000],
      ["by the time that the connection has left", {}, 50]
    ] as const
  )("is given up, and hung up on, %s", ([, options, withinMillis]) =>
    Effect.gen(function*() {
      const { agent, ask } = yield* start(options)
      const asking = yield* Effect.forkChild(Effect.flip(ask(withinMillis)))
      yield* TestClock.withLive(Sockets.eventually(() => agent.held().length === 1))
      yield* TestClock.adjust("49 millis")
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(asking)
      assert.strictEqual(error._tag, "AuthorizationUnavailable")
      assert.strictEqual(error.caller, "web")
      assert.strictEqual(agent.questions.length, 1)
      yield* TestClock.withLive(Sockets.eventually(() => agent.held().length === 0))
    }))
})
