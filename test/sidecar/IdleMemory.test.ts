import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as IdleMemory from "../../src/sidecar/IdleMemory.ts"

const mebibyte = 1024 * 1024

/** A process that holds `least` once it was collected. */
const make = (least: number) => {
  const process = { held: 60 * mebibyte, utilization: 0, collections: 0 }
  const self: IdleMemory.Process = {
    read: Effect.sync(() => ({ held: process.held, utilization: process.utilization })),
    collect: Effect.sync(() => {
      process.held = least
      process.collections++
    })
  }
  return { process, self }
}

describe("memory of a process at rest", () => {
  it.effect("is given back after the start, and again after a load, but not while there is one", () =>
    Effect.gen(function*() {
      const { process, self } = make(30 * mebibyte)
      yield* Effect.forkChild(IdleMemory.lookAfter(self))
      process.utilization = 0.5
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(process.collections, 0)
      process.utilization = 0.001
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(process.collections, 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(process.collections, 1)
      process.held = 300 * mebibyte
      process.utilization = 0.9
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(process.collections, 1)
      process.utilization = 0.001
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(process.collections, 2)
      assert.strictEqual(process.held, 30 * mebibyte)
    }))

  it.effect("is given back where it has grown again after much of it had gone by itself", () =>
    Effect.gen(function*() {
      const { process, self } = make(300 * mebibyte)
      process.held = 400 * mebibyte
      yield* Effect.forkChild(IdleMemory.lookAfter(self))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(process.collections, 1)
      // Its connections have closed, and V8 has collected of itself.
      process.held = 60 * mebibyte
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(process.collections, 1)
      process.held = 200 * mebibyte
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(process.collections, 2)
    }))

  it.effect("stops the process once a minute at most, where it always comes back", () =>
    Effect.gen(function*() {
      const { process, self } = make(30 * mebibyte)
      const always: IdleMemory.Process = {
        ...self,
        read: Effect.tap(self.read, () => Effect.sync(() => process.held += 100 * mebibyte))
      }
      yield* Effect.forkChild(IdleMemory.lookAfter(always))
      yield* TestClock.adjust("10 minutes")
      assert.isAbove(process.collections, 1)
      assert.isAtMost(process.collections, 10)
    }))

  it.live("is collected by V8: what nobody holds any more is gone, and the young generation is small", () =>
    Effect.gen(function*() {
      const { collect, read } = yield* IdleMemory.own
      let garbage: Array<Array<number>> | undefined = []
      for (let i = 0; i < 20_000; i++) garbage.push(Array.from({ length: 200 }, () => i))
      const { held } = yield* read
      assert.isAbove(garbage.length, 0)
      garbage = undefined
      yield* collect
      const after = yield* read
      assert.isBelow(after.held, held - 20 * mebibyte)
    }))
})
