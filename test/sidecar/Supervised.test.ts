import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schedule, type Scope } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as Listening from "../../src/net/Listening.ts"
import * as Listener from "../../src/sidecar/Listener.ts"
import * as Supervised from "../../src/sidecar/Supervised.ts"
import * as Sidecars from "../support/sidecars.ts"

const taken = new Listening.ListenError({ address: "127.0.0.1:80", code: "EADDRINUSE" })

const listener: Listener.Listener = {
  address: "127.0.0.1:80",
  counts: () => Listener.none,
  details: Listener.noDetails,
  update: () => Effect.void,
  announce: Effect.void,
  stop: Effect.void,
  idle: Effect.void
}

/** What each attempt opens before it binds, and how many of those are open. */
const supervise = (
  outcome: (attempt: number) => Effect.Effect<Listener.Listener, Listening.ListenError>,
  rebind: Schedule.Schedule<unknown> | undefined
) => {
  let attempts = 0
  let open = 0
  const resource: Effect.Effect<number, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => ++open),
    () => Effect.sync(() => open--)
  )
  const made = Supervised.make({
    name: "public",
    wanted: Sidecars.registration("web"),
    start: () => Effect.andThen(resource, Effect.suspend(() => outcome(++attempts))),
    rebind
  })
  return { ...made, attempts: () => attempts, open: () => open }
}

const lines = Effect.map(TestConsole.logLines, (logged) => JSON.stringify(logged))

describe("Supervised", () => {
  it.effect("leaves nothing of an attempt that failed", () =>
    Effect.gen(function*() {
      const it = supervise(
        (attempt) => attempt < 50 ? Effect.fail(taken) : Effect.succeed(listener),
        Schedule.spaced("3 seconds")
      )
      const fiber = yield* Effect.forkChild(it.run)
      yield* TestClock.adjust("30 seconds")
      assert.isAbove(it.attempts(), 9)
      assert.strictEqual(it.open(), 0)
      assert.strictEqual(it.supervised.state()._tag, "Failed")
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(it.supervised.state()._tag, "Listening")
      assert.deepStrictEqual([it.attempts(), it.open()], [50, 1])
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(it.open(), 0)
    }))

  it.effect("tells whoever waits for the only attempt how it went, whatever that was", () =>
    Effect.gen(function*() {
      for (const outcome of [Effect.fail(taken), Effect.die(new RangeError("no such port"))]) {
        const it = supervise(() => outcome, undefined)
        yield* it.run
        assert.deepStrictEqual(yield* Effect.exit(it.supervised.bound), yield* Effect.exit(outcome))
        assert.strictEqual(it.supervised.state()._tag, "Failed")
        assert.strictEqual(it.open(), 0)
      }
      assert.include(yield* lines, "no such port")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.effect("says once that it met a defect, and tries again as after any failure", () =>
    Effect.gen(function*() {
      const it = supervise(
        (attempt) => attempt < 3 ? Effect.die(new RangeError("no such port")) : Effect.succeed(listener),
        Schedule.spaced("3 seconds")
      )
      const fiber = yield* Effect.forkChild(it.run)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(it.supervised.state()._tag, "Listening")
      assert.strictEqual((yield* lines).split("Trying again").length, 2)
      assert.include(yield* lines, "no such port")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.effect("keeps nobody waiting for a listener that went before it had bound", () =>
    Effect.gen(function*() {
      const it = supervise(() => Effect.never, undefined)
      const fiber = yield* Effect.forkChild(it.run, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const exit = yield* Effect.exit(it.supervised.bound)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))
      assert.strictEqual(it.open(), 0)
    }))

  it.effect("applies what was registered while it was binding, once it listens", () =>
    Effect.gen(function*() {
      const binding = yield* Deferred.make<void>()
      const limits: Array<number> = []
      const update: Listener.Listener["update"] = (next) => Effect.sync(() => limits.push(next.maxInboundConnections))
      const it = supervise(() => Effect.as(Deferred.await(binding), { ...listener, update }), undefined)
      const fiber = yield* Effect.forkChild(it.run, { startImmediately: true })
      yield* it.supervised.update(Sidecars.registration("web", { maxInboundConnections: 1 }))
      yield* it.supervised.update(Sidecars.registration("web", { maxInboundConnections: 2 }))
      yield* Deferred.succeed(binding, undefined)
      yield* it.supervised.bound
      assert.deepStrictEqual(limits, [2])
      yield* Fiber.interrupt(fiber)
    }))
})
