import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schema, Stream, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Socket } from "effect/socket"
import * as NodeWS from "@effect/platform-node/NodeWS"
import * as Audit from "../../src/intention/Audit.ts"
import * as Intentions from "../../src/intention/Intention.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as Certificates from "../support/certificates.ts"
import { material } from "../support/handshake.ts"
import * as Http from "../support/http.ts"
import * as Mesh from "../support/mesh.ts"
import * as Servers from "../support/httpServers.ts"
import { policy, served, uriOf } from "../support/httpServers.ts"
import * as Sockets from "../support/sockets.ts"
import { eventually } from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"
import * as Frames from "../support/h2Frames.ts"

/** Only `GET` below `/public`. */
const publicOnly = Intentions.make("web", "api", [
  { Action: "allow", HTTP: { PathPrefix: "/public", Methods: ["GET"] } }
])

const routes = HttpRouter.addAll([
  HttpRouter.route(
    "GET",
    "/who",
    Effect.gen(function*() {
      const { caller } = yield* PeerIdentity.PeerIdentity
      return HttpServerResponse.text(`hello ${caller.service}`)
    })
  ),
  HttpRouter.route(
    "*",
    "/public/*",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => HttpServerResponse.text(url))
  ),
  HttpRouter.route(
    "POST",
    "/repeat",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) => HttpServerResponse.stream(stream))
  ),
  HttpRouter.route(
    "GET",
    "/events",
    HttpServerResponse.stream(
      Stream.concat(Stream.succeed(new TextEncoder().encode("first")), Stream.never)
    )
  ),
  HttpRouter.route(
    "GET",
    "/echo",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { caller } = yield* PeerIdentity.PeerIdentity
      const socket = yield* request.upgrade
      const read = yield* Socket.readerString(socket)
      const { write } = yield* socket.writer
      return yield* Effect.forever(Effect.flatMap(read, (texts) => write(`${caller.service}: ${texts.join("")}`)))
    })
  )
])

const start = (options?: Partial<MeshHttpServer.Options>, app: Servers.App = served(routes)) =>
  Servers.start(app, options)

const versions = [["HTTP/1.1", Http.http1], ["HTTP/2", Http.http2]] as const

describe.each(versions)("MeshHttpServer over %s", (_, client) => {
  it.live("tells the handler who calls", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start()
      const ask = yield* client(port, web)
      assert.strictEqual((yield* ask({ path: "/who" })).body, "hello web")
    }))

  it.live("hands on no certificate that a caller makes up", () =>
    Effect.gen(function*() {
      const seen = HttpRouter.add(
        "GET",
        "/headers",
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => HttpServerResponse.jsonUnsafe({ ...headers }))
      )
      const { port, web } = yield* start({}, served(seen))
      const ask = yield* client(port, web)
      const { body } = yield* ask({
        path: "/headers",
        headers: { "X-Forwarded-Client-Cert": "URI=spiffe://mesh/ns/default/dc/dc1/svc/admin", "x-other": "stays" }
      })
      assert.notInclude(body, "admin")
      assert.include(body, "stays")
    }))

  it.live("answers 403 with the reason to a caller that no intention is about", () =>
    Effect.gen(function*() {
      const { materialOf, mesh, port } = yield* start({ reasonHeader: true })
      const ask = yield* client(port, yield* materialOf("ops"))
      const { body, headers, status } = yield* ask({ path: "/who" })
      assert.deepStrictEqual([status, body], [403, "RBAC: access denied"])
      assert.strictEqual(
        headers["x-mesh-denied"],
        "denied by the default policy: no intention is about this caller"
      )
      assert.deepStrictEqual(mesh.denials(), [
        { source: "ops", destination: "api", rule: "default policy", refusals: 1, audited: 0 }
      ])
      yield* eventually(() => mesh.stats().requests["ops api 403"] === 1)
    }))

  it.live("keeps the reason to itself unless told otherwise, and says that it was the mesh", () =>
    Effect.gen(function*() {
      const { materialOf, port } = yield* start()
      const ask = yield* client(port, yield* materialOf("ops"))
      const { headers, status } = yield* ask({ path: "/who" })
      assert.strictEqual(status, 403)
      assert.strictEqual(headers["x-mesh-denied"], "by policy")
    }))

  it.live("cleans paths as the mesh entry says, from the request after it was changed", () =>
    Effect.gen(function*() {
      const { api, port, web } = yield* start()
      yield* SubscriptionRef.set(api.intentions, policy(publicOnly))
      const ask = yield* client(port, web)
      assert.strictEqual((yield* ask({ path: "//public/a" })).status, 403)
      yield* SubscriptionRef.update(api.defaults, (all) => ({ ...all, incoming: { MergeSlashes: true } }))
      assert.strictEqual((yield* ask({ path: "//public//a" })).body, "/public/a")
    }))

  it.live("judges the path that is handled, not the one that was sent", () =>
    Effect.gen(function*() {
      const { api, port, web } = yield* start()
      yield* SubscriptionRef.set(api.intentions, policy(publicOnly))
      const ask = yield* client(port, web)
      assert.strictEqual((yield* ask({ path: "/public/a?b=../c" })).body, "/public/a?b=../c")
      assert.strictEqual((yield* ask({ path: "/public/../who" })).status, 403)
      assert.strictEqual((yield* ask({ path: "/who/../public/%61" })).body, "/public/a")
      assert.strictEqual((yield* ask({ path: "/public/a", method: "POST" })).status, 403)
    }))

  it.live("answers gRPC in its own way", () =>
    Effect.gen(function*() {
      const { materialOf, port } = yield* start()
      const ask = yield* client(port, yield* materialOf("ops"))
      const { headers, status } = yield* ask({ method: "POST", headers: { "content-type": "application/grpc+proto" } })
      assert.deepStrictEqual([status, headers["grpc-status"]], [200, "7"])
    }))

  it.live("follows a change of intentions on an open connection, and ends what is under way", () =>
    Effect.gen(function*() {
      const { api, mesh, port, web } = yield* start()
      const ask = yield* client(port, web)
      const other = yield* client(port, web)
      assert.strictEqual((yield* ask({ path: "/who" })).status, 200)
      yield* eventually(() => mesh.stats().handling === 0)
      const streaming = yield* Effect.forkChild(Effect.exit(other({ path: "/events" })))
      yield* eventually(() => mesh.stats().handling === 1)
      yield* SubscriptionRef.set(api.intentions, policy(publicOnly))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(streaming)))
      assert.strictEqual((yield* ask({ path: "/who" })).status, 403)
      assert.strictEqual(mesh.stats().aborted["denied"], 1)
    }))

  it.live("finishes what is under way when it stops, and takes nothing new", () =>
    Effect.gen(function*() {
      const arrived = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const slow = HttpRouter.add(
        "GET",
        "/slow",
        Effect.gen(function*() {
          yield* Deferred.succeed(arrived, undefined)
          yield* Deferred.await(answer)
          return HttpServerResponse.text("done")
        })
      )
      const { close, port, web } = yield* start({}, served(slow))
      const ask = yield* client(port, web)
      const asking = yield* Effect.forkChild(ask({ path: "/slow" }))
      yield* Deferred.await(arrived)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      const late = yield* client(port, web)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(late({ path: "/slow" }))))
      yield* Deferred.succeed(answer, undefined)
      const { body, headers } = yield* Fiber.join(asking)
      assert.strictEqual(body, "done")
      if (client === Http.http1) assert.strictEqual(headers["connection"], "close")
      yield* Fiber.join(closing)
    }))

  it.live("carries large bodies both ways at once", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start()
      const ask = yield* client(port, web)
      const body = "0123456789abcdef".repeat(500_000)
      const answer = yield* ask({ path: "/repeat", method: "POST", body })
      assert.strictEqual(answer.body.length, body.length)
      assert.isTrue(answer.body === body)
    }))

  it.live("keeps connections through a rotation, and uses the new certificates for the next", () =>
    Effect.gen(function*() {
      const { api, mesh, port, web } = yield* start()
      const ask = yield* client(port, web)
      yield* ask({ path: "/who" })
      const next = yield* Effect.promise(() => Certificates.root("next"))
      yield* SubscriptionRef.set(api.roots, Certificates.bundle(next))
      yield* SubscriptionRef.set(api.leaf, yield* Effect.promise(() => Certificates.leafOf(next, "api")))
      assert.strictEqual((yield* ask({ path: "/who" })).status, 200)
      const fresh = material(
        yield* Effect.promise(() => Certificates.issue(next, { uris: [uriOf("web")] })),
        Certificates.bundle(next)
      )
      const again = yield* client(port, fresh)
      assert.strictEqual((yield* again({ path: "/who" })).body, "hello web")
      assert.strictEqual(mesh.stats().connections.accepted, 2)
    }))
})

/** A TLS connection of a client that writes its own bytes. */
const raw = (port: number, { issued }: { readonly issued: Certificates.Issued }, alpn?: string) =>
  Effect.map(
    TlsClients.connect(port, issued, alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
    ({ socket }) => socket
  )

/** What it is told until it is closed. */
const readAll = (socket: Tls.TLSSocket) => {
  const record = Sockets.record(socket)
  return Effect.map(record.ending, record.text)
}

describe("MeshHttpServer", () => {
  it.live("serves HttpApi as it is", () =>
    Effect.gen(function*() {
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("greetings").add(HttpApiEndpoint.get("hello", "/hello", { success: Schema.String }))
      )
      const handlers = HttpApiBuilder.group(Api, "greetings", (group) =>
        group.handle("hello", () =>
          Effect.map(PeerIdentity.PeerIdentity, ({ caller }) =>
            `hello ${caller.service}`)))
      const { port, web } = yield* start({}, served(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers))))
      const ask = yield* Http.http2(port, web)
      assert.strictEqual((yield* ask({ path: "/hello" })).body, "\"hello web\"")
    }))

  it.live("refuses connections as such where the protocol is tcp, and cuts them", () =>
    Effect.gen(function*() {
      const { api, materialOf, mesh, port, web } = yield* start()
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "allow" }))
      const ops = yield* Http.http1(port, yield* materialOf("ops"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ops({ path: "/who" }))))
      assert.deepStrictEqual(mesh.stats().connections.refused, { denied: 1 })
      const ask = yield* Http.http1(port, web)
      assert.strictEqual((yield* ask({ path: "/who" })).status, 200)
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      yield* eventually(() => mesh.stats().connections.cut === 1)
    }))

  it.live("lets through in audit mode what it would refuse, and says so", () =>
    Effect.gen(function*() {
      const { api, materialOf, mesh, port } = yield* start()
      yield* SubscriptionRef.set(api.intentions, Audit.authorizer(Audit.everywhere, policy(Servers.web)))
      const ask = yield* Http.http2(port, yield* materialOf("ops"))
      assert.strictEqual((yield* ask({ path: "/who" })).body, "hello ops")
      assert.deepStrictEqual(mesh.denials().map(({ audited, source }) => [source, audited]), [["ops", 1]])
    }))

  it.live("answers curl in both versions", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start()
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => Fs.mkdtemp(Path.join(Os.tmpdir(), "mesh-http-"))),
        (path) => Effect.promise(() => Fs.rm(path, { recursive: true }))
      )
      const { issued } = web
      yield* Effect.promise(() =>
        Promise.all(
          [["cert", issued.chainPem], ["key", issued.keyPem]].map(([name, text]) =>
            Fs.writeFile(Path.join(directory, name!), text!)
          )
        )
      )
      const arguments_ = "--silent --insecure --cert cert --key key --max-time 5".split(" ").concat(
        "--write-out",
        " %{http_version}"
      )
      for (const [version, spoken] of [["--http1.1", "1.1"], ["--http2", "2"]] as const) {
        const output = yield* Effect.callback<string>((resume) => {
          execFile(
            "curl",
            [...arguments_, version, `https://127.0.0.1:${port}/who`],
            { cwd: directory },
            (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
          )
        })
        assert.strictEqual(output, `hello web ${spoken}`)
      }
    }))

  it.live("upgrades to WebSocket, and ends it when policy says no", () =>
    Effect.gen(function*() {
      const { api, mesh, port, web } = yield* start()
      const { issued } = web
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new NodeWS.WebSocket(`wss://127.0.0.1:${port}/echo`, {
            cert: issued.chainPem,
            key: issued.keyPem,
            rejectUnauthorized: false
          })
        ),
        (socket) => Effect.sync(() => socket.terminate())
      )
      const closed = yield* Deferred.make<void>()
      socket.on("error", () => {})
      socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      const said = yield* Effect.callback<string>((resume) => {
        socket.on("open", () => socket.send("hi"))
        socket.on("message", (data) => resume(Effect.succeed(String(data))))
      })
      assert.strictEqual(said, "web: hi")
      yield* SubscriptionRef.set(api.intentions, policy())
      yield* Deferred.await(closed)
      yield* eventually(() => mesh.stats().requests["web api 101"] === 1)
    }))

  it.live("closes WebSockets with a reason when it stops", () =>
    Effect.gen(function*() {
      const { close, port, web } = yield* start({ drain: "50 millis" })
      const { issued } = web
      const socket = new NodeWS.WebSocket(`wss://127.0.0.1:${port}/echo`, {
        cert: issued.chainPem,
        key: issued.keyPem,
        rejectUnauthorized: false
      })
      const code = yield* Deferred.make<number>()
      yield* Effect.callback<void>((resume) => {
        socket.on("open", () => socket.send("hi"))
        socket.on("message", () => resume(Effect.void))
        socket.on("close", (reason) => Deferred.doneUnsafe(code, Effect.succeed(reason)))
      })
      yield* close
      assert.strictEqual(yield* Deferred.await(code), 1001)
    }))

  it.live("speaks HTTP/2 to who starts it without asking", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start()
      const socket = yield* raw(port, web)
      const preface = Frames.preface()
      for (const byte of preface.subarray(0, 5)) socket.write(Buffer.from([byte]))
      socket.write(Buffer.concat([preface.subarray(5), Frames.get(1, "/who")]))
      const answer = yield* Effect.callback<string>((resume) => {
        let seen = ""
        socket.on("data", (chunk: Buffer) => {
          seen += chunk.toString("latin1")
          if (seen.includes("hello web")) resume(Effect.succeed(seen))
        })
      })
      assert.include(answer, "hello web")
    }))

  it.live("speaks HTTP/1.1 to who starts it without asking", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start()
      const socket = yield* raw(port, web)
      socket.write("GET /who HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n")
      assert.include(yield* readAll(socket), "hello web")
    }))

  it.live.each([undefined, "http/1.1", "h2"])(
    "forgets a connection that its client has ended (%s)",
    (alpn) =>
      Effect.gen(function*() {
        const { mesh, port, web } = yield* start()
        const socket = yield* raw(port, web, alpn)
        if (alpn === "h2") socket.write(Frames.preface())
        yield* eventually(() => mesh.stats().connections.open === 1)
        socket.resume().end()
        yield* eventually(() => mesh.stats().connections.open === 0)
        assert.deepStrictEqual(mesh.stats().aborted, {})
      })
  )

  it.live.each([undefined, "http/1.1", "h2"])(
    "gives up on a peer that sends nothing (%s)",
    (alpn) =>
      Effect.gen(function*() {
        const { mesh, port, web } = yield* start({ limits: { headersTimeout: "100 millis" } })
        yield* readAll(yield* raw(port, web, alpn))
        assert.deepStrictEqual(mesh.stats().aborted, { slow_headers: 1 })
      })
  )
})
