import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as MeshDefaults from "../../src/watch/MeshDefaults.ts"
import * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import type * as Watched from "../../src/watch/Watched.ts"
import * as agent from "../support/consul.ts"

const until = <A>(watched: Watched.Watched<A>, fact: (value: A) => boolean) =>
  agent.eventually(Effect.suspend(() => {
    const value = watched.latest()
    return value !== undefined && fact(value) ? Effect.succeed(value) : Effect.fail(value)
  }))

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("the settings of a sidecar", (it) => {
  it.effect("are those of config entries, from the moment they are written", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const upstreams = [{ DestinationName: api, LocalBindPort: 9191 }]
      yield* agent.register({ name: web, port: 9090, sidecar: { port: 21_000, upstreams } })
      const watched = Context.get(
        yield* Layer.build(ProxyRegistration.layer({ proxyId: `${web}-sidecar-proxy` })),
        ProxyRegistration.ProxyRegistration
      )
      assert.strictEqual((yield* watched.get).requests.timeoutMillis, 15_000)
      yield* agent.entry({
        Kind: "service-defaults",
        Name: web,
        Protocol: "http",
        LocalRequestTimeoutMs: 400,
        Expose: { Paths: [{ Path: "/health", ListenerPort: 24_450, LocalPathPort: 9091 }] },
        UpstreamConfig: {
          Defaults: {
            PassiveHealthCheck: { Interval: "2s", EnforcingConsecutive5xx: 0 },
            Limits: { MaxPendingRequests: 0 }
          }
        }
      })
      const { exposed, ignored, protocol, upstreams: [upstream] } = yield* until(
        watched,
        ({ requests }) => requests.timeoutMillis === 400
      )
      assert.strictEqual(protocol, "http")
      assert.deepStrictEqual(exposed.map(({ application, path }) => ({ application, path })), [
        { application: { host: "127.0.0.1", port: 9091 }, path: "/health" }
      ])
      assert.deepStrictEqual(upstream?.limits, {
        maxConnections: undefined,
        maxPendingRequests: 0,
        maxConcurrentRequests: undefined
      })
      assert.deepStrictEqual(upstream?.passiveHealthCheck, { intervalMillis: 2000, enforcing: 0 })
      assert.deepStrictEqual(ignored, [])
    }))

  it.effect("of the whole mesh come and go with its entry", () =>
    Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const watched = Context.get(yield* Layer.build(MeshDefaults.layer), MeshDefaults.MeshDefaults)
      yield* until(watched, ({ sanitizeForwardedClientCert }) => !sanitizeForwardedClientCert)
      const payload = {
        Kind: "mesh",
        // Not all agents that are asked here know RequestNormalization.
        HTTP: { SanitizeXForwardedClientCert: true },
        TLS: { Incoming: { TLSMinVersion: "TLSv1_3" } }
      }
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.acquireRelease(
          consul.call("write", (api) => api.config.write({ query: {}, payload })),
          () =>
            consul.call("delete", (api) => api.config.delete({ params: { kind: "mesh", name: "mesh" }, query: {} }))
              .pipe(Effect.ignore)
        )
        yield* until(
          watched,
          ({ sanitizeForwardedClientCert }) => sanitizeForwardedClientCert
        )
      }))
      yield* until(watched, (defaults) => defaults === MeshDefaults.defaults)
    }))
})
