/**
 * Lets a crowd connect to a service in turns. Thousands of handshakes at once share the CPU and end together, so late that all have run out of
 * time, and are made again. In turns each is quick; the time that it has for connecting begins with its turn.
 *
 * Once one has run out of time, the service is what is slow: then nobody waits for others any more, until one gets through.
 */
import { Effect, Semaphore } from "effect"
import type * as DialError from "./DialError.ts"

export interface Turns {
  readonly take: <A, R>(dial: Effect.Effect<A, DialError.DialError, R>) => Effect.Effect<A, DialError.DialError, R>
}

/** Connections that are made at a time: few enough to end in time on a busy machine, and more than a second's worth of round trips. */
const atATime = 128

export const make: Effect.Effect<Turns> = Effect.map(Semaphore.make(atATime), (turns) => {
  let isSlow = false
  const slow = (found: boolean) =>
    Effect.suspend(() => {
      if (found === isSlow) return Effect.void
      isSlow = found
      return turns.resize(found ? Infinity : atATime)
    })
  return {
    take: (dial) =>
      turns.withPermit(dial.pipe(
        Effect.tap(slow(false)),
        Effect.tapError(({ reason }) => reason._tag === "TimedOut" ? slow(true) : Effect.void)
      ))
  }
})
