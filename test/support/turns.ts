/** The turns of the event loop, counted until the scope closes. */
import { Effect } from "effect"

export const counting = Effect.acquireRelease(
  Effect.sync(() => {
    const counted = { turn: 0, over: false }
    const count = () => {
      counted.turn++
      if (!counted.over) setImmediate(count)
    }
    setImmediate(count)
    return counted
  }),
  (counted) => Effect.sync(() => counted.over = true)
)
