/** What tells a watch that the agent does not hold to ask at once: a change of something else, which is held. */
import { Effect, Queue, Scope, Stream } from "effect"
import type * as Watched from "./Watched.ts"

/**
 * Ends with the next change that has not been told yet; the value in force counts as one at first. `watch` begins when it is
 * first needed. A change is told after `delay`.
 */
export const of = <A>(
  watch: Effect.Effect<Watched.Watched<A>, never, Scope.Scope>,
  delay: Effect.Effect<void> = Effect.void
): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(Effect.all([Effect.scope, Queue.sliding<void>(1)]), ([scope, changes]) => {
    let begun = false
    const begin = Effect.suspend(() => {
      if (begun) return Effect.void
      begun = true
      return Stream.unwrap(Effect.map(watch, (watched) => watched.changes)).pipe(
        Stream.runForEach(() => Effect.andThen(delay, Queue.offer(changes, undefined))),
        Effect.forkIn(scope),
        Scope.provide(scope),
        Effect.asVoid
      )
    })
    return Effect.andThen(begin, Queue.take(changes))
  })
