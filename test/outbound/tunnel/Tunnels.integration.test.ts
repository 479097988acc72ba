/** Tunnels from a dialler to a listener, with the identities and policies of a mesh: each stream is what a connection would be. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Effect, Fiber, Layer, Redacted, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import type * as MeshListener from "../../../src/inbound/MeshListener.ts"
import type * as Connect from "../../../src/outbound/Connect.ts"
import * as Frame from "../../../src/net/tunnel/Frame.ts"
import * as Tunnel from "../../../src/net/tunnel/Tunnel.ts"
import * as Tunnels from "../../../src/outbound/tunnel/Tunnels.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Listeners from "../../support/listeners.ts"
import * as Mesh from "../../support/mesh.ts"
import * as Sockets from "../../support/sockets.ts"

const dialler = Effect.fnUntraced(function*(
  authority: Certificates.Authority,
  name = "web",
  options?: Certificates.LeafOptions
) {
  const leaf = yield* Effect.promise(() => Certificates.leafOf(authority, name, options))
  const member = yield* Mesh.memberWith(name, Certificates.bundle(authority), leaf)
  const context = yield* Layer.build(Tunnels.layer.pipe(Layer.provide(member.layer)))
  const tunnels = yield* Effect.provideContext(Tunnels.Tunnels, context)
  if (tunnels === undefined) return assert.fail("there are no tunnels")
  return { member, ...tunnels }
})

const to = (port: number): Connect.Options => ({
  address: { host: "127.0.0.1", port },
  expected: Certificates.service("api"),
  sni: undefined,
  timeoutMillis: 10_000
})

const start = Effect.fnUntraced(function*(options: Partial<MeshListener.Options<never>> = {}) {
  const served = yield* Listeners.listen({ tunnels: true, ...options })
  const { member, open } = yield* dialler(served.ca)
  const reach = Effect.map(open(to(served.listener.port)), (reached) => ({
    ...reached,
    record: Sockets.record(reached.socket),
    port: reached.socket.localPort
  }))
  return { ...served, web: member, open, reach }
})

type Reached = Effect.Success<Effect.Success<ReturnType<typeof start>>["reach"]>

/** The listener answers in upper case. */
const served = Effect.fnUntraced(function*({ record, socket }: Reached, word = "hello") {
  socket.write(word)
  yield* Sockets.eventually(() => record.text().endsWith(word.toUpperCase()))
})

const endings = (all: ReadonlyArray<Reached>) => Effect.forEach(all, ({ record }) => record.ending)

const ports = (all: ReadonlyArray<Reached>): number => new Set(all.map(({ port }) => port)).size

describe("Tunnels", () => {
  it.live("send a crowd through one handshake, each connection judged for itself", () =>
    Effect.gen(function*() {
      const { handled, listener, reach } = yield* start()
      const all = yield* Effect.all(Array.from({ length: 40 }, () => reach), { concurrency: "unbounded" })
      yield* Effect.forEach(all, (each, i) => served(each, `hello ${i}`), { concurrency: "unbounded" })
      assert.deepStrictEqual([ports(all), handled.length], [1, 40])
      const { accepted, handshaking, open } = listener.stats()
      assert.deepStrictEqual({ accepted, handshaking, open }, { accepted: 40, handshaking: 0, open: 40 })
      for (const { socket } of all) socket.end()
      yield* Sockets.eventually(() => all.every(({ socket }) => socket.closed) && listener.stats().open === 0)
      assert.deepStrictEqual([listener.stats().received, listener.stats().sent], [310, 310])
    }))

  it.live("refuse each stream of a caller that policy does not allow, before the application hears of it", () =>
    Effect.gen(function*() {
      const { api, handled, listener, reach } = yield* start()
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      const refused = yield* Effect.all([reach, reach])
      assert.deepStrictEqual(yield* endings(refused), ["ECONNRESET", "ECONNRESET"])
      assert.deepStrictEqual([handled, listener.stats().refused], [[], { denied: 2 }])
      assert.deepStrictEqual(listener.denials().map(({ refusals, source }) => [source, refusals]), [["web", 2]])
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "allow" }))
      const later = yield* reach
      yield* served(later)
      assert.strictEqual(ports([...refused, later]), 1)
    }))

  it.live("cut the open streams of a caller once policy says no, and nobody else's", () =>
    Effect.gen(function*() {
      const { api, ca, listener, reach } = yield* start()
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "allow", shop: "allow" }))
      const shop = yield* dialler(ca, "shop")
      const webs = yield* Effect.all(Array.from({ length: 500 }, () => reach))
      const other = yield* shop.open(to(listener.port))
      const record = Sockets.record(other.socket)
      yield* Effect.forEach(webs, (each) => served(each), { concurrency: "unbounded" })
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { shop: "allow" }))
      assert.deepStrictEqual(new Set(yield* endings(webs)), new Set(["ECONNRESET"]))
      assert.deepStrictEqual([listener.stats().cut, listener.stats().open], [500, 1])
      other.socket.write("still")
      yield* Sockets.eventually(() => record.text() === "STILL")
    }))

  it.live("go on with a new certificate in a new tunnel, while open streams stay in the old one", () =>
    Effect.gen(function*() {
      const { ca, listener, reach, web } = yield* start()
      const before = yield* reach
      yield* served(before)
      yield* SubscriptionRef.set(web.leaf, yield* Effect.promise(() => Certificates.leafOf(ca, "web")))
      yield* Sockets.eventuallyEffect(Effect.map(reach, (after) => {
        after.socket.end()
        return after.port !== before.port
      }))
      yield* served(before, "the old one lasts")
      before.socket.end()
      yield* before.record.ending
      yield* Sockets.eventually(() => listener.stats().open === 0 && listener.stats().handshaking === 0)
    }))

  it.live("take no other stream if the certificate has changed while they were made", () =>
    Effect.gen(function*() {
      const { ca, reach, web } = yield* start()
      const next = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      const dialling = yield* Effect.forkChild(reach)
      yield* Effect.yieldNow
      yield* SubscriptionRef.set(web.leaf, next)
      const before = yield* Fiber.join(dialling)
      yield* Sockets.eventuallyEffect(Effect.map(reach, (after) => {
        after.socket.end()
        return after.port !== before.port
      }))
      yield* served(before, "the first one lasts")
    }))

  it.live("are told to go elsewhere when the listener stops, and finish what they have", () =>
    Effect.gen(function*() {
      const { listener, reach } = yield* start()
      const before = yield* reach
      yield* served(before)
      yield* listener.stop
      // One that is on its way is let in.
      const isTurnedAway = Effect.match(reach, {
        onFailure: () => true,
        onSuccess: ({ reset }) => {
          reset()
          return false
        }
      })
      yield* Sockets.eventuallyEffect(isTurnedAway)
      yield* served(before, "not yet")
      before.socket.end()
      assert.strictEqual(yield* before.record.ending, "ended")
      yield* listener.idle
    }))

  it.live("count towards the connections that a listener takes", () =>
    Effect.gen(function*() {
      const { listener, reach } = yield* start({ maxConnections: 2 })
      const all = yield* Effect.all([reach, reach, reach])
      assert.strictEqual(yield* all[2].record.ending, "ECONNRESET")
      assert.deepStrictEqual(listener.stats().refused, { too_many_connections: 1 })
      yield* served(all[0])
      all[1].socket.end()
      yield* Sockets.eventually(() => listener.stats().open === 1)
      yield* served(yield* reach)
    }))

  it.live("are lost with their connection, and made anew for the next stream", () =>
    Effect.gen(function*() {
      const { listener, reach } = yield* start({
        handle: (connection) =>
          connection.carrier === connection.socket ? Effect.void : Effect.andThen(
            Sockets.eventuallyEffect(Effect.sync(() => connection.socket.bytesRead > 0)),
            Effect.sync(() => connection.carrier.destroy())
          )
      })
      const all = yield* Effect.all([reach, reach])
      all[0].socket.write("go")
      assert.notInclude(yield* endings(all), "ended")
      const next = yield* reach
      assert.strictEqual(ports([...all, next]), 2)
      yield* Sockets.eventually(() => listener.stats().open === 1)
    }))

  it.live("share the failure of the connection that they wait for", () =>
    Effect.gen(function*() {
      const { ca } = yield* Listeners.listen()
      const { open } = yield* dialler(ca)
      const none = yield* Sockets.closedPort
      const exits = yield* Effect.all(Array.from({ length: 5 }, () => Effect.flip(open(to(none)))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag), Array.from({ length: 5 }, () => "ConnectFailed"))
    }))

  it.live("are made by the next one where the first has given up", () =>
    Effect.gen(function*() {
      const { open, listener } = yield* start()
      const options = to(listener.port)
      const first = yield* Effect.forkChild(open(options))
      const second = yield* Effect.forkChild(open(options))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      const { reset, socket } = yield* Fiber.join(second)
      const record = Sockets.record(socket)
      socket.write("hello")
      yield* Sockets.eventually(() => record.text() === "HELLO")
      reset()
    }))

  it.effect("keep nobody longer than a connection may take, whoever has to make it in the end", () =>
    Effect.gen(function*() {
      const { ca } = yield* Listeners.listen()
      const { open } = yield* dialler(ca)
      const sockets: Array<Net.Socket> = []
      const silent = yield* Effect.acquireRelease(
        Effect.sync(() => Net.createServer((socket) => sockets.push(socket.on("error", () => {})))),
        (server) =>
          Effect.sync(() => {
            for (const socket of sockets) socket.destroy()
            server.close()
          })
      )
      yield* Effect.promise(() => once(silent.listen(0, "127.0.0.1"), "listening"))
      const address = silent.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      const options = to(port)
      const first = yield* Effect.forkChild(open(options))
      const second = yield* Effect.forkChild(Effect.flip(open(options)))
      yield* TestClock.withLive(Sockets.eventually(() => sockets.length === 1))
      yield* TestClock.adjust("9 seconds")
      yield* Fiber.interrupt(first)
      yield* TestClock.withLive(Sockets.eventually(() => sockets.length === 2))
      yield* TestClock.adjust("1 second")
      const reason = yield* Fiber.join(second)
      assert.deepStrictEqual(
        reason._tag === "TimedOut" && reason.what,
        `the tunnel to 127.0.0.1:${port}`
      )
    }))

  it.effect("last no longer than the certificate of their caller", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.now())
      const { ca, listener, reach } = yield* start()
      const brief = yield* dialler(ca, "web", { notAfter: 60_000 })
      const lasting = yield* reach
      const { socket } = yield* brief.open(to(listener.port))
      const record = Sockets.record(socket)
      yield* TestClock.adjust("45 seconds")
      socket.write("hello")
      yield* TestClock.withLive(Sockets.eventually(() => record.text() === "HELLO"))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* record.ending, "ECONNRESET")
      yield* TestClock.withLive(served(lasting))
      yield* TestClock.withLive(Sockets.eventually(() => listener.stats().open === 1))
    }))

  it.live("are not forced on a listener that takes none: its callers get connections of their own", () =>
    Effect.gen(function*() {
      const { listener, reach } = yield* start({ tunnels: false })
      const all = yield* Effect.all([reach, reach, reach], { concurrency: "unbounded" })
      for (const each of all) yield* served(each)
      assert.deepStrictEqual([ports(all), listener.stats().open], [3, 3])
    }))

  it.live("fill one connection after the other where a listener takes so many streams in each", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const leaf = yield* Effect.promise(() => Certificates.leafOf(ca, "api"))
      const sizes: Array<number> = []
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const options = { cert: leaf.chainPem, key: Redacted.value(leaf.keyPem), ALPNProtocols: [Tunnel.protocol] }
          const server = Tls.createServer(options, (socket) => {
            const own = sizes.push(0) - 1
            const tunnel: Tunnel.Tunnel = new Tunnel.Tunnel({ socket, reset: () => void socket.destroy() }, {
              maxStreams: 3,
              idle: () => {},
              retired: () => {},
              opened: (stream) => {
                sizes[own]!++
                stream.pipe(stream)
              }
            })
            socket.once("close", () => tunnel.destroy())
          }).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.promise(() => new Promise<void>((resolve) => server.close(() => resolve())))
      )
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      const { open } = yield* dialler(ca)
      const all: Array<Connect.Reached> = []
      for (let i = 0; i < 8; i++) {
        const reached = yield* open(to(port))
        const record = Sockets.record(reached.socket)
        reached.socket.write("hello")
        // Whoever is answered has been greeted.
        yield* record.until("hello")
        all.push(reached)
      }
      assert.deepStrictEqual(sizes, [3, 3, 2])
      for (const { reset } of all) reset()
    }))

  it.live.each(
    [
      ["speaks HTTP/2 alone, and hangs up on whoever offers something else", { ALPNProtocols: ["h2"] }],
      ["has tunnels of a later version alone, and hangs up on others", { ALPNProtocols: ["effect-mesh/2"] }],
      ["knows nothing of protocols", {}]
    ] as const
  )("leave alone a server that %s", ([, options]) =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const leaf = yield* Effect.promise(() => Certificates.leafOf(ca, "api"))
      const agreed: Array<string | false | null> = []
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = Tls.createServer({
            cert: leaf.chainPem,
            key: Redacted.value(leaf.keyPem),
            ...options
          }, (socket) => {
            agreed.push(socket.alpnProtocol)
            socket.end("answer")
          }).listen(0, "127.0.0.1")
          server.on("tlsClientError", () => {})
          await once(server, "listening")
          return server
        }),
        (server) => Effect.promise(() => new Promise<void>((resolve) => server.close(() => resolve())))
      )
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      const { open } = yield* dialler(ca)
      for (let i = 0; i < 2; i++) {
        const { reset, socket } = yield* open(to(port))
        const record = Sockets.record(socket)
        yield* Sockets.eventually(() => record.text() === "answer")
        reset()
      }
      assert.deepStrictEqual(agreed, [false, false])
    }))
})

describe("a listener that takes tunnels", () => {
  it.live.each(
    [
      ["besides", ["effect-mesh/2", "effect-mesh/1", "http/1.1"], "effect-mesh/1"],
      ["alone, with HTTP", ["effect-mesh/2", "http/1.1"], "http/1.1"]
    ] as const
  )("agrees with a later version that offers a higher number %s", ([, offered, agreed]) =>
    Effect.gen(function*() {
      const { ca, listener } = yield* Listeners.listen({ tunnels: true })
      const leaf = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      const socket = Tls.connect({
        port: listener.port,
        rejectUnauthorized: false,
        cert: leaf.chainPem,
        key: Redacted.value(leaf.keyPem),
        ALPNProtocols: [...offered]
      })
      const record = Sockets.record(socket)
      if (agreed === Tunnel.protocol) {
        // It says something that only later versions know, then goes on as they do.
        const later = Buffer.from("63000003000000006e6577", "hex")
        const hello = Buffer.alloc(Frame.headerBytes + 5)
        Frame.writeHeader(hello, 0, Frame.types.data, 5, 1)
        hello.write("hello", Frame.headerBytes)
        socket.write(Buffer.concat([later, Frame.hello({ maxStreams: 0 }), later, Frame.open(1, ""), hello]))
      } else socket.write("hello")
      yield* Sockets.eventually(() => record.text().endsWith("HELLO"))
      assert.strictEqual(socket.alpnProtocol, agreed)
      socket.destroy()
    }))

  it.live("serves callers that offer none as ever", () =>
    Effect.gen(function*() {
      const { ca, listener } = yield* Listeners.listen({ tunnels: true })
      const leaf = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      for (const [offered, agreed] of [[undefined, false], [["h2", "http/1.1"], "http/1.1"], [["x"], "x"]] as const) {
        const socket = Tls.connect({
          port: listener.port,
          rejectUnauthorized: false,
          cert: leaf.chainPem,
          key: Redacted.value(leaf.keyPem),
          ...(offered === undefined ? {} : { ALPNProtocols: [...offered] })
        })
        const record = Sockets.record(socket)
        socket.write("hello")
        yield* Sockets.eventually(() => record.text() === "HELLO")
        assert.strictEqual(socket.alpnProtocol, agreed)
        socket.destroy()
      }
    }))
})
