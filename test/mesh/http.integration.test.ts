import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Mesh from "../../src/native/Mesh.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as agent from "../support/consul.ts"
import * as Http from "../support/http.ts"

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
})
