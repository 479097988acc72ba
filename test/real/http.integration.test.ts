import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServerResponse } from "effect/http"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as agent from "../support/consul.ts"
import * as Http from "../support/http.ts"
import { failureOf } from "../support/httpMesh.ts"

const routes = HttpRouter.serve(
  HttpRouter.add(
    "GET",
    "/*",
    Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => HttpServerResponse.text(`hello ${caller.service}`))
  ),
  { disableLogger: true, disableListenLog: true }
)

/** Serves as `service`, registered as one that speaks HTTP. */
const serve = Effect.fnUntraced(function*(service: string) {
  yield* agent.entry({ Kind: "service-defaults", Name: service, Protocol: "http" })
  const context = yield* Layer.build(
    routes.pipe(
      Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0 })),
      Layer.provide(Mesh.layer({ service }))
    )
  )
  const { port } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
  yield* agent.register({ name: service, port, native: true })
  return port
})

const materialOf = (service: string) =>
  Effect.map(Layer.build(Mesh.layer({ service })), (context) => context).pipe(
    Effect.flatMap((context) => Effect.provideContext(SecureContexts.SecureContexts, context)),
    Effect.map((contexts) => contexts.current())
  )

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("HTTP between native services", (it) => {
  it.effect("judges each request by the permissions of the intention", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const port = yield* serve(api)
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        Sources: [{
          Name: web,
          Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/public", Methods: ["GET"] } }]
        }]
      })
      const ask = yield* Http.http2(port, yield* materialOf(web))
      const allowed = yield* agent.eventually(
        Effect.filterOrFail(ask({ path: "/public/a" }), ({ status }) => status === 200, ({ body }) => body)
      )
      assert.strictEqual(allowed.body, `hello ${web}`)
      assert.strictEqual((yield* ask({ path: "/private" })).status, 403)
    }))

  it.effect("follows routes and splits as they are written", () =>
    Effect.gen(function*() {
      const [web, api, next] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("next")]
      yield* serve(api)
      yield* serve(next)
      const all = { Name: web, Action: "allow" }
      yield* agent.entry({ Kind: "service-intentions", Name: api, Sources: [all] })
      yield* agent.entry({ Kind: "service-intentions", Name: next, Sources: [all] })
      const context = yield* Layer.build(MeshHttpClient.layer().pipe(Layer.provide(Mesh.layer({ service: web }))))
      const http = yield* HttpClient.HttpClient.pipe(Effect.provideContext(context))
      const servedBy = (url: string) =>
        Effect.filterOrFail(http.get(url), ({ status }) => status === 200, ({ status }) => status).pipe(
          Effect.map(({ headers }) => headers["x-served-by"])
        )
      const settled = (url: string, by: string | undefined) =>
        agent.eventually(Effect.filterOrFail(servedBy(url), (found) => found === by, (found) => found))

      yield* settled(`http://${api}/`, undefined)
      yield* agent.entry({
        Kind: "service-router",
        Name: api,
        Routes: [{
          Match: { HTTP: { PathPrefix: "/next" } },
          Destination: { Service: next, ResponseHeaders: { Set: { "x-served-by": next } } }
        }]
      })
      yield* settled(`http://${api}/next`, next)
      yield* settled(`http://${api}/`, undefined)

      yield* agent.entry({
        Kind: "service-splitter",
        Name: api,
        Splits: [
          { Weight: 0 },
          { Weight: 100, Service: next, ResponseHeaders: { Set: { "x-served-by": "split" } } }
        ]
      })
      yield* settled(`http://${api}/`, "split")
      assert.strictEqual(yield* servedBy(`http://${api}/next`), next)
    }))

  it.effect("reaches a service by its name, through a resolver that redirects and hashes", () =>
    Effect.gen(function*() {
      const [web, api, old] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("old")]
      yield* serve(api)
      yield* agent.entry({ Kind: "service-defaults", Name: old, Protocol: "http" })
      yield* agent.entry({ Kind: "service-resolver", Name: old, Redirect: { Service: api } })
      yield* agent.entry({
        Kind: "service-resolver",
        Name: api,
        LoadBalancer: {
          Policy: "ring_hash",
          HashPolicies: [{ Field: "header", FieldValue: "x-user" }]
        }
      })
      yield* agent.allow(api, web)
      const context = yield* Layer.build(MeshHttpClient.layer().pipe(Layer.provideMerge(Mesh.layer({ service: web }))))
      const client = yield* HttpClient.HttpClient.pipe(Effect.provideContext(context))
      const chains = yield* DiscoveryChains.DiscoveryChains.pipe(Effect.provideContext(context))
      for (const name of [api, old]) {
        const answer = yield* agent.eventually(
          client.get(`http://${name}.service.consul/`).pipe(Effect.flatMap(HttpClientResponse.filterStatusOk))
        )
        assert.strictEqual(yield* answer.text, `hello ${web}`)
      }
      const route = yield* Effect.flatMap(chains.watch({ service: api }), ({ get }) => get)
      assert.deepStrictEqual(route.balancing, {
        policy: { _tag: "ring-hash", minimumSize: 1024, maximumSize: 8192 },
        hashBy: [{ field: "header", name: "x-user", terminal: false }]
      })
    }))

  it.effect("says at once of a service without instances what is missing, and of one without healthy ones", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const context = yield* Layer.build(MeshHttpClient.layer().pipe(Layer.provideMerge(Mesh.layer({ service: web }))))
      const client = yield* HttpClient.HttpClient.pipe(Effect.provideContext(context))
      const unknown = yield* failureOf(client.get(`http://${api}.service.consul/`))
      assert.match(
        unknown.message,
        /no instance with a sidecar or a native integration is registered under this name\. /
      )
      yield* agent.allow(api, web)
      yield* serve(api)
      yield* agent.eventually(client.get(`http://${api}.service.consul/`))
      const consul = yield* ConsulClient.ConsulClient
      yield* consul.call(
        "maintenance",
        ({ agent }) => agent.serviceMaintenance({ params: { id: api }, query: { enable: true, reason: "a test" } })
      )
      const unhealthy = yield* agent.eventually(failureOf(client.get(`http://${api}.service.consul/`)))
      assert.match(unhealthy.message, /its only instance is not healthy.*\. Look at the checks/)
    }))
})
