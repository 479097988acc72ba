import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Splice from "../../src/net/Splice.ts"
import * as Sockets from "../support/sockets.ts"

/** Both ends of one TCP connection. */
const connection = Effect.gen(function*() {
  const server = yield* Sockets.server(() => {})
  const near = yield* Sockets.connect(server.port)
  yield* Sockets.eventually(() => server.sockets.length === 1)
  return { near, far: server.sockets[0]! }
})

/** `left` and `right` are the outer ends of a relay. */
const relay = Effect.gen(function*() {
  const [one, other] = [yield* connection, yield* connection]
  const fiber = yield* Effect.forkScoped(
    Splice.splice(Splice.plain(one.far), Splice.plain(other.far)),
    { startImmediately: true }
  )
  return { left: one.near, right: other.near, inner: [one.far, other.far] as const, fiber }
})

describe("splice", () => {
  for (const [from, to] of [["left", "right"], ["right", "left"]] as const) {
    it.live(`carries an end from ${from} to ${to} while the other direction goes on`, () =>
      Effect.gen(function*() {
        const sides = yield* relay
        const [one, other] = [Sockets.record(sides[from]), Sockets.record(sides[to])]
        sides[from].end("question")
        assert.strictEqual(yield* other.ending, "ended")
        assert.strictEqual(other.text(), "question")
        sides[to].write("an answer ")
        yield* one.until("an answer ")
        sides[to].end("in two parts")
        assert.strictEqual(yield* one.ending, "ended")
        assert.strictEqual(one.text(), "an answer in two parts")
        assert.deepStrictEqual(yield* Fiber.join(sides.fiber), { _tag: "Ended" })
      }))

    it.live(`carries a reset from ${from} to ${to}`, () =>
      Effect.gen(function*() {
        const sides = yield* relay
        const other = Sockets.record(sides[to])
        sides[from].resetAndDestroy()
        assert.strictEqual(yield* other.ending, "ECONNRESET")
        assert.deepStrictEqual(yield* Fiber.join(sides.fiber), { _tag: "Broken", side: from, code: "ECONNRESET" })
        assert.deepStrictEqual(sides.inner.map(({ destroyed }) => destroyed), [true, true])
      }))
  }

  it.live("resets both sides when it is interrupted", () =>
    Effect.gen(function*() {
      const { fiber, left, right } = yield* relay
      const [one, other] = [Sockets.record(left), Sockets.record(right)]
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([yield* one.ending, yield* other.ending], ["ECONNRESET", "ECONNRESET"])
    }))

  it.live("closes a side that it resets while it is just ending", () =>
    Effect.gen(function*() {
      const { near, far } = yield* connection
      const side = Splice.plain(far)
      const other = Sockets.record(near)
      far.end("all of it")
      const closed = Effect.callback<void>((resume) => void far.once("close", () => resume(Effect.void)))
      yield* Effect.callback<void>((resume) => {
        const wait = () => {
          if (far.writableLength > 0) return void setImmediate(wait)
          side.reset()
          resume(Effect.void)
        }
        wait()
      })
      yield* closed
      assert.strictEqual(yield* other.ending, "ended")
      assert.strictEqual(other.text(), "all of it")
    }))

  it.live("is over at once when a side is closed already, and resets the other", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* connection, yield* connection]
      one.far.destroy()
      const outcome = yield* Splice.splice(Splice.plain(one.far), Splice.plain(other.far))
      assert.deepStrictEqual(outcome, { _tag: "Broken", side: "left", code: "closed" })
      assert.strictEqual(yield* Sockets.record(other.near).ending, "ECONNRESET")
    }))

  it.live("holds no more than the sockets' buffers for a reader that does not read", () =>
    Effect.gen(function*() {
      const { inner, left, right } = yield* relay
      right.pause()
      const block = Buffer.alloc(65_536)
      let written = 0
      const fill = () => {
        while (left.write(block)) written += block.length
        written += block.length
      }
      left.on("drain", fill)
      fill()
      // Nothing moves once the buffers of all five sockets are full.
      let before = -1
      yield* Effect.gen(function*() {
        while (before !== inner[0].bytesRead) {
          before = inner[0].bytesRead
          yield* Effect.sleep("50 millis")
        }
      })
      const held = inner.map((socket) => socket.readableLength + socket.writableLength)
      assert.isAtMost(Math.max(...held), 4 * 65_536)
      assert.isAbove(written, 0)
      left.off("drain", fill)

      const record = Sockets.record(right)
      right.resume()
      left.end()
      assert.strictEqual(yield* record.ending, "ended")
      assert.strictEqual(record.bytes(), written)
    }))

  it.live("carries a megabyte each way unharmed", () =>
    Effect.gen(function*() {
      const { left, right } = yield* relay
      const data = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 7919) >> 3 & 0xff))
      const [one, other] = [Sockets.record(left), Sockets.record(right)]
      left.end(data)
      right.end(data)
      yield* one.ending
      yield* other.ending
      assert.strictEqual(one.bytes(), data.length)
      assert.isTrue(other.text() === data.toString())
    }))
})
