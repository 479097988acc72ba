/** A `MeshHttpServer` of `api` in a test, and what its clients need. */
import { Effect, Exit, Layer, Scope, SubscriptionRef } from "effect"
import { HttpRouter } from "effect/http"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import type * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as Certificates from "./certificates.ts"
import { material } from "./handshake.ts"
import * as Mesh from "./mesh.ts"

/** Who may do what with `api`, judged by request. */
export const policy = (...intentions: ReadonlyArray<Intention.Intention>): Authorizer.Authorizer =>
  Mesh.requestPolicy("api", ...intentions)

/** `web` may do everything. */
export const web = Intention.make("web", "api", "allow")

export const uriOf = (service: string) => SpiffeId.format(Certificates.service(service))

/** Whatever Effect serves, with nothing provided but the server's layer. */
export type App = Layer.Layer<never, never, Layer.Success<ReturnType<typeof MeshHttpServer.layer>>>

export const served = <A, R>(routes: Layer.Layer<A, never, R>) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })

/** An instance of `member`. */
export const startAs = Effect.fnUntraced(function*(
  member: Mesh.Member,
  app: App,
  options: Partial<MeshHttpServer.Options> = {}
) {
  yield* SubscriptionRef.set(member.intentions, policy(web))
  const server = MeshHttpServer.layer({ host: "127.0.0.1", port: 0, ...options }).pipe(Layer.provide(member.layer))
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(app.pipe(Layer.provideMerge(server)), scope)
  const mesh = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
  return { mesh, port: mesh.port, close: Scope.close(scope, Exit.void) }
})

/** Lets `web` in and nobody else. */
export const start = Effect.fnUntraced(function*(app: App, options?: Partial<MeshHttpServer.Options>) {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const api = yield* Mesh.member("api", authority)
  const running = yield* startAs(api, app, options)
  const materialOf = (service: string) =>
    Effect.map(
      Effect.promise(() => Certificates.issue(authority, { uris: [uriOf(service)] })),
      (issued) => Object.assign(material(issued, Certificates.bundle(authority)), { issued })
    )
  return { ...running, api, authority, materialOf, web: yield* materialOf("web") }
})
