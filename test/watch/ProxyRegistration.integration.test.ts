import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as consul from "../support/consul.ts"
import * as scrape from "../support/scrape.ts"

describe("a proxy registration", () => {
  it.live("that is deleted stays in force, with a line in the log, and another once it is back", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) =>
        void lines.push(`${logLevel} ${String(message)}`)
      )
      yield* Effect.gen(function*() {
        const name = consul.fresh("web")
        const service = { name, port: 8080, sidecar: { port: 21001 } }
        yield* consul.register(service)
        const watched = Context.get(
          yield* Layer.build(ProxyRegistration.layer({ proxyId: `${name}-sidecar-proxy` })),
          ProxyRegistration.ProxyRegistration
        )
        const before = yield* watched.get
        const { call } = yield* ConsulClient.ConsulClient
        yield* call("deregister", (api) => api.agent.deregisterService({ params: { id: name }, query: {} }))
        yield* consul.eventually(
          Effect.suspend(() =>
            lines.some((line) =>
                /^Warn the proxy registration: .*not found.* The last value stays in force$/.test(line)
              )
              ? Effect.void
              : Effect.fail(lines)
          )
        )
        assert.strictEqual(watched.latest(), before)
        yield* consul.put(service)
        yield* consul.eventually(
          Effect.suspend(() =>
            lines.some((line) => line.startsWith("Info the proxy registration: current again after"))
              ? Effect.void
              : Effect.fail(lines)
          )
        )
      }).pipe(Effect.provide(Layer.mergeAll(consul.layer, Logger.layer([logger]))))
    }).pipe(scrape.fresh))
})
