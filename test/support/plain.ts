/** `api` and its callers in one mesh, as programs without Effect see it. */
import * as Http from "node:http"
import type * as Https from "node:https"
import { text } from "node:stream/consumers"
import { Effect, Layer, SubscriptionRef } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import type * as NodeServer from "../../src/native/plain/NodeServer.ts"
import * as Certificates from "./certificates.ts"
import { material } from "./handshake.ts"
import * as Mesh from "./mesh.ts"

/** `serve` tells callers where `api` is. Everything is closed with the test. */
export const pair = Effect.fnUntraced(function*() {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const discovery = yield* Mesh.discovery({ api: [] })
  const join = Effect.fnUntraced(function*(name: string) {
    const member = yield* Mesh.member(name, authority)
    const mesh = yield* Effect.acquireRelease(
      Effect.promise(() =>
        PlainMesh.make(MeshDialer.layer.pipe(Layer.provideMerge(Layer.mergeAll(member.layer, discovery.layer))))
      ),
      (mesh) => Effect.promise(mesh.close)
    )
    return { ...member, name, mesh }
  })
  const api = yield* join("api")
  const web = yield* join("web")
  const at = (port: number) => discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(port)])
  const serve = Effect.fnUntraced(
    function*(server: NodeServer.Server, options: Partial<PlainMesh.ListenOptions> = {}) {
      const listening = yield* Effect.promise(() =>
        api.mesh.listen(server, { host: "127.0.0.1", port: 0, drain: "1 second", ...options })
      )
      yield* at(listening.port)
      return listening
    }
  )
  const materialOf = (service: string) =>
    Effect.map(
      Effect.promise(() => Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service(service))] })),
      (issued) => Object.assign(material(issued, Certificates.bundle(authority)), { issued })
    )
  /** As Consul does: both roots are known for a while, then there are new leaves, then the old root is gone. */
  const rotate = Effect.fnUntraced(function*(between: Effect.Effect<unknown>) {
    const next = yield* Effect.promise(() => Certificates.root("next"))
    const members = [api, web]
    for (const { roots } of members) yield* SubscriptionRef.set(roots, Certificates.bundle(next, authority))
    yield* between
    for (const { leaf, name } of members) {
      yield* SubscriptionRef.set(leaf, yield* Effect.promise(() => Certificates.leafOf(next, name)))
      yield* between
    }
    for (const { roots } of members) yield* SubscriptionRef.set(roots, Certificates.bundle(next))
    yield* between
  })
  return { api: { ...api, authority }, web: { ...web, authority }, join, at, serve, materialOf, rotate }
})

/** Answers every request with who sent it. */
export const greeting = (mesh: PlainMesh.PlainMesh) => (request: Http.IncomingMessage, response: Http.ServerResponse) =>
  void response.end(`hello ${mesh.peerOf(request)?.service} ${request.url}`)

/** The text of an answer, or the message of what went wrong. */
export const get = (client: typeof Http | typeof Https, url: string, options: Https.RequestOptions) =>
  Effect.callback<string, string>((resume) => {
    client.get(url, options, (response) => {
      text(response).then((body) => resume(Effect.succeed(body)), (error) => resume(Effect.fail(String(error))))
    }).on("error", (error) => resume(Effect.fail(error.message)))
  })
