import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as Tls from "node:tls"
import * as Undici from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, SubscriptionRef } from "effect"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import * as PlainMesh from "../../../src/native/plain/PlainMesh.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Mesh from "../../support/mesh.ts"
import { get, greeting, pair } from "../../support/plain.ts"
import { eventually, server } from "../../support/sockets.ts"

/** Answers the first bytes of a connection with them and the caller's name. */
const echo = (peerOf: (socket: Net.Socket) => { readonly service: string } | undefined) =>
  Net.createServer((socket) => {
    socket.on("error", () => {}).once("data", (chunk) => socket.end(`${peerOf(socket)?.service}: ${chunk.toString()}`))
  })

const failure = <A>(promise: () => Promise<A>) =>
  Effect.flip(Effect.tryPromise({ try: promise, catch: (error) => String(error) }))

describe("PlainMesh", () => {
  it.live("carries any protocol over connect, and knows both sides", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(echo(api.mesh.peerOf))
      const socket = yield* Effect.promise(() => web.mesh.connect("api"))
      assert.instanceOf(socket, Tls.TLSSocket)
      assert.strictEqual(web.mesh.peerOf(socket)?.service, "api")
      socket.write("hi")
      assert.strictEqual(yield* Effect.promise(() => text(socket)), "web: hi")
    }))

  it.live("gives a socket at once, and connects it in the meantime", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(echo(api.mesh.peerOf))
      const stream = web.mesh.stream("api").setNoDelay(true).connect()
      const connected = Effect.callback<void>((resume) => void stream.once("connect", () => resume(Effect.void)))
      stream.write("early")
      const answer = text(stream)
      yield* connected
      assert.strictEqual(yield* Effect.promise(() => answer), "web: early")
      yield* eventually(() => stream.closed)
    }))

  it.live("passes much through a socket that was given at once, and nothing gets lost at its end", () =>
    Effect.gen(function*() {
      const { serve, web } = yield* pair()
      yield* serve(Net.createServer((socket) => socket.on("error", () => {}).end(Buffer.alloc(3_000_000, "x"))))
      const stream = web.mesh.stream("api")
      yield* Effect.callback<void>((resume) => void stream.once("connect", () => resume(Effect.void)))
      assert.strictEqual((yield* Effect.promise(() => text(stream))).length, 3_000_000)
    }))

  it.live("fails a socket that was given at once as sockets fail, and leaves none behind that nobody wants", () =>
    Effect.gen(function*() {
      const { serve, web } = yield* pair()
      const message = yield* Effect.callback<string>((resume) =>
        void web.mesh.stream("api").on("error", (error) => resume(Effect.succeed(error.message)))
      )
      assert.include(message, "no instance with a sidecar or a native integration is registered")
      let open = 0
      yield* serve(Net.createServer((socket) => {
        open++
        socket.on("error", () => {}).on("close", () => open--).resume()
      }))
      const stream = web.mesh.stream("api")
      stream.destroy()
      yield* eventually(() => stream.closed && open === 0)
    }))

  it.live("forwards a local port for drivers that take nothing else", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(echo(api.mesh.peerOf))
      const { close, port } = yield* Effect.promise(() => web.mesh.forward({ service: "api" }))
      const socket = Net.connect({ host: "127.0.0.1", port })
      socket.write("plain")
      assert.strictEqual(yield* Effect.promise(() => text(socket)), "web: plain")
      yield* Effect.promise(close)
      const refused = Net.connect({ host: "127.0.0.1", port })
      const code = yield* Effect.callback<string>((resume) =>
        void refused.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "")))
      )
      assert.strictEqual(code, "ECONNREFUSED")
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
      const refused = yield* Effect.exit(get(Https, "https://api/", { agent: web.mesh.agent }))
      assert.strictEqual(refused._tag, "Failure")
    }))

  it.live("serves clients of every kind through the rotation of leaf and root", () =>
    Effect.gen(function*() {
      const { api, rotate, serve, web } = yield* pair()
      const { port } = yield* serve(Http.createServer(greeting(api.mesh)))
      const { mesh } = web
      const url = `https://127.0.0.1:${port}/`
      const options = mesh.tlsOptions("api")
      const kept = new Https.Agent({ ...options, keepAlive: true })
      const fresh = new Https.Agent({ ...options, keepAlive: false })
      const pool = new Undici.Agent({ connect: options })
      const single = new Undici.Agent({ connect: options, pipelining: 0 })
      const fetched = (answer: Promise<{ readonly text: () => Promise<string> }>) => answer.then((it) => it.text())
      const requested = (answer: ReturnType<typeof Undici.request>) => answer.then(({ body }) => body.text())
      const overTls = () =>
        new Promise<string>((resolve, reject) => {
          const socket = Tls.connect({ host: "127.0.0.1", port, ...options })
          socket.on("error", reject).write("GET / HTTP/1.0\r\n\r\n")
          text(socket).then((all) => resolve(all.slice(all.indexOf("\r\n\r\n") + 4)), reject)
        })
      const all = Effect.forEach(
        [
          get(Https, "https://api.service.consul/", { agent: mesh.agent }),
          get(Http, "http://api/", { agent: mesh.httpAgent }),
          get(Https, url, { agent: kept }),
          get(Https, url, { agent: fresh }),
          Effect.promise(() => requested(Undici.request("http://api/", { dispatcher: mesh.dispatcher }))),
          Effect.promise(() => fetched(Undici.fetch("http://api/", { dispatcher: mesh.dispatcher }))),
          Effect.promise(() => fetched(fetch("http://api.service.consul/", { dispatcher: mesh.dispatcher }))),
          Effect.promise(() => fetched(mesh.fetch("http://api.service.consul/"))),
          Effect.promise(() => requested(Undici.request(url, { dispatcher: pool }))),
          Effect.promise(() => requested(Undici.request(url, { dispatcher: single }))),
          Effect.promise(overTls)
        ],
        (answer) => Effect.map(answer, (body) => assert.strictEqual(body, "hello web /")),
        { concurrency: "unbounded", discard: true }
      )
      yield* all
      yield* rotate(Effect.orDie(all))
      const before = mesh.identity()
      yield* SubscriptionRef.set(
        web.leaf,
        yield* Effect.promise(() => Certificates.leafOf(web.authority, "web"))
      )
      assert.strictEqual(mesh.identity(), before)
      kept.destroy()
      yield* Effect.promise(() => Promise.all([pool.close(), single.close()]))
    }))

  it.live("ends requests by times of the program", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      yield* serve(Http.createServer((request, response) => {
        if (request.url === "/") response.end(`hello ${api.mesh.peerOf(request)?.service}`)
      }))
      const hasty = web.mesh.override({ requestTimeoutMillis: 50 })
      assert.strictEqual(yield* Effect.promise(async () => (await web.mesh.fetch("http://api/")).text()), "hello web")
      const failure = yield* Effect.promise(() => hasty.fetch("http://api/never").catch((error: Error) => error.cause))
      assert.match(String(failure), /no whole answer within 50 ms, which is the requestTimeoutMillis of the program/)
      const { dispatcher } = hasty
      const other = yield* Effect.promise(() =>
        Undici.request("http://api/never", { dispatcher }).catch((error: Error) => error)
      )
      assert.match(String(other), /no whole answer within 50 ms/)
    }))

  it.live("connects with its options only to who was meant, of this mesh", () =>
    Effect.gen(function*() {
      const { api, serve, web } = yield* pair()
      const { port } = yield* serve(Net.createServer((socket) => socket.on("error", () => {}).resume()))
      const outcome = (name: string) =>
        Effect.callback<string>((resume) => {
          const socket = Tls.connect({ host: "127.0.0.1", port, ...web.mesh.tlsOptions(name) })
          socket.on("error", (error) => resume(Effect.succeed("code" in error ? String(error.code) : error.name)))
          socket.once("secureConnect", () => {
            resume(Effect.succeed("connected"))
            socket.destroy()
          })
        })
      assert.strictEqual(yield* outcome("api"), "connected")
      assert.strictEqual(yield* outcome("api.service.dc1.consul"), "connected")
      assert.strictEqual(yield* outcome("other"), "UnexpectedIdentity")
      assert.strictEqual(yield* outcome("api.service.dc2.consul"), "UnexpectedIdentity")
      assert.throws(() => web.mesh.tlsOptions("api.example.com"), /can not be called/)
      // The same root, and another trust domain.
      const foreign = "spiffe://99999999-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/api"
      const { authority } = web
      yield* SubscriptionRef.set(
        api.leaf,
        yield* Effect.promise(() => Certificates.leafOf(authority, "api", { uris: [foreign] }))
      )
      assert.strictEqual(yield* outcome("api"), "UnexpectedIdentity")
      // The right name, and another root.
      const stranger = yield* Effect.promise(() => Certificates.root("stranger"))
      yield* SubscriptionRef.set(api.leaf, yield* Effect.promise(() => Certificates.leafOf(stranger, "api")))
      assert.match(yield* outcome("api"), /ISSUER|VERIFY|SELF_SIGNED/)
    }))

  it.live("is in the catalog from register to close, and is called only while it is well", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "allow" })
      const join = (service: string) =>
        Effect.acquireRelease(
          Effect.promise(() => PlainMesh.join({ service, consul: { address } })),
          (mesh) => Effect.promise(mesh.close)
        )
      const api = yield* join("api")
      const web = yield* join("web")
      const server = Net.createServer((socket) => socket.on("error", () => {}).end("hello"))
      const { port } = yield* Effect.promise(() => api.listen(server, { host: "127.0.0.1", port: 0 }))
      const reason = (error: Error) => error.message.replace(/^.*?: /, "")
      const call = Effect.promise(() => web.connect("api").then(text, reason))
      const until = (outcome: string) =>
        Effect.repeat(call, { until: (seen) => seen.startsWith(outcome), schedule: Schedule.spaced("20 millis") })
      yield* until("no instance with a sidecar or a native integration is registered")
      const ill = yield* Effect.promise(() =>
        api.register({ port, drain: 0, healthy: () => Promise.reject(new Error("out of paper")) })
      )
      yield* until("its only instance is not healthy")
      yield* Effect.promise(ill.close)
      const well = yield* Effect.promise(() => api.register({ port, drain: 0 }))
      yield* until("hello")
      yield* Effect.promise(well.close)
      yield* until("no instance with a sidecar or a native integration is registered")
    }))

  it.live("says what is wrong, and ends with nothing left open", () =>
    Effect.gen(function*() {
      const { api, at, serve, web } = yield* pair()
      const { mesh } = web
      assert.include(yield* failure(() => mesh.connect("api.example.com")), "can not be called")
      assert.include(
        yield* failure(() => mesh.connect("api")),
        "no instance with a sidecar or a native integration is registered"
      )
      yield* serve(Http.createServer(greeting(api.mesh)))
      const { port } = yield* Effect.promise(() => mesh.forward({ service: "api" }))
      assert.strictEqual(yield* get(Http, `http://127.0.0.1:${port}/`, { agent: false }), "hello web /")
      yield* Effect.promise(() => Undici.request("http://api/", { dispatcher: mesh.dispatcher }))
      const socket = yield* Effect.promise(() => mesh.connect("api"))
      const silent = yield* server(() => {})
      yield* at(silent.port)
      const late = yield* Effect.forkChild(failure(() => mesh.connect("api")))
      yield* eventually(() => silent.sockets.length === 1)
      const request = (service: string) => () => Undici.request(`http://${service}/`, { dispatcher: mesh.dispatcher })
      const waiting = yield* Effect.forkChild(failure(request("api")), { startImmediately: true })
      yield* Effect.promise(() => Promise.all([mesh.close(), mesh.close()]))
      assert.isTrue(socket.destroyed)
      assert.include(yield* Fiber.join(late), "the mesh has been closed")
      assert.include(yield* failure(() => mesh.connect("api")), "the mesh has been closed")
      assert.include(yield* failure(() => mesh.forward({ service: "api" })), "the mesh has been closed")
      assert.include(yield* Fiber.join(waiting), "our own side of the mesh has been closed")
      for (const service of ["api", "other"]) {
        assert.include(yield* failure(request(service)), "our own side of the mesh has been closed")
      }
    }))

  it.live("keeps neither sockets nor timers once it is closed", () =>
    Effect.gen(function*() {
      const held = (kinds: RegExp) => process.getActiveResourcesInfo().filter((kind) => kinds.test(kind)).length
      yield* eventually(() => held(/TCP|TLS/) === 0)
      const timers = held(/Timeout/)
      const { api, serve, web } = yield* pair()
      const { mesh } = web
      yield* serve(Http.createServer(greeting(api.mesh)))
      const followed = Http.createServer(greeting(api.mesh))
      api.mesh.follow(followed)
      yield* Effect.promise(() => mesh.forward({ service: "api" }))
      yield* Effect.promise(() => mesh.connect("api"))
      mesh.stream("api").on("error", () => {})
      yield* get(Https, "https://api/", { agent: mesh.agent })
      yield* Effect.promise(() => Undici.fetch("http://api/", { dispatcher: mesh.dispatcher }))
      yield* Effect.promise(() => Promise.all([mesh.close(), api.mesh.close()]))
      yield* eventually(() => held(/TCP|TLS/) === 0 && held(/Timeout/) <= timers)
    }))
})
