/**
 * Work that holds up the loop for a millisecond or more, and that many services of a process have at the same moment: one piece in
 * each turn of the event loop, so that what else waits is served in between.
 */
import { Effect } from "effect"

const waiting = new Set<() => void>()
let taken = false

/** Succeeds at once where nobody else has done so in this turn, otherwise in a later one; in the order in which it is asked for. */
export const turn: Effect.Effect<void> = Effect.callback((resume) => {
  const begin = () => resume(Effect.void)
  if (!taken) {
    taken = true
    setImmediate(next)
    return begin()
  }
  waiting.add(begin)
  return Effect.sync(() => waiting.delete(begin))
})

const next = (): void => {
  const [first] = waiting
  if (first === undefined) {
    taken = false
    return
  }
  waiting.delete(first)
  setImmediate(next)
  first()
}
