import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as Leaving from "../../src/sidecar/Leaving.ts"

/** A sidecar whose connections end when the test says so, and what was done to it. */
const setUp = Effect.fnUntraced(function*(options: Leaving.Options) {
  const done: Array<string> = []
  const ended = { inbound: yield* Deferred.make<void>(), outbound: yield* Deferred.make<void>() }
  const scope = yield* Scope.make()
  const leaving = yield* Leaving.make({
    name: "web-sidecar-proxy",
    announce: Effect.sync(() => void done.push("announced")),
    close: (direction) =>
      Effect.andThen(Effect.sync(() => void done.push(direction)), Deferred.await(ended[direction])),
    open: () => 2
  }, options).pipe(Scope.provide(scope))
  const end = (direction: "inbound" | "outbound") => Deferred.succeed(ended[direction], undefined)
  return { leaving, done, end, close: Scope.close(scope, Exit.void) }
})

const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

const lines = Effect.map(TestConsole.logLines, (logged) => JSON.stringify(logged))

describe("Leaving", () => {
  it.effect("tells callers and serves them, then closes to them, and to the application last", () =>
    Effect.gen(function*() {
      const { done, end, leaving } = yield* setUp({ shutdownDelay: "2 seconds", drain: "10 seconds" })
      const left = yield* Effect.forkChild(leaving.leave)
      yield* settle
      assert.deepStrictEqual([leaving.phase(), ...done], ["leaving", "announced"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([leaving.phase(), ...done], ["draining", "announced", "inbound"])
      yield* end("inbound")
      yield* settle
      assert.deepStrictEqual(done, ["announced", "inbound", "outbound"])
      yield* end("outbound")
      yield* Fiber.join(left)
      assert.strictEqual(leaving.phase(), "gone")
      assert.notInclude(yield* lines, "did not end")
    }))

  it.effect("waits for open connections as long as it may, and says how many are cut", () =>
    Effect.gen(function*() {
      const { done, leaving } = yield* setUp({ drain: "10 seconds" })
      const left = yield* Effect.forkChild(leaving.leave)
      yield* settle
      assert.deepStrictEqual(
        [leaving.phase(), ...done],
        ["draining", "inbound"],
        "nobody would have time to hear of it"
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(left)
      assert.include(yield* lines, "2 connections did not end within 10s, and are cut")
    }))

  it.effect("leaves once, and goes on when whoever asked for it does not wait", () =>
    Effect.gen(function*() {
      const { close, done, end, leaving } = yield* setUp({ shutdownDelay: "1 second" })
      const asked = yield* Effect.forkChild(leaving.leave)
      yield* settle
      yield* Fiber.interrupt(asked)
      const closed = yield* Effect.forkChild(close)
      const again = yield* Effect.forkChild(leaving.leave)
      yield* TestClock.adjust("1 second")
      yield* end("inbound")
      yield* end("outbound")
      yield* Effect.all([Fiber.join(closed), Fiber.join(again), leaving.left])
      assert.deepStrictEqual(done, ["announced", "inbound", "outbound"])
    }))

  it.effect("leaves when its scope closes", () =>
    Effect.gen(function*() {
      const { close, done, end, leaving } = yield* setUp({})
      yield* end("inbound")
      yield* end("outbound")
      yield* close
      assert.deepStrictEqual([leaving.phase(), ...done], ["gone", "inbound", "outbound"])
    }))
})
