/**
 * Fibers that a scope owns and that callbacks start: one for each connection, say. What a `FiberSet` does, for so many that its set
 * would keep the ended ones (see `Turnover`). A fiber that fails says so itself. What needs no fiber, as a relay, is owned in the same way.
 */
import { Effect, Fiber, Iterable, type Scope } from "effect"
import * as Turnover from "./Turnover.ts"

/** Something that goes on in callbacks. */
export interface Held {
  /** Ends it at once. Runs when the scope closes, unless it was released before. */
  readonly cut: () => void
}

export interface Fibers<in R> {
  /** Starts a fiber. Once the scope has closed it is interrupted at once. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, R>) => void
  /** Owns something until it is released. False: the scope has closed, and it must not begin. */
  readonly hold: (held: Held) => boolean
  /** It has ended. */
  readonly release: (held: Held) => void
  /** Waits until nothing is left. */
  readonly empty: Effect.Effect<void>
}

/** The scope interrupts all of them when it closes, and waits for their end. */
export const make = Effect.fnUntraced(function*<R = never>(): Effect.fn.Return<Fibers<R>, never, R | Scope.Scope> {
  const fork = Effect.runForkWith(yield* Effect.context<R>())
  const open = new Turnover.TurnoverSet<Fiber.Fiber<unknown, unknown>>()
  const held = new Turnover.TurnoverSet<Held>()
  const waiting = new Set<() => void>()
  let isClosed = false
  const release = (one: Held) => {
    if (!held.delete(one) || held.size > 0) return
    for (const wake of waiting) wake()
    waiting.clear()
  }
  const released = Effect.callback<void>((resume) => {
    if (held.size === 0) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    waiting.add(wake)
    return Effect.sync(() => waiting.delete(wake))
  })
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isClosed = true
      for (const one of held) {
        release(one)
        one.cut()
      }
      return Fiber.interruptAll([...open])
    })
  )
  return {
    run: (effect) => {
      if (isClosed) return
      const fiber = fork(effect)
      open.add(fiber)
      fiber.addObserver(() => open.delete(fiber))
    },
    hold: (one) => {
      if (!isClosed) held.add(one)
      return !isClosed
    },
    release,
    empty: Effect.whileLoop({
      while: () => open.size > 0 || held.size > 0,
      body: () => open.size > 0 ? Fiber.await(Iterable.headUnsafe(open)) : released,
      step: () => {}
    })
  }
})
