import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import type { ServerResponse } from "node:http"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import { badAgent, json } from "../support/agents.ts"
import * as recordings from "../support/recordings.ts"

/** The roots of a real agent. */
const roots = recordings.load("ca").exchanges[0]!.body

const text = (response: ServerResponse, status: number, body: string) => {
  response.writeHead(status, { "content-type": "text/plain" })
  response.end(body)
}

/** What an agent may do in a bad night, after one good answer. */
const faults: ReadonlyArray<readonly [string, RegExp, (response: ServerResponse) => void]> = [
  ["answers with garbage", /not one of a Consul agent/, (response) => text(response, 200, "<html>")],
  ["answers with half of its JSON", /reached|no JSON/, (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "10000" })
    response.write("{\"ActiveRootID\":\"x", () => response.destroy())
  }],
  [
    "answers without a single root",
    /names no CA root/,
    (response) => json(response, { TrustDomain: "x", Roots: null }, 9)
  ],
  [
    "answers with a root that is none",
    /cannot read the CA root/,
    (response) =>
      json(response, { TrustDomain: "x", ActiveRootID: "a", Roots: [{ ID: "a", Name: "A", RootCert: "?" }] }, 9)
  ],
  ["answers without an index", /no index/, (response) => {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify(roots))
  }],
  ["answers 500", /No cluster leader/, (response) => text(response, 500, "No cluster leader")],
  ["answers 429", /limiting/, (response) => text(response, 429, "Too many requests")],
  ["answers 403", /does not know the token/, (response) => text(response, 403, "ACL not found")],
  ["hangs up", /cannot be reached/, (response) => response.destroy()],
  ["hangs", /no answer within/, () => {}]
]

const policy = {
  wait: "100 millis",
  grace: "100 millis",
  backoff: Schedule.spaced("10 millis"),
  burst: 100,
  interval: "1 millis"
} as const

const until = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(fact)))

describe("a watched value", () => {
  for (const [what, why, fault] of faults) {
    it.live(`stays as it was when the agent ${what}, and is current again afterwards`, () =>
      Effect.gen(function*() {
        let broken = false
        const agent = yield* badAgent((_, response, count) => {
          if (broken) fault(response)
          else json(response, roots, count)
        })
        const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address })
        const context = yield* Layer.build(
          Layer.provide(CaRoots.layer, Layer.succeed(ConsulClient.ConsulClient, consul))
        ).pipe(Effect.provideService(BlockingQuery.Policy, policy))
        const watched = yield* CaRoots.CaRoots.pipe(Effect.provideContext(context))
        const first = yield* watched.get
        broken = true
        // A slow machine may take longer for an answer than is waited for it.
        yield* until(() => watched.freshness().failures >= 2 && why.test(watched.freshness().lastError ?? ""))
        assert.strictEqual(watched.latest(), first)
        broken = false
        yield* until(() => watched.freshness().failures === 0)
        assert.strictEqual(watched.latest(), first)
      }))
  }
})
