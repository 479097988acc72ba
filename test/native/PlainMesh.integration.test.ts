import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { text } from "node:stream/consumers"
import * as Undici from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, SubscriptionRef } from "effect"
import * as MeshDialer from "../../src/native/MeshDialer.ts"
import * as PlainMesh from "../../src/native/PlainMesh.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"

/** `api` and `web` in one mesh, as plain programs see it. `serve` tells where `api` is. */
const pair = Effect.fnUntraced(function*() {
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
    return { ...member, mesh }
  })
  const api = yield* join("api")
  const web = yield* join("web")
  const serve = Effect.fnUntraced(function*(server: Net.Server, options: Partial<PlainMesh.ListenOptions> = {}) {
    const listening = yield* Effect.promise(() => api.mesh.listen(server, { host: "127.0.0.1", port: 0, ...options }))
    yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(listening.port)])
    return listening
  })
  return { authority, api, web, serve }
})

const greeting = (mesh: PlainMesh.PlainMesh) =>
  Http.createServer((request, response) => response.end(`hello ${mesh.peerOf(request.socket)?.service}`))

const get = (client: typeof Http | typeof Https, url: string, agent: Http.Agent) =>
  Effect.callback<string, string>((resume) => {
    client.get(url, { agent }, (response) => {
      text(response).then((body) => resume(Effect.succeed(body)), (error) => resume(Effect.fail(String(error))))
    }).on("error", (error) => resume(Effect.fail(error.message)))
  })

describe("PlainMesh", () => {
  it.live("serves node:http, and calls it through agents and dispatcher", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(greeting(api.mesh))
      const { agent, dispatcher, httpAgent } = web.mesh
      assert.strictEqual(yield* get(Https, "https://api.service.consul/", agent), "hello web")
      assert.strictEqual(yield* get(Http, "http://api/", httpAgent), "hello web")
      const answer = yield* Effect.promise(() => Undici.request("http://api/", { dispatcher }))
      assert.strictEqual(yield* Effect.promise(() => answer.body.text()), "hello web")
      const fetched = yield* Effect.promise(() => Undici.fetch("http://api/", { dispatcher }))
      assert.strictEqual(yield* Effect.promise(() => fetched.text()), "hello web")
    }))

  it.live("carries any protocol over connect, and knows both sides", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(Net.createServer((socket) => socket.end(`you are ${api.mesh.peerOf(socket)?.service}`)))
      const socket = yield* Effect.promise(() => web.mesh.connect("api"))
      assert.strictEqual(web.mesh.peerOf(socket)?.service, "api")
      assert.strictEqual(yield* Effect.promise(() => text(socket)), "you are web")
    }))

  it.live("cuts connections that policy forbids, and lets no new ones in", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(Net.createServer((socket) => socket.on("error", () => {}).write("hello")))
      const socket = yield* Effect.promise(() => web.mesh.connect("api"))
      const closed = Effect.callback<void>((resume) => {
        socket.on("error", () => {}).on("data", () => {}).once("close", () => resume(Effect.void))
      })
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      yield* closed
      const refused = yield* Effect.exit(get(Https, "https://api/", web.mesh.agent))
      assert.strictEqual(refused._tag, "Failure")
    }))

  it.live("follows rotation, with connections kept", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(greeting(api.mesh))
      assert.strictEqual(yield* get(Https, "https://api/", web.mesh.agent), "hello web")
      const next = yield* Effect.promise(() => Certificates.root("next"))
      for (const [member, name] of [[api, "api"], [web, "web"]] as const) {
        yield* SubscriptionRef.set(member.roots, Certificates.bundle(next))
        yield* SubscriptionRef.set(member.leaf, yield* Effect.promise(() => Certificates.leafOf(next, name)))
      }
      assert.strictEqual(yield* get(Https, "https://api/", web.mesh.agent), "hello web")
      assert.strictEqual(yield* get(Http, "http://api/", web.mesh.httpAgent), "hello web")
    }))

  it.live("connects with its options only to who was meant", () =>
    Effect.gen(function*() {
      const { serve, web } = yield* pair()
      const { port } = yield* serve(Net.createServer((socket) => socket.on("error", () => {})))
      const outcome = (name: string) =>
        Effect.callback<string>((resume) => {
          const socket = Tls.connect({ host: "127.0.0.1", port, ...web.mesh.tlsOptions(name) })
          socket.once("secureConnect", () => resume(Effect.succeed("connected")))
          socket.on("error", (error) => resume(Effect.succeed(error.name)))
          return Effect.sync(() => socket.destroy())
        })
      assert.deepStrictEqual([yield* outcome("api"), yield* outcome("other")], ["connected", "UnexpectedIdentity"])
    }))

  it.live("says what is wrong, and ends with nothing left open", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      const connect = (name: string) =>
        Effect.flip(Effect.tryPromise({ try: () => web.mesh.connect(name), catch: (error) => String(error) }))
      assert.include(yield* connect("api.example.com"), "can not be called")
      assert.include(yield* connect("api"), "no instance with a sidecar or a native integration is registered")
      yield* serve(greeting(api.mesh))
      const socket = yield* Effect.promise(() => web.mesh.connect("api"))
      yield* Effect.promise(web.mesh.close)
      assert.isTrue(socket.destroyed)
      yield* Effect.promise(api.mesh.close)
    }))
})
