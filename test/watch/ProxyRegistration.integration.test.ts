import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestConsole } from "effect/testing"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Sockets from "../support/sockets.ts"

describe("ProxyRegistration", () => {
  it.live("says that its registration is gone, goes on with the last one, and says when it is back", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const consul = yield* Layer.build(ConsulClient.layer({ address: agent.address }))
      const client = Context.get(consul, ConsulClient.ConsulClient)
      const register = client.call(
        "register",
        (api) =>
          api.agent.registerService({ query: {}, payload: { Name: "web", Port: 1, Connect: { SidecarService: {} } } })
      )
      yield* register
      const layer = ProxyRegistration.layer({ proxyId: "web-sidecar-proxy" })
      const context = yield* Layer.build(layer).pipe(Effect.provideContext(consul))
      const watched = Context.get(context, ProxyRegistration.ProxyRegistration)
      const registration = (yield* Watched.ready(watched))()
      yield* client.call("deregister", (api) => api.agent.deregisterService({ params: { id: "web" }, query: {} }))
      yield* Sockets.eventually(() => watched.freshness().failures > 0)
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, "WARN")
      assert.include(lines, "the agent has no such registration, or the token may not read it (service:read)")
      assert.deepStrictEqual(watched.latest(), registration)
      yield* register
      yield* Sockets.eventually(() => watched.freshness().failures === 0)
      assert.include(JSON.stringify(yield* TestConsole.logLines), "the proxy registration: current again after")
    }).pipe(Effect.provide(TestConsole.layer)))
})
