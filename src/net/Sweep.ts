/**
 * Looks at many things together now and then: a plain timer, which costs next to nothing while there is nothing to see. An effect on
 * a Schedule would cost two fibers' worth of work each time, for each listener of each service of a process.
 */
import { Effect, type Scope } from "effect"

/** `look` runs as long as the scope is open, and never waits. If it throws, that is said, and it runs again all the same. */
export const every = (millis: () => number, look: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const report = Effect.runSyncWith(yield* Effect.context<never>())
    let timer: NodeJS.Timeout
    const lookNow = () => {
      wait()
      try {
        look()
      } catch (defect) {
        report(Effect.logError("a bug: what looks after open connections has failed", defect))
      }
    }
    const wait = () => {
      timer = setTimeout(lookNow, millis())
    }
    yield* Effect.acquireRelease(Effect.sync(wait), () => Effect.sync(() => clearTimeout(timer)))
  })
