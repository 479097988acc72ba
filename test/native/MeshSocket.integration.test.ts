import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Option, Stream, SubscriptionRef } from "effect"
import { Socket } from "effect/socket"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import type * as Resolver from "../../src/outbound/Resolver.ts"
import * as Mesh from "../support/mesh.ts"
import { admitted, echo, endingOf, read, readAll, send, setUp } from "../support/socketServers.ts"
import { eventually } from "../support/sockets.ts"

/** Greets each caller, then reads and tells what came and how it ended. */
const listener = (told: Array<readonly [length: number, ending: string]>) => (caller: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* caller.reader
    yield* Effect.flatMap(caller.writer, ({ write }) => write("hello"))
    const { ending, text } = yield* readAll(pull)
    told.push([text.length, ending])
  }))

describe("MeshSocket", () => {
  it.live("carries a large payload both ways, and the end of each", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const { mesh } = yield* serve(echo)
      const sent = "0123456789abcdef".repeat(512 * 1024)
      const [{ ending, text }] = yield* Effect.all([read(socket), send(socket, sent)], { concurrency: "unbounded" })
      assert.strictEqual(ending, "CloseError 1000")
      assert.isTrue(text === sent)
      yield* eventually(() => mesh.stats().open === 0)
      assert.strictEqual(mesh.stats().failed, 0)
    }))

  it.live("goes on reading after it has ended, until the other side has", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* caller.reader
          const { write } = yield* caller.writer
          const { ending, text } = yield* readAll(pull)
          yield* write(`${text}, then ${ending}`)
        }))
      )
      const [answer] = yield* Effect.all([read(socket), send(socket, "hello")], { concurrency: "unbounded" })
      assert.deepStrictEqual(answer, { text: "hello, then CloseError 1000", ending: "CloseError 1000" })
    }))

  it.live("holds back a side whose peer does not read", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const chunk = Buffer.alloc(256 * 1024)
      const count = 512
      let written = 0
      yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          yield* caller.reader
          const { write } = yield* caller.writer
          for (let i = 0; i < count; i++) {
            written += chunk.length
            yield* write(chunk)
          }
        }))
      )
      let received = 0
      let ahead = 0
      const error = yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        return yield* Effect.forever(Effect.gen(function*() {
          for (const piece of yield* pull) received += piece.length
          // Lets the other side go on alone for as long as it can.
          let before = -1
          while (before !== written) {
            before = written
            yield* Effect.promise(() => new Promise(setImmediate))
          }
          ahead = Math.max(ahead, written - received)
        }))
      })))
      assert.strictEqual(endingOf(error), "CloseError 1000")
      assert.strictEqual(received, chunk.length * count)
      // What the kernel holds for both ends, and no more: an eighth of the whole.
      assert.isBelow(ahead, chunk.length * count / 8)
    }))

  it.live("connects anew for each reader", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      let connections = 0
      yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          yield* caller.reader
          yield* Effect.flatMap(caller.writer, ({ write }) => write(`connection ${++connections}`))
        }))
      )
      assert.strictEqual((yield* read(socket)).text, "connection 1")
      assert.strictEqual((yield* read(socket)).text, "connection 2")
    }))

  it.live("shows a refusal as an error of the first read that says what may be the matter", () =>
    Effect.gen(function*() {
      const { api, serve, socket } = yield* setUp
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      const { mesh } = yield* serve(echo)
      const error = yield* Effect.flip(
        Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.as(pull, "read")))
      )
      assert.strictEqual(endingOf(error), "ReadError ConnectionCut ECONNRESET")
      assert.include(Option.getOrThrow(MeshSocket.failure(error)).message, "Look for an intention that allows it")
      assert.deepStrictEqual(mesh.stats().refused, { denied: 1 })
      assert.strictEqual(mesh.stats().accepted, 0)
    }))

  it.live("shows the same where the refusal came before anybody reads", () =>
    Effect.gen(function*() {
      const { api, serve, socket } = yield* setUp
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      yield* serve(echo)
      const [ending, write] = yield* Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const writer = yield* socket.writer
        yield* Effect.flip(pull)
        return [endingOf(yield* Effect.flip(pull)), endingOf(yield* Effect.flip(writer.write("hello")))]
      }))
      assert.strictEqual(ending, "ReadError ConnectionCut ECONNRESET")
      assert.strictEqual(write, "WriteError ConnectionCut ECONNRESET")
    }))

  it.live("cannot be read, or written to, once policy has cut it, on either side", () =>
    Effect.gen(function*() {
      const { api, serve, socket } = yield* setUp
      const atServer = yield* Deferred.make<ReadonlyArray<string>>()
      const { mesh } = yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* caller.reader
          const { write } = yield* caller.writer
          yield* write("welcome")
          const { ending } = yield* readAll(pull)
          yield* Deferred.succeed(atServer, [ending, endingOf(yield* Effect.flip(write("more")))])
        }))
      )
      const { ending, text } = yield* Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const [first] = yield* pull
        yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
        return { text: String(first), ending: (yield* readAll(pull)).ending }
      }))
      assert.deepStrictEqual([text, ending], ["welcome", "ReadError ConnectionCut ECONNRESET"])
      assert.deepStrictEqual(yield* Deferred.await(atServer), [
        "ReadError ConnectionCut closed",
        "WriteError ConnectionCut closed"
      ])
      yield* eventually(() => mesh.stats().open === 0)
      assert.deepStrictEqual([mesh.stats().cut, mesh.stats().failed], [1, 0])
    }))

  it.live("fails a write that waits for a peer that does not read, once policy has cut it", () =>
    Effect.gen(function*() {
      const { api, serve, socket } = yield* setUp
      yield* serve((caller) =>
        Effect.scoped(Effect.gen(function*() {
          yield* caller.reader
          yield* Effect.flatMap(caller.writer, ({ write }) => write("hello"))
          return yield* Effect.never
        })), { drain: 0 })
      const error = yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
        const { write } = yield* admitted(socket)
        yield* Effect.forkScoped(SubscriptionRef.set(api.intentions, Mesh.policy("api", {})))
        return yield* Effect.forever(write(Buffer.alloc(1024 * 1024)))
      })))
      assert.match(endingOf(error), /^WriteError ConnectionCut (ECONNRESET|EPIPE)$/)
    }))

  it.live("fails to open with what the dialler says", () =>
    Effect.gen(function*() {
      const { web } = yield* setUp
      const opening = (to: Resolver.Input) =>
        Effect.provideContext(MeshSocket.make(to), web).pipe(
          Effect.flatMap((socket) => Effect.flip(Effect.scoped(socket.reader)))
        )
      const none = yield* opening({ service: "empty" })
      assert.strictEqual(endingOf(none), "OpenError DialError NoHealthyInstance")
      assert.include(Option.getOrThrow(MeshSocket.failure(none)).message, "cannot reach empty: no instance")
      const unknown = yield* opening({ service: "unknown", connectTimeoutMillis: 20 })
      assert.strictEqual(endingOf(unknown), "OpenError DialError TimedOut")
      assert.strictEqual(unknown.reason._tag === "SocketOpenError" && unknown.reason.kind, "Timeout")
    }))

  it.live("sends what was written before a close event, and resets with a code that is no good end", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const told: Array<readonly [length: number, ending: string]> = []
      yield* serve(listener(told))
      const large = "x".repeat(4 * 1024 * 1024)
      const closing = (event: Socket.CloseEvent) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull, write } = yield* admitted(socket)
          yield* Effect.forkScoped(write(large), { startImmediately: true })
          yield* write(event)
          return (yield* readAll(pull)).ending
        }))
      assert.strictEqual(yield* closing(new Socket.CloseEvent(1000)), "CloseError 1000")
      yield* eventually(() => told.length === 1)
      assert.deepStrictEqual(told[0], [large.length, "CloseError 1000"])
      assert.strictEqual(yield* closing(new Socket.CloseEvent(1009, "too large")), "CloseError 1009")
      yield* eventually(() => told.length === 2)
      assert.strictEqual(told[1]![1], "ReadError ConnectionCut ECONNRESET")
    }))

  it.live("lets nobody take a stream whose writing failed or was interrupted for a whole one", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const told: Array<readonly [length: number, ending: string]> = []
      yield* serve(listener(told))
      const upload = (then: Effect.Effect<void, string>) =>
        Effect.exit(Effect.scoped(Effect.gen(function*() {
          const { write } = yield* admitted(socket)
          yield* write("the first half")
          yield* then
        })))
      yield* upload(Effect.void)
      yield* eventually(() => told.length === 1)
      yield* upload(Effect.fail("no second half"))
      yield* eventually(() => told.length === 2)
      yield* upload(Effect.interrupt)
      yield* eventually(() => told.length === 3)
      assert.deepStrictEqual(told.map(([, ending]) => ending), [
        "CloseError 1000",
        "ReadError ConnectionCut ECONNRESET",
        "ReadError ConnectionCut ECONNRESET"
      ])
    }))

  it.live("sends what was written by a program that ends well, though its reader is interrupted", () =>
    Effect.gen(function*() {
      const { serve, socket } = yield* setUp
      const told: Array<readonly [length: number, ending: string]> = []
      yield* serve(listener(told))
      const large = "x".repeat(1024 * 1024)
      yield* Effect.scoped(Effect.gen(function*() {
        const { write } = yield* socket.writer
        yield* Effect.forkScoped(read(socket))
        yield* write(large)
      }))
      yield* eventually(() => told.length === 1)
      assert.deepStrictEqual(told[0], [large.length, "CloseError 1000"])
    }))

  it.live("is a channel and a layer as well", () =>
    Effect.gen(function*() {
      const { serve, web } = yield* setUp
      yield* serve(echo)
      const said = yield* Stream.make("one", "two").pipe(
        Stream.pipeThroughChannel(MeshSocket.makeChannel({ service: "api" })),
        Stream.decodeText,
        Stream.catchReason("SocketError", "SocketCloseError", () => Stream.empty),
        Stream.mkString,
        Effect.provideContext(web)
      )
      assert.strictEqual(said, "onetwo")
      const layered = yield* Effect.flatMap(
        Socket.Socket,
        (socket) => Effect.all([read(socket), send(socket, "three")], { concurrency: "unbounded" })
      ).pipe(Effect.provide(MeshSocket.layer({ service: "api" })), Effect.provideContext(web))
      assert.strictEqual(layered[0].text, "three")
    }))
})
