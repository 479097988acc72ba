/**
 * When requests have taken too long. All of a proxy are looked at together now and then, so that a request costs no timer,
 * and a byte a look at a number.
 */
import { Effect, Schedule, type Scope } from "effect"

/** How often, in milliseconds. */
const interval = 20

export interface Watched {
  /** When it is to be over; Infinity: whenever. */
  readonly deadline: number
  /** When somebody was last heard, as `now` of the deadlines. */
  readonly heardAt: number
  /** How long nobody needs to be heard; Infinity: for ever. */
  readonly idleMillis: number
  readonly timedOut: (why: "request" | "idle") => void
}

export class Deadlines {
  readonly #watched = new Set<Watched>()
  /** `performance.now()`, of the last look. */
  now = performance.now()

  add(watched: Watched): void {
    this.#watched.add(watched)
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  get size(): number {
    return this.#watched.size
  }

  look(now: number): void {
    this.now = now
    for (const watched of this.#watched) {
      if (now >= watched.deadline) watched.timedOut("request")
      else if (now - watched.heardAt > watched.idleMillis) watched.timedOut("idle")
    }
  }
}

/** Looks as long as the scope is open. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const deadlines = new Deadlines()
  const look = Effect.sync(() => deadlines.look(performance.now()))
  yield* Effect.forkScoped(Effect.schedule(look, Schedule.spaced(interval)))
  return deadlines
})
