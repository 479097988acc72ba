/** How connections end while both sides live on: too old, unused, no longer allowed, or because the server stops. */
import type * as Tls from "node:tls"
import { assert, describe, it, vi } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import type * as Certificates from "../support/certificates.ts"
import * as Intentions from "../../src/intention/Intention.ts"
import * as Frames from "../support/h2Frames.ts"
import * as HttpMesh from "../support/httpMesh.ts"
import * as Servers from "../support/httpServers.ts"
import * as Listeners from "../support/listeners.ts"
import * as Mesh from "../support/mesh.ts"
import * as scrape from "../support/scrape.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

describe.concurrent("MeshListener", () => {
  it.live("ends a connection that has lasted long enough, orderly", () =>
    Effect.gen(function*() {
      const { issue, listener } = yield* Listeners.listen({ maxLifetime: "500 millis" })
      const { socket } = yield* TlsClients.connect(listener.port, yield* issue("web"))
      const answer = Sockets.record(socket)
      socket.write("hello")
      yield* answer.until("HELLO")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.deepStrictEqual(listener.stats().retired, { lifetime: 1, idle: 0 })
      socket.end()
      yield* Sockets.eventually(() => listener.stats().open === 0)
    }))

  it.live("resets one that does not become quiet, so that nobody takes it for whole", () =>
    Effect.gen(function*() {
      const { issue, listener } = yield* Listeners.listen({
        maxLifetime: "40 millis",
        closeGrace: "40 millis",
        handle: ({ socket }) =>
          Effect.callback((resume) => {
            // In each turn: between two looks there is always one.
            const write = () => {
              if (!socket.writable) return
              socket.write("more")
              setImmediate(write)
            }
            socket.once("close", () => resume(Effect.void))
            write()
          })
      })
      const { socket } = yield* TlsClients.connect(listener.port, yield* issue("web"))
      assert.strictEqual(yield* Sockets.record(socket).ending, "ECONNRESET")
      assert.deepStrictEqual(listener.stats().retired, { lifetime: 1, idle: 0 })
    }))

  it.live("ends a connection that nobody uses, and resets it where the peer does not close its side", () =>
    Effect.gen(function*() {
      const { issue, listener } = yield* Listeners.listen({ idleTimeout: "40 millis", closeGrace: "20 millis" })
      const { socket } = yield* TlsClients.connect(listener.port, yield* issue("web"))
      assert.strictEqual(yield* Sockets.record(socket).ending, "ended")
      yield* Sockets.eventually(() => listener.stats().open === 0)
      assert.deepStrictEqual(listener.stats().retired, { lifetime: 0, idle: 1 })
    }))

  it.live("counts them in a metric, by reason", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const { issue, listener } = yield* Listeners.listen({ idleTimeout: "20 millis" })
        const { socket } = yield* TlsClients.connect(listener.port, yield* issue("web"))
        yield* Sockets.record(socket).ending
        socket.end()
      }))
      const counted = Object.entries(yield* scrape.samples).filter(([name]) =>
        name.startsWith("mesh_connections_retired")
      )
      assert.deepStrictEqual(Object.fromEntries(counted), {
        "mesh_connections_retired_total{direction=\"inbound\",reason=\"lifetime\"}": 0,
        "mesh_connections_retired_total{direction=\"inbound\",reason=\"idle\"}": 1
      })
    }).pipe(scrape.fresh))
})

const routes = HttpRouter.addAll([
  HttpRouter.route("GET", "/who", HttpServerResponse.text("hello")),
  HttpRouter.route(
    "GET",
    "/events",
    HttpServerResponse.stream(Stream.concat(Stream.succeed(bytes("first")), Stream.never))
  ),
  HttpRouter.route(
    "POST",
    "/repeat",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) => HttpServerResponse.stream(stream))
  )
])

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

const start = (options?: Partial<MeshHttpServer.Options>) => Servers.start(Servers.served(routes), options)

type Running = Effect.Success<ReturnType<typeof start>>

/** What a client that writes its own bytes is told. */
const connect = Effect.fnUntraced(function*(
  { port }: Pick<Running, "port">,
  { issued }: { readonly issued: Certificates.Issued },
  alpn: "h2" | "http/1.1"
) {
  const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: [alpn] })
  const chunks: Array<Buffer> = []
  socket.on("data", (chunk: Buffer) => chunks.push(chunk))
  const answer = Sockets.record(socket)
  if (alpn === "h2") socket.write(Frames.preface())
  const frames = (type: number) => Frames.parse(Buffer.concat(chunks)).filter((frame) => frame.type === type)
  return { socket, answer, frames }
})

const says = (socket: Tls.TLSSocket, method: string, path: string, ...headers: ReadonlyArray<string>) =>
  socket.write([`${method} ${path} HTTP/1.1`, "host: api", ...headers, "", ""].join("\r\n"))

describe.concurrent("MeshHttpServer", () => {
  it.live("sends clients of HTTP/2 elsewhere when their connection is too old", () =>
    Effect.gen(function*() {
      const running = yield* start({ maxLifetime: "500 millis" })
      const { answer, frames, socket } = yield* connect(running, running.web, "h2")
      socket.write(Frames.get(1, "/who"))
      assert.strictEqual(yield* answer.ending, "ended")
      assert.strictEqual(frames(Frames.type.headers).length, 1)
      assert.deepStrictEqual(frames(Frames.type.goAway).map(Frames.codeOf), [0])
      assert.deepStrictEqual(running.mesh.stats().connections.retired, { lifetime: 1, idle: 0 })
    }))

  it.live("closes connections over HTTP/1.1 that are too old at once where nothing is at hand", () =>
    Effect.gen(function*() {
      const running = yield* start({ maxLifetime: "500 millis" })
      const { answer, socket } = yield* connect(running, running.web, "http/1.1")
      says(socket, "GET", "/who")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.include(answer.text(), "hello")
      assert.deepStrictEqual(running.mesh.stats().connections.retired, { lifetime: 1, idle: 0 })
    }))

  it.live("lets requests at hand finish on a connection that is too old, and takes no other", () =>
    Effect.gen(function*() {
      const running = yield* start({ maxLifetime: "500 millis" })
      const one = yield* connect(running, running.web, "http/1.1")
      says(one.socket, "POST", "/repeat", "content-length: 4")
      const two = yield* connect(running, running.web, "h2")
      two.socket.write(Frames.post(1, "/repeat"))
      yield* Sockets.eventually(() => running.mesh.stats().connections.retired.lifetime === 2)
      yield* Sockets.eventually(() => two.frames(Frames.type.goAway).length === 1)
      one.socket.write("done")
      two.socket.write(Frames.data(1, Buffer.from("done"), true))
      assert.strictEqual(yield* one.answer.ending, "ended")
      assert.match(one.answer.text(), /done/)
      assert.strictEqual(yield* two.answer.ending, "ended")
      assert.deepStrictEqual(two.frames(Frames.type.rstStream), [])
      assert.strictEqual(Buffer.concat(two.frames(Frames.type.data).map(({ payload }) => payload)).toString(), "done")
    }))

  it.live.each(["http/1.1", "h2"] as const)(
    "cuts what is at hand for longer than the drain (%s)",
    (alpn) =>
      Effect.gen(function*() {
        const running = yield* start({ maxLifetime: "500 millis", drain: "40 millis" })
        const { answer, socket } = yield* connect(running, running.web, alpn)
        if (alpn === "h2") socket.write(Frames.get(1, "/events"))
        else says(socket, "GET", "/events")
        assert.strictEqual(yield* answer.ending, "ECONNRESET")
      })
  )

  it.live.each([false, true])(
    "loses no request of our own client while connections end (http2: %s)",
    (http2) =>
      Effect.gen(function*() {
        const authority = yield* HttpMesh.authorityOf
        const api = yield* Mesh.member("api", authority)
        const { mesh, port } = yield* Servers.startAs(api, Servers.served(routes), { maxLifetime: "20 millis" })
        const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(port)] })
        const { get } = yield* HttpMesh.client(authority, discovery.layer, { pool: { http2 } })
        const askers = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => Effect.forkChild(Effect.forever(get("http://api/who")))
        )
        yield* Sockets.eventually(() => mesh.stats().connections.retired.lifetime >= 10)
        for (const asker of askers) {
          assert.isUndefined(asker.pollUnsafe(), "an asker failed")
          yield* Fiber.interrupt(asker)
        }
      })
  )

  it.live("says that it closes on a new request of a busy connection while it stops", () =>
    Effect.gen(function*() {
      const finish = yield* Deferred.make<void>()
      const slow = HttpRouter.add(
        "GET",
        "/slow",
        HttpServerResponse.stream(
          Stream.concat(Stream.succeed(bytes("begun")), Stream.fromEffectDrain(Deferred.await(finish)))
        )
      )
      const running = yield* Servers.start(Servers.served(Layer.merge(routes, slow)), { drain: "5 seconds" })
      const { answer, socket } = yield* connect(running, running.web, "http/1.1")
      says(socket, "GET", "/slow")
      yield* answer.until("begun\r\n")
      const closing = yield* Effect.forkChild(running.close, { startImmediately: true })
      says(socket, "GET", "/who")
      yield* Sockets.eventually(() => running.mesh.stats().handling === 2)
      yield* Deferred.succeed(finish, undefined)
      assert.strictEqual(yield* answer.ending, "ended")
      const [first, second] = answer.text().split("HTTP/1.1 200 OK").slice(1)
      assert.notMatch(first!, /connection: close/i)
      assert.match(second!, /connection: close/i)
      assert.match(second!, /hello$/)
      yield* Fiber.join(closing)
    }))

  it.live("closes a kept connection as soon as its answer is whole while it stops", () =>
    Effect.gen(function*() {
      const running = yield* start({ drain: "1 minute" })
      const { answer, socket } = yield* connect(running, running.web, "http/1.1")
      says(socket, "POST", "/repeat", "content-length: 9")
      socket.write("first")
      yield* answer.until("first\r\n")
      const closing = yield* Effect.forkChild(running.close, { startImmediately: true })
      socket.write("last")
      assert.strictEqual(yield* answer.ending, "ended")
      yield* Fiber.join(closing)
    }))

  it.live("takes leave of callers that may do nothing any more, and of nobody else", () =>
    Effect.gen(function*() {
      const running = yield* start()
      const { api, materialOf, mesh } = running
      const ops = Intentions.make("ops", "api", "allow")
      yield* SubscriptionRef.set(api.intentions, Servers.policy(Servers.web, ops))
      const other = yield* connect(running, yield* materialOf("ops"), "h2")
      const one = yield* connect(running, running.web, "http/1.1")
      says(one.socket, "GET", "/who")
      const two = yield* connect(running, running.web, "h2")
      two.socket.write(Frames.get(1, "/who"))
      yield* Sockets.eventually(() => mesh.stats().requests["web api 200"] === 2)
      const nothing = Intentions.make("web", "api", [{ Action: "deny", HTTP: { PathPrefix: "/" } }])
      yield* SubscriptionRef.set(api.intentions, Servers.policy(nothing, ops))
      yield* SubscriptionRef.set(api.intentions, Servers.policy(ops))
      assert.strictEqual(yield* one.answer.ending, "ended")
      assert.strictEqual(yield* two.answer.ending, "ended")
      assert.deepStrictEqual(two.frames(Frames.type.goAway).map(Frames.codeOf), [0])
      assert.strictEqual(mesh.stats().connections.cut, 2)
      other.socket.write(Frames.get(1, "/who"))
      yield* Sockets.eventually(() => mesh.stats().requests["ops api 200"] === 1)
      assert.deepStrictEqual(other.frames(Frames.type.goAway), [])
    }))

  it.live("ends the requests at hand of callers that may do nothing any more", () =>
    Effect.gen(function*() {
      const running = yield* start()
      const { api, mesh } = running
      const one = yield* connect(running, running.web, "http/1.1")
      says(one.socket, "GET", "/events")
      const two = yield* connect(running, running.web, "h2")
      two.socket.write(Frames.get(1, "/events"))
      yield* Sockets.eventually(() => mesh.stats().handling === 2)
      yield* SubscriptionRef.set(api.intentions, Servers.policy())
      assert.strictEqual(yield* one.answer.ending, "ECONNRESET")
      assert.strictEqual(yield* two.answer.ending, "ended")
      assert.deepStrictEqual(two.frames(Frames.type.rstStream).map(Frames.codeOf), [8])
      assert.deepStrictEqual(two.frames(Frames.type.goAway).map(Frames.codeOf), [0])
      assert.deepStrictEqual(mesh.stats().aborted, { denied: 2 })
    }))
})

/** Alone, as it replaces chance for everybody. */
describe("MeshHttpClient", () => {
  it.live("ages the connections of our own client with jitter", () =>
    Effect.gen(function*() {
      const authority = yield* HttpMesh.authorityOf
      const api = yield* Mesh.member("api", authority)
      const { mesh, port } = yield* Servers.startAs(api, Servers.served(routes))
      const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(port)] })
      const connectionsAfter = Effect.fnUntraced(function*(ageJitter: number) {
        const before = mesh.stats().connections.accepted
        const { get } = yield* HttpMesh.client(authority, discovery.layer, {
          pool: { maxAgeMillis: 3_600_000, ageJitter }
        })
        for (let turn = 0; turn < 3; turn++) {
          yield* get("http://api/who")
          yield* Effect.sleep("2 millis")
        }
        return mesh.stats().connections.accepted - before
      })
      const random = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(Math, "random").mockReturnValue(1)),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      assert.strictEqual(yield* connectionsAfter(0.5), 1)
      assert.strictEqual(yield* connectionsAfter(1), 3)
      random.mockReturnValue(0)
      assert.strictEqual(yield* connectionsAfter(1), 1)
    }))
})
