import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulError from "../../src/consul/ConsulError.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as scrape from "../support/scrape.ts"

interface Value {
  readonly name: string
}

const down = ConsulError.fromStatus("GET /v1/x", 403, "ACL not found")

/** A watched value that hears what the test says. */
const spoken = Effect.gen(function*() {
  const queue = yield* Queue.make<BlockingQuery.Observation<Value>>()
  const watched = yield* Watched.make(
    { what: "the value", watch: "intentions", subject: "api" },
    Stream.fromQueue(queue)
  )
  const answer = (name: string, at = 0) =>
    Effect.andThen(Queue.offer(queue, { _tag: "Answer", value: { name }, at }), TestClock.adjust(0))
  const fail = Effect.andThen(Queue.offer(queue, { _tag: "Failure", error: down, at: 0 }), TestClock.adjust(0))
  return { watched, answer, fail }
})

const follow = <A>(watched: Watched.Watched<A>) =>
  Effect.gen(function*() {
    const seen: Array<A> = []
    yield* Effect.forkScoped(Stream.runForEach(watched.changes, (value) => Effect.sync(() => seen.push(value))), {
      startImmediately: true
    })
    yield* TestClock.adjust(0)
    return seen
  })

describe("Watched", () => {
  it.effect("has no value before the first answer, and waits for it when asked", () =>
    Effect.gen(function*() {
      const { answer, watched } = yield* spoken
      const waiting = yield* Effect.forkChild(watched.get, { startImmediately: true })
      assert.strictEqual(watched.latest(), undefined)
      yield* answer("a")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { name: "a" })
      assert.deepStrictEqual(watched.latest(), { name: "a" })
    }))

  it.effect("keeps its value through failures, and says how stale it is", () =>
    Effect.gen(function*() {
      const { answer, fail, watched } = yield* spoken
      yield* answer("a", 1000)
      yield* fail
      yield* fail
      assert.deepStrictEqual(watched.latest(), { name: "a" })
      assert.deepStrictEqual(watched.freshness(), { answeredAt: 1000, failures: 2, lastError: down.message })
      yield* answer("a", 2000)
      assert.deepStrictEqual(watched.freshness(), { answeredAt: 2000, failures: 0, lastError: undefined })
    }))

  it.effect("shows in the metrics for how long it has not been answered, and nothing once it is gone", () =>
    Effect.gen(function*() {
      const metrics = Effect.map(
        scrape.samples,
        (samples) =>
          ["staleness_seconds", "answered_timestamp_seconds", "failures_total"].map((name) =>
            samples[`mesh_watch_${name}{watch="intentions",subject="api"}`]
          )
      )
      yield* Effect.gen(function*() {
        const { answer, fail } = yield* spoken
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* metrics, [5, 0, 0], "before the first answer it is waited for")
        yield* answer("a", 5000)
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(yield* metrics, [0, 5, 0], "an agent that has no news is not silent")
        yield* fail
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* metrics, [301, 5, 1])
        yield* answer("a", 306_000)
        assert.deepStrictEqual(yield* metrics, [0, 306, 1])
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* metrics, [undefined, undefined, 1])
    }).pipe(scrape.fresh))

  it.effect("stays in force for an hour without the agent, which is asked once a minute, and is current a minute later", () =>
    Effect.gen(function*() {
      let away = false
      let asked = 0
      const watched = yield* Watched.make(
        { what: "the value", watch: "intentions", subject: "api" },
        BlockingQuery.byIndex(
          "GET /v1/x",
          () => (asked++,
            away ? Effect.fail(down) : Effect.delay(Effect.succeed({ value: "a", cursor: 1n }), "2 seconds"))
        )
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(watched.latest(), "a")
      away = true
      yield* TestClock.adjust("5 minutes")
      const { answeredAt, failures } = watched.freshness()
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(watched.latest(), "a")
      assert.strictEqual(watched.freshness().answeredAt, answeredAt)
      assert.strictEqual(watched.freshness().lastError, down.message)
      const inAnHour = watched.freshness().failures - failures
      assert.isTrue(inAnHour >= 50 && inAnHour <= 75, `${inAnHour} attempts`)
      away = false
      const before = asked
      yield* TestClock.adjust("75 seconds")
      assert.isAbove(asked, before)
      assert.strictEqual(watched.freshness().failures, 0)
      assert.isAbove(watched.freshness().answeredAt!, answeredAt! + 3_600_000)
    }))

  it.effect("announces the value in force, then only what differs", () =>
    Effect.gen(function*() {
      const { answer, watched } = yield* spoken
      yield* answer("a")
      const seen = yield* follow(watched)
      for (const name of ["a", "b", "b", "a"]) yield* answer(name)
      assert.deepStrictEqual(seen.map((value) => value.name), ["a", "b", "a"])
    }))

  it.effect("gives up waiting with the reason of the last failure", () =>
    Effect.gen(function*() {
      const { fail, watched } = yield* spoken
      yield* fail
      const waiting = yield* Effect.forkChild(Effect.flip(Watched.readyWithin(watched, "10 seconds")))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.message, `the value did not arrive within 10s: ${down.message}`)
    }))

  it.effect("derives once for each value, however often it is asked", () =>
    Effect.gen(function*() {
      const { answer, watched } = yield* spoken
      let derived = 0
      const length = Watched.map(watched, "its length", ({ name }) => {
        derived++
        return { length: name.length }
      })
      const seen = yield* follow(length)
      assert.strictEqual(length.latest(), undefined)
      yield* answer("a")
      assert.strictEqual(length.latest(), length.latest())
      yield* answer("b")
      yield* answer("ccc")
      assert.deepStrictEqual(seen, [{ length: 1 }, { length: 3 }])
      assert.strictEqual(derived, 3)
    }))

  it.effect("waits for what may not be there, and keeps it where it is gone again", () =>
    Effect.gen(function*() {
      const { answer, watched } = yield* spoken
      const long = Watched.mapSome(watched, "a long name", ({ name }) => name.length > 1 ? name : undefined)
      const seen = yield* follow(long)
      yield* answer("a")
      assert.isUndefined(long.latest())
      yield* answer("bb")
      assert.strictEqual(yield* long.get, "bb")
      yield* answer("c")
      assert.strictEqual(long.latest(), "bb")
      yield* answer("dd")
      assert.deepStrictEqual(seen, ["bb", "dd"])
    }))

  it.effect("joins two values once both are there, and is as stale as the staler", () =>
    Effect.gen(function*() {
      const a = yield* spoken
      const b = yield* spoken
      const both = Watched.zip(a.watched, b.watched, "both")
      const seen = yield* follow(both)
      yield* a.answer("a")
      assert.strictEqual(both.latest(), undefined)
      yield* b.answer("b")
      yield* b.answer("c")
      assert.strictEqual(both.latest(), both.latest())
      assert.deepStrictEqual(seen.map(([a, b]) => a.name + b.name), ["ab", "ac"])
      yield* b.fail
      assert.strictEqual(both.freshness().failures, 1)
    }))

  it.effect("is followed once for many who follow it, if it is shared", () =>
    Effect.gen(function*() {
      const { answer, watched } = yield* spoken
      let followers = 0
      const counted = Stream.suspend(() => {
        followers++
        return watched.changes
      })
      const shared = yield* Watched.shared({ ...watched, changes: counted })
      const [one, other] = [yield* follow(shared), yield* follow(shared)]
      yield* answer("a")
      yield* answer("b")
      const late = yield* follow(shared)
      yield* answer("c")
      assert.deepStrictEqual([one, other, late].map((seen) => seen.map(({ name }) => name).join("")), [
        "abc",
        "abc",
        "bc"
      ])
      assert.strictEqual(shared.latest(), watched.latest())
      assert.strictEqual(followers, 1)
    }))

  it.effect("follows a reference in tests", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make({ name: "a" })
      const watched = Watched.fromRef("the value", ref)
      const seen = yield* follow(watched)
      yield* SubscriptionRef.set(ref, { name: "b" })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(watched.latest(), { name: "b" })
      assert.deepStrictEqual(seen.map((value) => value.name), ["a", "b"])
    }))
})
