import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import type * as AgentState from "../../../src/agent/AgentState.ts"
import * as Store from "../../../src/agent/Store.ts"
import * as Following from "../../../src/agent/xds/Following.ts"
import * as ApiError from "../../../src/consul/ApiError.ts"

describe("Following", () => {
  it.effect("asks again for a certificate that nobody could sign", () =>
    Effect.gen(function*() {
      let asked = 0
      const state = {
        store: Store.make(),
        services: { get: () => ({ Kind: "connect-proxy", Proxy: { DestinationServiceName: "web" } }) },
        leaves: {
          get: () =>
            Effect.suspend(() => {
              asked++
              return Effect.fail(new ApiError.InternalError({ body: "sealed" }))
            })
        }
      } as unknown as AgentState.AgentState
      yield* Effect.forkChild(
        Following.follow({ state, shared: {} as never, proxyId: "web-sidecar-proxy", told: () => {} }),
        { startImmediately: true }
      )
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked, 2)
    }).pipe(Effect.provide(Logger.layer([]))))
})
