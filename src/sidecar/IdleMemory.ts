/**
 * Gives memory back that a process at rest does not need.
 *
 * V8 collects when it needs room. A process that has started, or that had much to do, therefore keeps what it had at its busiest: a young
 * generation of up to 32 MiB, compiled code that ran once, and buffers that wait for the next collection. Collecting everything ends that, but stops
 * the process for 50 to 100 ms, and the next load has half the rate until its code is compiled again: so it is done where next to nothing went on for
 * a minute, and where there is something to gain.
 */
import { performance } from "node:perf_hooks"
import * as V8 from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect, type Scope } from "effect"

/** How a process does. */
export interface Reading {
  /** What V8 has of the system, and what it keeps alive outside, in bytes. */
  readonly held: number
  /** Share of the time since the reading before in which it had something to do. */
  readonly utilization: number
}

export interface Process {
  readonly read: Effect.Effect<Reading>
  readonly collect: Effect.Effect<void>
}

const interval = "1 minute"

/** With fifty services in a process, at rest. */
const busy = 0.05

const worthwhile = 8 * 1024 * 1024

/** Looks after `self` for ever. */
export const lookAfter = Effect.fnUntraced(function*(self: Process): Effect.fn.Return<never> {
  /** What it held after it was collected, or less where it has let go of it by itself. */
  let least = 0
  for (;;) {
    yield* Effect.sleep(interval)
    const { held, utilization } = yield* self.read
    least = Math.min(least, held)
    if (utilization >= busy || held < least + worthwhile) continue
    yield* self.collect
    least = (yield* self.read).held
  }
})

/** This process. V8 lends its collector only to who sets a flag, and then to new contexts. */
export const own = Effect.sync((): Process => {
  V8.setFlagsFromString("--expose-gc")
  const collect: (options: object) => void = runInNewContext("gc")
  V8.setFlagsFromString("--no-expose-gc")
  let before = performance.eventLoopUtilization()
  return {
    read: Effect.sync(() => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      const { external, heapTotal } = process.memoryUsage()
      return { held: heapTotal + external, utilization }
    }),
    // What memory is collected for that has run out: with compiled code, and with the pages of the young generation.
    collect: Effect.sync(() => collect({ type: "major", execution: "sync", flavor: "last-resort" }))
  }
})

/** For the executables, for as long as the scope is open. */
export const giveBack: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
  Effect.flatMap(own, (self) => Effect.forkScoped(lookAfter(self)))
)
