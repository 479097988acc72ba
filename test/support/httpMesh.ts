/** Services of the mesh that speak HTTP with each other through this package, without an agent. */
import { Effect, Layer } from "effect"
import { HttpClient, HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import * as MeshDispatcher from "../../src/outbound/http/MeshDispatcher.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import type * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as Certificates from "./certificates.ts"
import * as Mesh from "./mesh.ts"

export const authorityOf = Effect.promise(() => Certificates.root("root"))

/** An instance of `member` that says its name, and how often it was asked. */
export const instance = Effect.fnUntraced(function*(
  member: Mesh.Member,
  name: string,
  handle: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> = Effect
    .succeed(HttpServerResponse.text(name))
) {
  let asked = 0
  const context = yield* Layer.build(
    HttpRouter.serve(HttpRouter.add("*", "/*", Effect.suspend(() => (asked++, handle))), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: "0 millis" })),
      Layer.provide(member.layer)
    )
  )
  const { port, stats } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
  return { port, stats, asked: () => asked }
})

/** `web` with a client of its own. */
export const client = Effect.fnUntraced(function*(
  authority: Certificates.Authority,
  discovery: Effect.Success<ReturnType<typeof Mesh.discovery>>["layer"],
  options?: MeshHttpClient.Options
) {
  const web = yield* Mesh.member("web", authority)
  const context = yield* Layer.build(
    MeshHttpClient.layer(options).pipe(
      Layer.provide(Layer.mergeAll(web.layer, discovery))
    )
  )
  const http = yield* HttpClient.HttpClient.pipe(Effect.provideContext(context))
  const dispatcher = yield* MeshDispatcher.MeshDispatcher.pipe(Effect.provideContext(context))
  const get = (url: string) => Effect.flatMap(http.get(url), (response) => response.text)
  return { web, http, dispatcher, get }
})

/** The mesh's account of a failure. */
export const failureOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.flip(self), (error) => Effect.fromOption(MeshHttpClient.failure(error)))

export const apis = Effect.fnUntraced(function*(count: number, options?: MeshHttpClient.Options) {
  const authority = yield* authorityOf
  const api = yield* Mesh.member("api", authority)
  const instances = yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => `api-${i}`),
    (name) => instance(api, name)
  )
  const discovery = yield* Mesh.discovery({ "api.default": instances.map(({ port }) => Mesh.endpoint(port)) })
  return { authority, api, instances, discovery, ...(yield* client(authority, discovery.layer, options)) }
})

/** The `fetch` of Node itself, which has a version of undici that is not ours. */
export const fetchBy = (
  { undici }: MeshDispatcher.MeshDispatcher["Service"],
  url: string,
  init: RequestInit = {}
): Promise<Response> => fetch(url, { ...init, dispatcher: undici as PlainMesh.Dispatcher })
