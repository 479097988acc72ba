import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Queue, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulError from "../../src/consul/ConsulError.ts"

const down = ConsulError.fromStatus("GET /v1/x", 500, "No cluster leader")

const policy: BlockingQuery.Policy = {
  wait: "5 minutes",
  grace: "10 seconds",
  backoff: Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("8 seconds")]),
  burst: 100,
  interval: "10 seconds"
}

/** A query whose requests are recorded and answered one by one; what comes out is written as text. */
const scripted = (burst = policy.burst) =>
  Effect.gen(function*() {
    const asked: Array<string> = []
    const answers = yield* Queue.make<Effect.Effect<BlockingQuery.Answer<string, bigint>, ConsulError.ConsulError>>()
    const seen: Array<string> = []
    const query: BlockingQuery.Query<string, bigint> = ({ cursor, wait }) => {
      asked.push(cursor === undefined ? "now" : `${cursor} for ${wait}`)
      return Effect.flatten(Queue.take(answers))
    }
    const fiber = yield* BlockingQuery.byIndex("GET /v1/x", query).pipe(
      Stream.runForEach((o) => Effect.sync(() => seen.push(o._tag === "Answer" ? o.value : o.error.reason._tag))),
      Effect.provideService(BlockingQuery.Policy, { ...policy, burst }),
      Effect.forkChild({ startImmediately: true })
    )
    const answer = (value: string, cursor: bigint | undefined) =>
      Queue.offer(answers, Effect.succeed({ value, cursor }))
    const fail = Queue.offer(answers, Effect.fail(down))
    // Gives the fiber its turns without moving time.
    const settle = TestClock.adjust(0)
    return { asked, seen, answer, fail, fiber, settle }
  })

describe("BlockingQuery", () => {
  it.effect("asks at once first, then with the last index and an explicit wait", () =>
    Effect.gen(function*() {
      const { answer, asked, seen, settle } = yield* scripted()
      yield* answer("a", 7n)
      yield* answer("b", 9n)
      yield* settle
      assert.deepStrictEqual(asked, ["now", "7 for 300000ms", "9 for 300000ms"])
      assert.deepStrictEqual(seen, ["a", "b"])
    }))

  it.effect("starts over when the index goes backwards", () =>
    Effect.gen(function*() {
      const { answer, asked, settle } = yield* scripted()
      yield* answer("a", 7n)
      yield* answer("b", 3n)
      yield* settle
      assert.deepStrictEqual(asked, ["now", "7 for 300000ms", "now"])
    }))

  it.effect("asks with 1 after an index of 0, which would not block", () =>
    Effect.gen(function*() {
      const { answer, asked, settle } = yield* scripted()
      yield* answer("a", 0n)
      yield* settle
      assert.deepStrictEqual(asked, ["now", "1 for 300000ms"])
    }))

  it.effect("keeps asking with an index that has not changed when the wait was over", () =>
    Effect.gen(function*() {
      const { answer, asked, seen, settle } = yield* scripted()
      yield* answer("a", 7n)
      yield* answer("a", 7n)
      yield* settle
      assert.deepStrictEqual(asked, ["now", "7 for 300000ms", "7 for 300000ms"])
      assert.deepStrictEqual(seen, ["a", "a"])
    }))

  it.effect("forgets the index on a failure, and waits longer after each one", () =>
    Effect.gen(function*() {
      const { answer, asked, fail, seen, settle } = yield* scripted()
      yield* answer("a", 7n)
      yield* fail
      yield* settle
      assert.deepStrictEqual(asked, ["now", "7 for 300000ms"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(asked, ["now", "7 for 300000ms", "now"])
      yield* fail
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(asked.length, 3)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(asked.length, 4)
      assert.deepStrictEqual(seen, ["a", "ServerError", "ServerError"])
    }))

  it.effect("caps the delay, and starts it over with the next answer", () =>
    Effect.gen(function*() {
      const { answer, asked, fail, settle } = yield* scripted()
      for (let i = 0; i < 6; i++) {
        yield* fail
        yield* TestClock.adjust("8 seconds")
      }
      assert.strictEqual(asked.length, 7)
      yield* answer("a", 7n)
      yield* fail
      yield* settle
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(asked.length, 8)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(asked.length, 9)
    }))

  it.effect("gives up on an agent that hangs, after the wait, its jitter and the grace", () =>
    Effect.gen(function*() {
      const { answer, seen, settle } = yield* scripted()
      yield* answer("a", 7n)
      yield* settle
      yield* TestClock.adjust(300_000 * 17 / 16 + 10_000 - 1)
      assert.deepStrictEqual(seen, ["a"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(seen, ["a", "TimedOut"])
    }))

  it.effect("takes an answer without an index for a failure, for it cannot be followed", () =>
    Effect.gen(function*() {
      const { answer, seen, settle } = yield* scripted()
      yield* answer("a", undefined)
      yield* settle
      assert.deepStrictEqual(seen, ["Undecodable"])
    }))

  it.effect("never hammers an agent that answers all the time", () =>
    Effect.gen(function*() {
      const { answer, asked, settle } = yield* scripted(3)
      for (let i = 1; i <= 50; i++) yield* answer(`${i}`, BigInt(i))
      yield* settle
      assert.strictEqual(asked.length, 3)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked.length, 4)
      yield* TestClock.adjust("100 seconds")
      assert.strictEqual(asked.length, 14)
    }))

  it.effect("goes on when the clock is set back", () =>
    Effect.gen(function*() {
      const { answer, asked, settle } = yield* scripted(3)
      yield* TestClock.setTime(3_600_000)
      yield* answer("a", 1n)
      yield* settle
      const before = asked.length
      yield* TestClock.setTime(0)
      yield* answer("b", 2n)
      yield* settle
      assert.strictEqual(asked.length, before + 1)
    }))

  it.effect("cancels the request when nobody listens any more", () =>
    Effect.gen(function*() {
      let cancelled = false
      const query = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => (cancelled = true)))
      const fiber = yield* Effect.forkChild(Stream.runDrain(BlockingQuery.byIndex("GET /v1/x", query)), {
        startImmediately: true
      })
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(cancelled)
    }))

  it.effect("follows a content hash as opaque text", () =>
    Effect.gen(function*() {
      const asked: Array<string | undefined> = []
      const hashes = ["af5e", "f4c6"]
      const query: BlockingQuery.Query<string, string> = ({ cursor }) => {
        asked.push(cursor)
        const hash = hashes.shift()
        return hash === undefined ? Effect.never : Effect.succeed({ value: hash, cursor: hash })
      }
      yield* Effect.forkChild(Stream.runDrain(BlockingQuery.byHash("GET /v1/x", query)), { startImmediately: true })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(asked, [undefined, "af5e", "f4c6"])
    }))
})

describe("BlockingQuery.polled", () => {
  const polling = (answers: (attempt: number) => Effect.Effect<string, ConsulError.ConsulError>) =>
    Effect.gen(function*() {
      const askedAt: Array<number> = []
      const seen: Array<string> = []
      const ask = Effect.gen(function*() {
        askedAt.push(yield* Clock.currentTimeMillis)
        return yield* answers(askedAt.length)
      })
      yield* BlockingQuery.polled("GET /v1/x", "30 seconds", () => ask).pipe(
        Stream.runForEach((o) => Effect.sync(() => seen.push(o._tag === "Answer" ? o.value : o.error.reason._tag))),
        Effect.provideService(BlockingQuery.Policy, policy),
        Effect.forkChild({ startImmediately: true })
      )
      return { askedAt, seen }
    })

  it.effect("asks at once, then every interval, up to a tenth earlier", () =>
    Effect.gen(function*() {
      const { askedAt, seen } = yield* polling((attempt) => Effect.succeed(String(attempt)))
      yield* TestClock.adjust("10 minutes")
      const gaps = askedAt.slice(1).map((at, index) => at - askedAt[index]!)
      assert.strictEqual(askedAt[0], 0)
      assert.isTrue(gaps.every((gap) => gap >= 27_000 && gap <= 30_000), gaps.join())
      assert.isAbove(new Set(gaps).size, 1)
      assert.strictEqual(seen.length, askedAt.length)
    }))

  it.effect("asks sooner again after failures, by the schedule for these", () =>
    Effect.gen(function*() {
      const { askedAt, seen } = yield* polling((attempt) => attempt < 3 ? Effect.fail(down) : Effect.succeed("a"))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(askedAt, [0, 1000, 3000])
      assert.deepStrictEqual(seen, ["ServerError", "ServerError", "a"])
    }))
})
