import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as agent from "../support/consul.ts"
import * as Http from "../support/http.ts"
import * as Tokens from "../support/tokens.ts"

const routes = HttpRouter.serve(
  HttpRouter.add(
    "GET",
    "/*",
    Effect.map(PeerIdentity.PeerIdentity, ({ tokens }) => HttpServerResponse.text(JSON.stringify([...tokens])))
  ),
  { disableLogger: true, disableListenLog: true }
)

/** `api` in the mesh, and who calls it. */
const start = Effect.fnUntraced(function*(web: string, api: string) {
  yield* agent.entry({ Kind: "service-defaults", Name: api, Protocol: "http" })
  const context = yield* Layer.build(
    routes.pipe(
      Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0 })),
      Layer.provide(Mesh.layer({ service: api }))
    )
  )
  const { port } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
  const contexts = yield* Effect.flatMap(
    Layer.build(Mesh.layer({ service: web })),
    (context) => Effect.provideContext(SecureContexts.SecureContexts, context)
  )
  return yield* Http.http2(port, contexts.current())
})

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("tokens of requests", (it) => {
  it.effect("are verified as the jwt-provider says that an intention and its permissions name", () =>
    Effect.gen(function*() {
      const [web, api, okta] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("okta")]
      const pair = yield* Tokens.keyPair("a")
      yield* agent.entry(Tokens.entry([pair.jwk], { Name: okta, Audiences: ["shop"] }))
      const ask = yield* start(web, api)
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        JWT: { Providers: [{ Name: okta }] },
        Sources: [{
          Name: web,
          Permissions: [
            {
              Action: "allow",
              HTTP: { PathPrefix: "/admin" },
              JWT: { Providers: [{ Name: okta, VerifyClaims: [{ Path: ["roles", "shop"], Value: "admin" }] }] }
            },
            { Action: "allow", HTTP: { PathPrefix: "/" } }
          ]
        }]
      })
      const request = (path: string, claims?: Parameters<typeof pair.sign>[0]) =>
        Effect.gen(function*() {
          const headers = claims === undefined ? {} : { authorization: `Bearer ${yield* pair.sign(claims)}` }
          return yield* ask({ path, headers })
        })
      const user = { aud: "shop", sub: "alice" }
      // The intention gets around in a moment; until then the default policy decides, whatever that is.
      yield* agent.eventually(Effect.filterOrFail(request("/"), ({ status }) => status === 403, ({ body }) => body))
      const { body } = yield* agent.eventually(
        Effect.filterOrFail(request("/", user), ({ status }) => status === 200, ({ body }) => body)
      )
      assert.strictEqual(body, JSON.stringify([[okta, { iss: Tokens.issuer, ...user }]]))
      assert.strictEqual((yield* request("/")).status, 403)
      assert.strictEqual((yield* request("/", { aud: "other" })).status, 403)
      assert.strictEqual((yield* request("/admin", user)).status, 403)
      assert.strictEqual((yield* request("/admin", { ...user, roles: { shop: "admin" } })).status, 200)
    }))

  it.effect("are verified by the keys that are in force, also after the entry has changed", () =>
    Effect.gen(function*() {
      const [web, api, okta] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("okta")]
      const [first, second] = [yield* Tokens.keyPair("1"), yield* Tokens.keyPair("2")]
      yield* agent.entry(Tokens.entry([first.jwk], { Name: okta }))
      yield* agent.entry({ Kind: "service-defaults", Name: api, Protocol: "http" })
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        JWT: { Providers: [{ Name: okta }] },
        Sources: [{ Name: web, Action: "allow" }]
      })
      const ask = yield* start(web, api)
      const statusOf = (pair: Tokens.KeyPair) =>
        Effect.flatMap(
          pair.sign(),
          (token) => Effect.map(ask({ headers: { authorization: `Bearer ${token}` } }), ({ status }) => status)
        )
      assert.deepStrictEqual([yield* statusOf(first), yield* statusOf(second)], [200, 403])
      yield* agent.entry(Tokens.entry([second.jwk], { Name: okta }))
      yield* agent.eventually(Effect.filterOrFail(statusOf(second), (status) => status === 200))
      assert.strictEqual(yield* statusOf(first), 403)
    }))
})
