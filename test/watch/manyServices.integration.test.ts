import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, type Schema } from "effect"
import type { ServerResponse } from "node:http"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as ServiceProtocol from "../../src/watch/ServiceProtocol.ts"
import { agentBehind, badAgent, json, refusing } from "../support/agents.ts"
import * as consul from "../support/consul.ts"
import * as recordings from "../support/recordings.ts"

/** What a Consul agent allows one address by default. */
const limit = 200

const names = Array.from({ length: 220 }, (_, i) => `service-${i}`)

/** An agent that holds every question until it has news, however short the wait it is asked for. */
const holding = Effect.gen(function*() {
  const agent = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  const front = yield* agentBehind(agent.port, (path) => path.replace(/([?&]wait=)[^&]*/, "$1600s"))
  return { agent, front, direct: yield* Layer.build(ConsulClient.layer({ address: agent.address })) }
})

const until = (what: string, fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(what, fact))).pipe(
    Effect.timeoutOrElse({ duration: "50 seconds", orElse: () => Effect.die(`not seen within 50 seconds: ${what}`) })
  )

const lines: Array<string> = []

describe("hundreds of services of one process", () => {
  it.live(
    "hear each change at once, though the agent holds every question until it has news",
    () =>
      Effect.gen(function*() {
        const { direct, front } = yield* holding
        const client = yield* Layer.build(ConsulClient.layer({ address: front.address }))
        const policies = yield* Effect.forEach(names, (destination) =>
          Effect.map(
            Layer.build(
              Layer.provide(Intentions.layer({ destination, protocol: "tcp", defaultPolicy: "deny" }), CaRoots.layer)
            ),
            (context) => Context.get(context, Intentions.Intentions)
          )).pipe(Effect.provideContext(client))
        const protocols = yield* Effect.forEach(names.slice(0, 60), ServiceProtocol.watch).pipe(
          Effect.provideContext(client)
        )
        yield* until(
          "everybody's policy and protocol",
          () => [...policies, ...protocols].every(({ latest }) => latest() !== undefined)
        )
        // The last ones to come: no connection is left that could be held for them.
        const leaves = yield* Effect.forEach(names.slice(-4), (service) =>
          Effect.map(
            Layer.build(LeafCertificate.layer({ service })),
            (context) => Context.get(context, LeafCertificate.LeafCertificate)
          )).pipe(Effect.provideContext(client), Effect.provideService(LeafCertificate.RotationSpread, 0))
        const first = yield* Effect.forEach(leaves, ({ get }) => get)

        yield* Effect.gen(function*() {
          for (const i of [0, 90, 150, 219]) {
            yield* put({ Kind: "service-intentions", Name: names[i]!, Sources: [{ Name: "web", Action: "deny" }] })
            yield* until(`the deny of ${names[i]}`, () => policies[i]!.latest()!.intentions.length === 1)
          }
          yield* put({ Kind: "service-intentions", Name: "*", Sources: [{ Name: "web", Action: "deny" }] })
          yield* until("a deny for everybody", () =>
            policies.every(({ latest }) =>
              latest()!.intentions.some(({ DestinationName }) => DestinationName === "*")
            ))
          for (const i of [0, 59]) {
            yield* put({ Kind: "service-defaults", Name: names[i]!, Protocol: "http" })
            yield* until(`the protocol of ${names[i]}`, () => protocols[i]!.latest() === "http")
          }
          yield* consul.rotateRoot
          yield* until("new leaves", () => leaves.every((leaf, i) => leaf.latest()!.chainPem !== first[i]!.chainPem))
          yield* until("a line about the root, and one about each leaf", () =>
            lines.filter((line) =>
                line.startsWith("the CA root that signs is now ")
              ).length === 1 &&
            lines.filter((line) => /^a new leaf certificate for service-\d+: serial [\da-f:]+, until /.test(line))
                .length === 4)
          assert.notInclude(lines.join(), "PRIVATE KEY")
        }).pipe(Effect.provideContext(direct))
        assert.isBelow(front.peak(), limit)
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) =>
        void lines.push(String(message))
      )]))),
    120_000
  )

  it.live("do not lose their policy to one among them that the token may not read", () =>
    Effect.gen(function*() {
      const denied = new Set(["service-7"])
      let index = 1
      const agent = yield* badAgent((request, response) => {
        const { pathname, searchParams } = new URL(request.url!, "http://agent")
        if (pathname !== "/v1/connect/intentions/match") return json(response, recordings.load("ca").exchanges[0]!.body)
        const asked = searchParams.getAll("name")
        const go = () =>
          asked.some((name) => denied.has(name))
            ? refusing(403, "Permission denied")(response)
            : answer(response, asked)
        if (searchParams.get("index") === String(index)) held.push(go)
        else go()
      })
      const held: Array<() => void> = []
      const answer = (response: ServerResponse, names: ReadonlyArray<string>) =>
        json(response, Object.fromEntries(names.map((name) => [name, [intention(name, index)]])), index)
      const context = yield* Layer.build(ConsulClient.layer({ address: agent.address }))
      const watch = (destination: string) =>
        Effect.map(
          Layer.build(
            Layer.provide(Intentions.layer({ destination, protocol: "tcp", defaultPolicy: "deny" }), CaRoots.layer)
          ),
          (built) => Context.get(built, Intentions.Intentions)
        )
      const policies = yield* Effect.forEach(names.slice(0, 10), watch).pipe(Effect.provideContext(context))
      const heard = (i: number) => policies[i]!.latest()?.intentions[0]?.Description
      const others = [0, 1, 2, 3, 4, 5, 6, 8, 9]
      const change = Effect.sync(() => {
        index++
        held.splice(0).forEach((go) => go())
      })
      yield* until("the first policies", () => others.every((i) => heard(i) === "1"))
      assert.strictEqual(heard(7), undefined)
      denied.clear()
      yield* until("the policy that may be read now", () => heard(7) === "1")
      yield* change
      yield* until("a change for everybody", () => policies.every((_, i) => heard(i) === "2"))
      denied.add("service-3")
      yield* change
      yield* until("a change for the others", () => policies.every((_, i) => i === 3 || heard(i) === "3"))
      assert.strictEqual(heard(3), "2")
    }))
})

const intention = (DestinationName: string, index: number) => ({
  ID: "",
  SourceName: "web",
  DestinationName,
  SourceType: "consul",
  Action: "deny",
  Precedence: 9,
  Description: String(index)
})

const put = (payload: Schema.JsonObject & { readonly Kind: string; readonly Name: string }) =>
  Effect.flatMap(
    ConsulClient.ConsulClient,
    ({ call }) => call("PUT /v1/config", (api) => api.config.write({ query: {}, payload }))
  )
