/**
 * When requests have taken too long. All of a proxy are looked at together now and then, so that a request costs no timer,
 * and a byte a look at a number.
 */
import { Effect, type Scope } from "effect"
import * as Turnover from "../../net/Turnover.ts"

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

/** Costs nothing while there is nothing to watch. */
export class Deadlines {
  readonly #watched = new Turnover.TurnoverSet<Watched>()
  #timer: NodeJS.Timeout | undefined
  /** `performance.now()`, of the last look. */
  now = performance.now()

  add(watched: Watched): void {
    this.#watched.add(watched)
    if (this.#timer !== undefined) return
    this.now = performance.now()
    this.#timer = setInterval(lookNow, interval, this)
  }

  get size(): number {
    return this.#watched.size
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  look(now: number): void {
    this.now = now
    for (const watched of this.#watched) {
      if (now >= watched.deadline) watched.timedOut("request")
      else if (now - watched.heardAt > watched.idleMillis) watched.timedOut("idle")
    }
    if (this.#watched.size === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const lookNow = (deadlines: Deadlines): void => deadlines.look(performance.now())

/** Looks as long as the scope is open. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new Deadlines()),
  (deadlines) => Effect.sync(() => deadlines.stop())
)
