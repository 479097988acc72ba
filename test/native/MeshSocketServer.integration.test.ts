import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, References, Schema, Stream, SubscriptionRef } from "effect"
import { NetAddress } from "effect/net"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { TestConsole } from "effect/testing"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Listening from "../../src/net/Listening.ts"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as Mesh from "../support/mesh.ts"
import { admitted, echo, endingOf, read, readAll, send, setUp } from "../support/socketServers.ts"
import { eventually } from "../support/sockets.ts"

/** Echoes what is said, after a greeting. */
const greetAndEcho: typeof echo = Effect.fnUntraced(function*(socket) {
  const { pull } = yield* socket.reader
  const { write, writeAll } = yield* socket.writer
  yield* write("hello")
  return yield* Effect.forever(Effect.flatMap(pull, writeAll))
}, Effect.scoped)

class Procedures extends RpcGroup.make(
  Rpc.make("whoAmI", { success: Schema.String }),
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Finite }, success: Schema.Finite, stream: true }),
  Rpc.make("refuse", { error: Schema.String })
) {}

const procedures = Procedures.toLayer({
  whoAmI: () => Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => caller.service),
  echo: ({ text }) => Effect.succeed(text),
  count: ({ to }) => Stream.range(0, to - 1),
  refuse: () => Effect.fail("refused")
})

describe("MeshSocketServer", () => {
  it.live("tells its handler and its log who calls, and its program where it listens", () =>
    Effect.gen(function*() {
      const { caller, api, serve } = yield* setUp
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "allow", shop: "allow" }))
      const { mesh, sockets } = yield* serve((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const peer = yield* PeerIdentity.PeerIdentity
          yield* socket.reader
          const { peer: logged } = yield* References.CurrentLogAnnotations
          assert.strictEqual(logged, SpiffeId.format(peer.caller))
          yield* Effect.flatMap(socket.writer, ({ write }) => write(`you are ${peer.caller.service}`))
        }))
      )
      assert.strictEqual(NetAddress.formatSocketAddress(sockets.address), `127.0.0.1:${mesh.port}`)
      for (const name of ["web", "shop"]) {
        const socket = yield* Effect.provideContext(MeshSocket.make({ service: "api" }), yield* caller(name))
        assert.deepStrictEqual(yield* read(socket), { text: `you are ${name}`, ending: "CloseError 1000" })
      }
      yield* eventually(() => mesh.stats().open === 0)
    }))

  it.live("keeps connections waiting, unread, until somebody handles them", () =>
    Effect.gen(function*() {
      const { open, socket } = yield* setUp
      const { context, mesh, sockets } = yield* open()
      const answer = yield* Effect.forkChild(Effect.all([read(socket), send(socket, "hello")], {
        concurrency: "unbounded"
      }))
      yield* eventually(() => mesh.stats().open === 1)
      yield* Effect.forkScoped(Effect.provideContext(sockets.run(echo), context))
      assert.deepStrictEqual((yield* Fiber.join(answer))[0], { text: "hello", ending: "CloseError 1000" })
    }))

  it.live("resets those that wait when it closes without a handler, and waits for nothing", () =>
    Effect.gen(function*() {
      const { closing, open, socket } = yield* setUp
      const { mesh } = yield* open({ drain: "1 minute" })
      const answer = yield* Effect.forkChild(read(socket))
      yield* eventually(() => mesh.stats().open === 1)
      yield* closing
      assert.strictEqual((yield* Fiber.join(answer)).ending, "ReadError ConnectionCut ECONNRESET")
    }))

  it.live("lets open connections finish when it closes, and accepts no new ones", () =>
    Effect.gen(function*() {
      const { closing, serve, socket, web } = yield* setUp
      const { mesh } = yield* serve(greetAndEcho, { drain: "1 minute" })
      const closed = yield* Effect.scoped(Effect.gen(function*() {
        const { pull, write } = yield* admitted(socket)
        const closed = yield* Effect.forkDetach(closing, { startImmediately: true })
        const another = yield* Effect.provideContext(MeshSocket.make({ service: "api" }), web)
        assert.strictEqual(
          endingOf(yield* Effect.flip(Effect.scoped(another.reader))),
          "OpenError DialError ConnectFailed"
        )
        yield* write("still here")
        assert.strictEqual(String((yield* pull)[0]), "still here")
        return closed
      }))
      yield* Fiber.join(closed)
      assert.deepStrictEqual([mesh.stats().open, mesh.stats().failed], [0, 0])
    }))

  it.live("resets what has not finished when the time for that is over", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const interrupted = yield* Deferred.make<void>()
      const { mesh, stop } = yield* serve(
        (caller) => Effect.onInterrupt(greetAndEcho(caller), () => Deferred.succeed(interrupted, undefined)),
        { drain: "20 millis" }
      )
      const { ending } = yield* Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* admitted(socket)
        yield* Effect.forkScoped(stop)
        return yield* readAll(pull)
      }))
      assert.strictEqual(ending, "ReadError ConnectionCut ECONNRESET")
      yield* Deferred.await(interrupted)
      yield* eventually(() => mesh.stats().open === 0)
    }))

  it.live("resets the connection of a handler that fails, says so, and goes on", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      let count = 0
      const { mesh } = yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          yield* caller.reader
          if (count++ === 0) yield* Effect.flatMap(caller.writer, ({ write }) => write("half an ans"))
          return yield* Effect.fail("no more")
        }))
      )
      for (const failed of [1, 2]) {
        assert.strictEqual((yield* read(socket)).ending, "ReadError ConnectionCut ECONNRESET")
        yield* eventually(() => mesh.stats().open === 0)
        assert.strictEqual(mesh.stats().failed, failed)
      }
      assert.match(JSON.stringify(yield* TestConsole.logLines), /the connection of web failed.*no more/)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("takes a caller that leaves, in order or not, for no failure of its handler", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const { mesh } = yield* serve(greetAndEcho)
      for (const exit of [Exit.void, Exit.interrupt()]) {
        yield* Effect.exit(Effect.scoped(Effect.andThen(admitted(socket), exit)))
        yield* eventually(() => mesh.stats().open === 0)
      }
      assert.deepStrictEqual([mesh.stats().accepted, mesh.stats().failed], [2, 0])
    }))

  it.live("tells a handler that begins to read when the connection is gone already", () =>
    Effect.gen(function*() {
      const { api, serve, socket } = yield* setUp
      const cut = yield* Deferred.make<void>()
      const ending = yield* Deferred.make<string>()
      const { mesh } = yield* serve((caller) =>
        Effect.andThen(Deferred.await(cut), Effect.flatMap(read(caller), (all) => Deferred.succeed(ending, all.ending)))
      )
      const caller = yield* Effect.forkChild(read(socket))
      yield* eventually(() => mesh.stats().open === 1)
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      yield* Fiber.join(caller)
      yield* eventually(() => mesh.stats().handshaking === 0)
      yield* Deferred.succeed(cut, undefined)
      assert.strictEqual(yield* Deferred.await(ending), "ReadError ConnectionCut closed")
    }))

  it.live("closes what is beyond its limit of connections", () =>
    Effect.gen(function*() {
      const { serve, socket, web } = yield* setUp
      const { mesh } = yield* serve(greetAndEcho, { maxConnections: 1 })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* admitted(socket)
        const another = yield* Effect.provideContext(MeshSocket.make({ service: "api" }), web)
        yield* Effect.flip(Effect.scoped(another.reader))
      }))
      assert.deepStrictEqual(mesh.stats().refused, { too_many_connections: 1 })
    }))

  it.live("cannot open where somebody listens already, which is a typed error", () =>
    Effect.gen(function*() {
      const { open } = yield* setUp
      const { mesh } = yield* open()
      const error = yield* Effect.flip(open({ port: mesh.port }))
      assert.instanceOf(error, SocketServer.SocketServerError)
      assert.strictEqual(error.reason._tag, "SocketServerOpenError")
      assert.instanceOf(error.reason.cause, Listening.ListenError)
    }))

  it.live("carries RPC as it is, with the peer known to the procedures", () =>
    Effect.gen(function*() {
      const { closing, open, web } = yield* setUp
      const { context, mesh } = yield* open({ drain: 0 })
      const serving = RpcServer.layer(Procedures).pipe(
        Layer.provide([procedures, RpcServer.layerProtocolSocketServer]),
        Layer.provide([RpcSerialization.layerNdjson, Layer.succeedContext(context)])
      )
      const calling = RpcClient.layerProtocolSocket().pipe(
        Layer.provide([MeshSocket.layer({ service: "api" }), RpcSerialization.layerNdjson]),
        Layer.provide(Layer.succeedContext(web))
      )
      yield* Effect.gen(function*() {
        yield* Layer.build(serving)
        const large = "x".repeat(4 * 1024 * 1024)
        const numbers = Array.from({ length: 1000 }, (_, i) => i)
        yield* Effect.gen(function*() {
          const client = yield* RpcClient.make(Procedures)
          assert.strictEqual(yield* client.whoAmI(), "web")
          assert.isTrue((yield* client.echo({ text: large })) === large)
          assert.deepStrictEqual(yield* Stream.runCollect(client.count({ to: 1000 })), numbers)
          assert.strictEqual(yield* Effect.flip(client.refuse()), "refused")
          assert.strictEqual(mesh.stats().open, 1)
        }).pipe(Effect.scoped, Effect.provide(calling))
        yield* eventually(() => mesh.stats().open === 0)
        assert.strictEqual(mesh.stats().failed, 0)
      }).pipe(Effect.scoped)
      yield* closing
    }))
})
