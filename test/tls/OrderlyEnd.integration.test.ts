/** Asks the platform: nothing that it documents tells the two kinds of end apart. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OrderlyEnd from "../../src/tls/OrderlyEnd.ts"
import * as Certificates from "../support/certificates.ts"
import * as Sockets from "../support/sockets.ts"

/** A client, and its server. Nothing has been read. */
const pair = Effect.fnUntraced(function*(version: Tls.SecureVersion, highWaterMark?: number) {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const { chainPem, keyPem } = yield* Effect.promise(() => Certificates.issue(authority))
  const tls = Tls.createServer({ cert: chainPem, key: keyPem, minVersion: version, maxVersion: version })
  const listener = yield* Sockets.server((transport) => void tls.emit("connection", transport))
  const transport = yield* Sockets.connect(listener.port)
  const [server, client] = yield* Effect.all([
    Effect.callback<Tls.TLSSocket>((resume) => {
      tls.once("secureConnection", (socket) => {
        socket.on("error", () => {})
        setImmediate(() => resume(Effect.succeed(socket)))
      })
    }),
    Effect.callback<Tls.TLSSocket>((resume) => {
      const socket = Tls.connect({
        socket: transport,
        rejectUnauthorized: false,
        ...(highWaterMark === undefined ? {} : { highWaterMark })
      })
      socket.once("secureConnect", () => {
        OrderlyEnd.demand(socket, transport)
        resume(Effect.succeed(socket))
      })
    })
  ], { concurrency: 2 })
  return { server, client, transport, far: listener.sockets[0]! }
})

const written = (socket: Net.Socket, bytes: number) =>
  Effect.callback<void>((resume) => void socket.write(Buffer.alloc(bytes), () => resume(Effect.void)))

describe.each(["TLSv1.2", "TLSv1.3"] as const)("an end of %s", (version) => {
  for (const bytes of [0, 1, 2, 24, 50_000, 300_000]) {
    it.live(`is one where it was said, after ${bytes} bytes`, () =>
      Effect.gen(function*() {
        const { client, server } = yield* pair(version)
        const reading = Sockets.record(client)
        server.end(Buffer.alloc(bytes))
        assert.strictEqual(yield* reading.ending, "ended")
        assert.strictEqual(reading.bytes(), bytes)
      }))

    it.live(`is a cut where only the transport ended, after ${bytes} bytes`, () =>
      Effect.gen(function*() {
        const { client, far, server } = yield* pair(version)
        const [reading, other] = [Sockets.record(client), Sockets.record(far)]
        yield* written(server, bytes)
        far.end()
        assert.strictEqual(yield* reading.ending, OrderlyEnd.truncatedCode)
        assert.strictEqual(reading.bytes(), bytes)
        assert.strictEqual(client.destroyed, true)
        assert.notStrictEqual(yield* other.ending, "ended")
      }))
  }

  it.live("is one where it was said to a side that does not read", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair(version, 1000)
      server.end(Buffer.alloc(50_000))
      yield* Sockets.eventually(() => client.readableLength === 50_000)
      const reading = Sockets.record(client)
      assert.strictEqual(yield* reading.ending, "ended")
      assert.strictEqual(reading.bytes(), 50_000)
    }))

  it.live("is a cut for a side that reads later, which gets what came before", () =>
    Effect.gen(function*() {
      for (const highWaterMark of [1000, 100_000]) {
        const { client, far, server } = yield* pair(version, highWaterMark)
        yield* written(server, 50_000)
        far.end()
        yield* Sockets.eventually(() => client.readableLength === 50_000)
        yield* Effect.sleep("1 millis")
        assert.strictEqual(client.destroyed, false)
        const reading = Sockets.record(client)
        assert.strictEqual(yield* reading.ending, OrderlyEnd.truncatedCode)
        assert.strictEqual(reading.bytes(), 50_000)
      }
    }))

  it.live("is a cut in the middle of a record", () =>
    Effect.gen(function*() {
      const { client, far } = yield* pair(version)
      const reading = Sockets.record(client)
      far.end(Buffer.from([23, 3, 3, 0, 19, 1, 2, 3]))
      assert.strictEqual(yield* reading.ending, OrderlyEnd.truncatedCode)
    }))

  it.live("is a cut for a side that is just ending its own, and closes it", () =>
    Effect.gen(function*() {
      const { client, transport } = yield* pair(version)
      const reading = Sockets.record(client)
      const closed = Effect.callback<void>((resume) => void client.once("close", () => resume(Effect.void)))
      client.end()
      setImmediate(() => {
        // As if the end of the transport were heard while our own is on its way.
        Reflect.get(transport, "_handle").readStop()
        client.push(null)
      })
      yield* closed
      assert.strictEqual(yield* reading.ending, OrderlyEnd.truncatedCode)
    }))

  it.live("leaves the other direction open where it was said", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair(version)
      const [reading, other] = [Sockets.record(client), Sockets.record(server)]
      server.allowHalfOpen = true
      server.end("question")
      assert.strictEqual(yield* reading.ending, "ended")
      client.end("answer")
      assert.strictEqual(yield* other.ending, "ended")
      assert.strictEqual(other.text(), "answer")
    }))

  it.live("is a cut where Node does not tell", () =>
    Effect.gen(function*() {
      const { client, server, transport } = yield* pair(version)
      Object.assign(Reflect.get(transport, "_handle"), { readStart: undefined })
      const reading = Sockets.record(client)
      server.end("whole")
      assert.strictEqual(yield* reading.ending, OrderlyEnd.truncatedCode)
    }))
})
