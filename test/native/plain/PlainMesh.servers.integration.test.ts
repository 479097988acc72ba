import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as Tls from "node:tls"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, SubscriptionRef } from "effect"
import * as Intention from "../../../src/intention/Intention.ts"
import type * as PlainMesh from "../../../src/native/plain/PlainMesh.ts"
import type * as NodeServer from "../../../src/native/plain/NodeServer.ts"
import type * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as Client from "../../support/http.ts"
import * as Mesh from "../../support/mesh.ts"
import { get, greeting, pair } from "../../support/plain.ts"
import { eventually } from "../../support/sockets.ts"

/** Only `GET` below `/public`. */
const publicOnly = Mesh.requestPolicy(
  "api",
  Intention.make("web", "api", [{ Action: "allow", HTTP: { PathPrefix: "/public", Methods: ["GET"] } }])
)

const everything = Mesh.requestPolicy("api", Intention.make("web", "api", "allow"))

type Greet = ReturnType<typeof greeting>

const dressed = (greet: Greet) => (request: Http2.Http2ServerRequest, response: Http2.Http2ServerResponse) =>
  greet(request as never, response as never)

const streams = (mesh: PlainMesh.PlainMesh): Http2.Http2Server =>
  Http2.createServer().on("stream", (stream, headers, _flags, rawHeaders) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true })
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
    const same = rawHeaders[rawHeaders.indexOf(":path") + 1] === headers[":path"]
    stream.end(`hello ${mesh.peerOf(stream)?.service} ${same ? headers[":path"] : "another path"}`)
  })

/** Servers of Node in all their forms, and the versions of HTTP that each of them speaks. */
const kinds = [
  ["node:http", (mesh) => Http.createServer(greeting(mesh)), [Client.http1]],
  ["node:https", (mesh) => Https.createServer(mesh.serverOptions(), greeting(mesh)), [Client.http1]],
  ["node:http2", (mesh) => Http2.createServer(dressed(greeting(mesh))), [Client.http2]],
  ["node:http2 by streams", streams, [Client.http2]],
  [
    "node:http2 with TLS",
    (mesh) => Http2.createSecureServer(mesh.serverOptions(), dressed(greeting(mesh))),
    [Client.http2]
  ],
  [
    "node:http2 with HTTP/1.1",
    (mesh) => Http2.createSecureServer({ ...mesh.serverOptions(), allowHTTP1: true }, dressed(greeting(mesh))),
    [Client.http1, Client.http2]
  ]
] as const satisfies ReadonlyArray<
  readonly [string, (mesh: PlainMesh.PlainMesh) => NodeServer.Server, ReadonlyArray<typeof Client.http1>]
>

const listening = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

/** What ALPN agrees on with a client that offers `offered`; undefined: it was refused. */
const agreed = (port: number, { client }: SecureContexts.Material, offered: ReadonlyArray<string>) =>
  Effect.callback<string | false | null | undefined>((resume) => {
    const options = { host: "127.0.0.1", port, secureContext: client, rejectUnauthorized: false }
    const socket = Tls.connect({ ...options, ALPNProtocols: [...offered] })
    socket.on("error", () => resume(Effect.as(Effect.void, undefined)))
    socket.once("secureConnect", () => {
      resume(Effect.succeed(socket.alpnProtocol))
      socket.destroy()
    })
  })

const spoken = (port: number, material: SecureContexts.Material) =>
  Effect.all([agreed(port, material, ["h2", "http/1.1"]), agreed(port, material, ["h2"])])

/** One request as it is written, and all that comes back. */
const raw = (port: number, { client }: SecureContexts.Material, request: string) =>
  Effect.promise(() => {
    const socket = Tls.connect({ host: "127.0.0.1", port, secureContext: client, rejectUnauthorized: false })
    socket.on("error", () => {}).write(request)
    return text(socket)
  })

describe.each(kinds)("PlainMesh with %s", (_, make, clients) => {
  const judged = Effect.fnUntraced(function*(port: number, materialOf: (name: string) => Effect.Effect<Material>) {
    for (const client of clients) {
      const ask = yield* client(port, yield* materialOf("web"))
      assert.strictEqual((yield* ask({ path: "/public/a?b" })).body, "hello web /public/a?b")
      assert.strictEqual((yield* ask({ path: "/private/../public/%61" })).body, "hello web /public/a")
      const refused = yield* ask({ path: "/public/../private" })
      assert.deepStrictEqual([refused.status, refused.body], [403, "RBAC: access denied"])
      assert.strictEqual(refused.headers["x-mesh-denied"], "by policy")
      assert.strictEqual((yield* ask({ path: "/public", method: "DELETE" })).status, 403)
      const stranger = yield* client(port, yield* materialOf("ops"))
      assert.strictEqual((yield* stranger({ path: "/public" })).status, 403)
      const grpc = yield* ask({ path: "/private", headers: { "content-type": "application/grpc" } })
      assert.deepStrictEqual([grpc.status, grpc.headers["grpc-status"]], [200, "7"])
    }
  })

  it.live("judges each request, and hands on the path that was judged", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      yield* SubscriptionRef.set(api.intentions, publicOnly)
      const { port } = yield* serve(make(api.mesh))
      yield* judged(port, materialOf)
    }))

  it.live("does the same where the server listens itself, and lets it close", () =>
    Effect.gen(function*() {
      const { api, materialOf } = yield* pair()
      yield* SubscriptionRef.set(api.intentions, publicOnly)
      const server = api.mesh.follow<NodeServer.Server>(make(api.mesh))
      const port = yield* listening(server)
      yield* judged(port, materialOf)
      const ask = yield* clients[0](port, yield* materialOf("web"))
      yield* ask({ path: "/public" })
      // A connection that is kept for later does not hold it up.
      yield* Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ask({ path: "/public" }))))
    }))

  it.live("offers what it speaks, and nothing else", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      const { port } = yield* serve(make(api.mesh))
      const offers: ReadonlyArray<typeof Client.http1> = clients
      const http2 = offers.includes(Client.http2)
      assert.deepStrictEqual(yield* spoken(port, yield* materialOf("web")), [
        http2 ? "h2" : "http/1.1",
        http2 ? "h2" : undefined
      ])
      const one = yield* agreed(port, yield* materialOf("web"), ["http/1.1"])
      assert.strictEqual(one, offers.includes(Client.http1) ? "http/1.1" : undefined)
    }))
})

type Material = Effect.Success<ReturnType<Effect.Success<ReturnType<typeof pair>>["materialOf"]>>

describe("PlainMesh with servers of Node", () => {
  it.live.each([["HTTP/1.1", Client.http1], ["HTTP/2", Client.http2]] as const)(
    "ends requests at hand when policy changes, over %s",
    ([, client]) =>
      Effect.gen(function*() {
        const { api, materialOf, serve } = yield* pair()
        yield* SubscriptionRef.set(api.intentions, everything)
        let endless = 0
        const server = Http2.createSecureServer({ ...api.mesh.serverOptions(), allowHTTP1: true }, (_, response) => {
          endless++
          response.write("first")
        })
        const { port } = yield* serve(server)
        const ask = yield* client(port, yield* materialOf("web"))
        const asking = yield* Effect.forkChild(Effect.exit(ask({ path: "/" })))
        yield* eventually(() => endless === 1)
        yield* SubscriptionRef.set(api.intentions, publicOnly)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(asking)))
      })
  )

  it.live("judges upgrades, and ends what they have become when policy changes", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      yield* SubscriptionRef.set(api.intentions, publicOnly)
      const server = Http.createServer(greeting(api.mesh))
      const { port } = yield* serve(server)
      // After the fact, as plugins of frameworks do it.
      const sockets = new NodeWS.WebSocketServer({ server })
      sockets.on("connection", (socket, request) => socket.send(`hello ${api.mesh.peerOf(request)?.service}`))
      const { issued } = yield* materialOf("web")
      const open = (path: string) => {
        const options = { cert: issued.chainPem, key: issued.keyPem, rejectUnauthorized: false }
        const socket = new NodeWS.WebSocket(`wss://127.0.0.1:${port}${path}`, options)
        const failed = Effect.callback<string>((resume) =>
          void socket.on("error", (error) => resume(Effect.succeed(error.message)))
        )
        const said = Effect.callback<string>((resume) =>
          void socket.on("message", (data) => resume(Effect.succeed(String(data))))
        )
        return {
          failed,
          said,
          closed: Effect.callback<void>((resume) => void socket.on("close", () => resume(Effect.void)))
        }
      }
      assert.include(yield* open("/private").failed, "403")
      const { closed, said } = open("/public")
      assert.strictEqual(yield* said, "hello web")
      const ended = yield* Effect.forkChild(closed, { startImmediately: true })
      yield* SubscriptionRef.set(api.intentions, Mesh.requestPolicy("api"))
      yield* Fiber.join(ended)
    }))

  it.live("takes a request for an upgrade as any other where the server knows none", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      const { port } = yield* serve(Http.createServer(greeting(api.mesh)))
      const request = "GET / HTTP/1.1\r\nhost: api\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n"
      assert.include(yield* raw(port, yield* materialOf("web"), request), "hello web /")
    }))

  it.live("hands on the authority that was judged", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      const intention = Intention.make("web", "api", [
        { Action: "allow", HTTP: { Header: [{ Name: "host", Exact: "good" }] } }
      ])
      yield* SubscriptionRef.set(api.intentions, Mesh.requestPolicy("api", intention))
      const server = Http.createServer((request, response) =>
        void response.end(`${request.headers.host} ${request.rawHeaders[1]} ${request.url}`)
      )
      const { port } = yield* serve(server)
      const web = yield* materialOf("web")
      const ask = (target: string, host: string) =>
        raw(port, web, `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
      assert.include(yield* ask("/", "good"), "good good /")
      assert.include(yield* ask("/", "bad"), "403 Forbidden")
      assert.include(yield* ask("http://good/a", "bad"), "good good /a")
      assert.include(yield* ask("http://bad@good", "bad"), "good good /")
      assert.include(yield* ask("http://bad/", "good"), "403 Forbidden")
    }))

  it.live("judges connections where the protocol is tcp", () =>
    Effect.gen(function*() {
      const { api, join, serve } = yield* pair()
      yield* serve(Http.createServer(greeting(api.mesh)))
      const ops = yield* join("ops")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(get(Https, "https://api/", { agent: ops.mesh.agent }))))
    }))

  it.live("hands connections to a TLS server as its own", () =>
    Effect.gen(function*() {
      const { api, at, web } = yield* pair()
      const server = Tls.createServer(api.mesh.serverOptions(), (socket) =>
        void socket.end(`hello ${api.mesh.peerOf(socket)?.service}`))
      yield* at(yield* listening(api.mesh.follow(server)))
      const socket = yield* Effect.promise(() =>
        web.mesh.connect("api")
      )
      assert.strictEqual(yield* Effect.promise(() => text(socket)), "hello web")
    }))

  it.live("lets nobody through to a server that listens itself, but by the mesh", () =>
    Effect.gen(function*() {
      const { api, join } = yield* pair()
      const seen: Array<string> = []
      const server = Net.createServer((socket) => void seen.push(String(api.mesh.peerOf(socket)?.service)))
      const port = yield* listening(api.mesh.follow(server))
      const connect = (options: Tls.ConnectionOptions) =>
        Effect.callback<void>((resume) => {
          const socket = Tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options })
          socket.on("error", () => {}).once("close", () => resume(Effect.void)).resume()
        })
      yield* connect({})
      const ops = yield* join("ops")
      yield* connect(ops.mesh.tlsOptions("api"))
      const plain = Net.connect({ host: "127.0.0.1", port })
      plain.on("error", () => {}).end("hello")
      yield* eventually(() => plain.closed)
      // Nor once the mesh is closed, while the server goes on.
      yield* Effect.promise(api.mesh.close)
      const late = Net.connect({ host: "127.0.0.1", port })
      late.on("error", () => {}).resume()
      yield* eventually(() => late.closed)
      assert.deepStrictEqual(seen, [])
    }))

  it.live("has no certificate for a server that nobody follows", () =>
    Effect.gen(function*() {
      const { api, web } = yield* pair()
      const port = yield* listening(Https.createServer(api.mesh.serverOptions(), greeting(api.mesh)))
      const options = { agent: new Https.Agent(web.mesh.tlsOptions("api")) }
      const failed = yield* Effect.flip(get(Https, `https://127.0.0.1:${port}/`, options))
      assert.match(failed, /handshake|alert|socket/i)
    }))

  it.live("lets a server that listens itself follow the rotation", () =>
    Effect.gen(function*() {
      const { api, at, rotate, web } = yield* pair()
      yield* at(yield* listening(api.mesh.follow(Https.createServer(api.mesh.serverOptions(), greeting(api.mesh)))))
      const asked = Effect.forEach([web.mesh.agent, undefined], (kept) =>
        Effect.gen(function*() {
          const agent = kept ?? new (class extends Https.Agent {
            override createConnection = web.mesh.agent.createConnection
          })()
          assert.strictEqual(yield* get(Https, "https://api/", { agent }), "hello web /")
        }))
      yield* asked
      yield* rotate(Effect.orDie(asked))
    }))

  it.live("finishes requests at hand when it closes", () =>
    Effect.gen(function*() {
      const { api, materialOf, serve } = yield* pair()
      let answer = () => {}
      const { close, port } = yield* serve(
        Http.createServer((_, response) => {
          answer = () => void response.end("done")
        }),
        { drain: "10 seconds" }
      )
      const ask = yield* Client.http1(port, yield* materialOf("web"))
      const before = answer
      const asking = yield* Effect.forkChild(ask())
      yield* eventually(() => answer !== before)
      const closing = yield* Effect.forkChild(Effect.promise(close), { startImmediately: true })
      const late = yield* Client.http1(port, yield* materialOf("web"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(late())))
      answer()
      assert.strictEqual((yield* Fiber.join(asking)).body, "done")
      yield* Fiber.join(closing)
      yield* Effect.promise(api.mesh.close)
    }))
})
