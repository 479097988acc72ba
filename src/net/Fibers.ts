/**
 * Fibers that a scope owns and that callbacks start: one for each connection, say. What a `FiberSet` does, for so many that its set
 * would keep the ended ones (see `Turnover`). A fiber that fails says so itself.
 */
import { Effect, Fiber, Iterable, type Scope } from "effect"
import * as Turnover from "./Turnover.ts"

export interface Fibers<in R> {
  /** Starts a fiber. Once the scope has closed it is interrupted at once. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, R>) => void
  /** Waits until none is left. */
  readonly empty: Effect.Effect<void>
}

/** The scope interrupts all of them when it closes, and waits for their end. */
export const make = Effect.fnUntraced(function*<R = never>(): Effect.fn.Return<Fibers<R>, never, R | Scope.Scope> {
  const fork = Effect.runForkWith(yield* Effect.context<R>())
  const open = new Turnover.TurnoverSet<Fiber.Fiber<unknown, unknown>>()
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isClosed = true
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
    empty: Effect.whileLoop({
      while: () => open.size > 0,
      body: () => Fiber.await(Iterable.headUnsafe(open)),
      step: () => {}
    })
  }
})
