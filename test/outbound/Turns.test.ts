import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as DialError from "../../src/outbound/DialError.ts"
import * as Turns from "../../src/outbound/Turns.ts"

const timedOut = new DialError.DialError({
  service: "api",
  attempts: 1,
  reason: new DialError.TimedOut({ what: "TLS handshake", millis: 5000 })
})

/** `crowd` dials that each take a second of a CPU that all share, and have five. */
const crowded = Effect.fnUntraced(function*(crowd: number) {
  const turns = yield* Turns.make
  const seen = { most: 0, now: 0 }
  const dial = Effect.gen(function*() {
    seen.most = Math.max(seen.most, ++seen.now)
    yield* Effect.sleep("1 second")
    seen.now--
  })
  const all = yield* Effect.forkChild(
    Effect.forEach(Array.from({ length: crowd }), () => turns.take(dial), { concurrency: "unbounded", discard: true })
  )
  return { seen, all }
})

describe("Turns", () => {
  it.effect("lets a crowd in, some at a time", () =>
    Effect.gen(function*() {
      const { all, seen } = yield* crowded(300)
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(all)))
      assert.strictEqual(seen.most, 128)
    }))

  it.effect("keeps nobody waiting for others once one has run out of time, until one gets through", () =>
    Effect.gen(function*() {
      const turns = yield* Turns.make
      const started = { count: 0 }
      const silent = Effect.suspend(() => {
        started.count++
        return Effect.delay(Effect.fail(timedOut), "5 seconds")
      })
      const crowd = (length: number) =>
        Effect.forkChild(Effect.forEach(Array.from({ length }), () => Effect.exit(turns.take(silent)), {
          concurrency: "unbounded",
          discard: true
        }))
      const all = yield* crowd(500)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(started.count, 128)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(started.count, 500)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.await(all)
      yield* turns.take(Effect.void)
      const again = yield* crowd(200)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(started.count, 628)
      yield* Fiber.interrupt(again)
    }))

  it.effect("gives the turn of who leaves to the next one", () =>
    Effect.gen(function*() {
      const turns = yield* Turns.make
      const leaving = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 200 }), () => turns.take(Effect.never), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(leaving)
      assert.strictEqual(yield* turns.take(Effect.succeed("in")), "in")
    }))
})
