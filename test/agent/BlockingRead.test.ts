import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as BlockingRead from "../../src/agent/BlockingRead.ts"
import * as Store from "../../src/agent/Store.ts"

/** A store with one value, and a read of it. */
const counter = () => {
  const store = Store.make()
  let value = 0
  const set = (next: number) =>
    store.commit((index) => {
      value = next
      return [index, ["config"]]
    })
  const read = (index?: bigint, wait?: Duration.Input) =>
    BlockingRead.read(store, { index, wait: wait === undefined ? undefined : Duration.fromInputUnsafe(wait) }, {
      topics: ["config"],
      read: () => value
    })
  return { store, set, read }
}

describe("BlockingRead", () => {
  it.effect("answers at once without an index, and never with index 0", () =>
    Effect.gen(function*() {
      const { read } = counter()
      assert.deepStrictEqual(yield* read(), { index: 1, value: 0 })
      assert.deepStrictEqual(yield* read(0n), { index: 1, value: 0 })
    }))

  it.effect("answers at once when the index is behind", () =>
    Effect.gen(function*() {
      const { read, set } = counter()
      const index = set(7)
      assert.deepStrictEqual(yield* read(1n), { index, value: 7 })
    }))

  it.effect("waits for the next change", () =>
    Effect.gen(function*() {
      const { read, set, store } = counter()
      const before = set(1)
      const waiting = yield* Effect.forkChild(read(BigInt(before)), { startImmediately: true })
      assert.strictEqual(store.waiting(), 1)
      store.commit(() => [undefined, ["nodes"]])
      assert.strictEqual(store.waiting(), 1)
      const after = set(2)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { index: after, value: 2 })
    }))

  it.effect("answers with what it has when the wait is over, within a sixteenth more", () =>
    Effect.gen(function*() {
      const { read, set } = counter()
      const index = set(1)
      const waiting = yield* Effect.forkChild(read(BigInt(index), "16 seconds"), { startImmediately: true })
      yield* TestClock.adjust("15999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1001 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { index, value: 1 })
    }))

  it.effect("waits five minutes when not told, and ten at most", () =>
    Effect.gen(function*() {
      assert.isTrue(
        Duration.isGreaterThanOrEqualTo(yield* BlockingRead.jittered(Duration.hours(5)), Duration.minutes(10))
      )
      assert.isTrue(Duration.isLessThan(yield* BlockingRead.jittered(Duration.hours(5)), Duration.seconds(638)))
      assert.isTrue(Duration.isGreaterThanOrEqualTo(yield* BlockingRead.jittered(Duration.zero), Duration.minutes(5)))
    }))

  it.effect("is forgotten when it is interrupted", () =>
    Effect.gen(function*() {
      const { read, set, store } = counter()
      const waiting = yield* Effect.forkChild(read(BigInt(set(1))), { startImmediately: true })
      assert.strictEqual(store.waiting(), 1)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(store.waiting(), 0)
    }))

  it.effect("sleeps on when a change left the value as it was", () =>
    Effect.gen(function*() {
      const { set, store } = counter()
      let value = "a"
      const index = set(1)
      const waiting = yield* Effect.forkChild(
        BlockingRead.read(store, { index: BigInt(index) }, {
          topics: ["config"],
          read: () => value,
          suppress: (before, after) => before === after
        }),
        { startImmediately: true }
      )
      set(2)
      yield* Effect.yieldNow
      assert.strictEqual(store.waiting(), 1)
      value = "b"
      const after = set(3)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { index: after, value: "b" })
    }))
})
