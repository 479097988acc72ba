/**
 * The lines between datacenters of one process: open and without delay, until told otherwise. What is cut carries nothing,
 * and what was under way on it is lost, as between data centers of stone.
 *
 * Only what agents say to each other goes over them. Connections of the mesh have sockets of their own.
 */
import { Duration, Effect } from "effect"

export interface Line {
  /** In either order. */
  readonly between: readonly [string, string]
  readonly isCut: boolean
  /** One way. */
  readonly delay: Duration.Duration
}

export interface Wan {
  readonly line: (a: string, b: string) => Line
  /** Every line that differs from one that is open and without delay. */
  readonly changed: () => ReadonlyArray<Line>
  readonly set: (a: string, b: string, change: { readonly isCut?: boolean; readonly delay?: Duration.Input }) => void
  /** Returns once the line is open, and what is sent now has arrived. */
  readonly crossing: (a: string, b: string) => Effect.Effect<void>
  /** Returns once the line is cut. */
  readonly severed: (a: string, b: string) => Effect.Effect<void>
}

export const make = (): Wan => {
  const lines = new Map<string, Line>()
  const waiters = new Set<() => void>()

  const line = (a: string, b: string): Line => {
    const between = a < b ? [a, b] as const : [b, a] as const
    return lines.get(JSON.stringify(between)) ?? { between, isCut: false, delay: Duration.zero }
  }

  const until = (holds: () => boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (holds()) return resume(Effect.void)
      const waiter = () => {
        if (!holds()) return
        waiters.delete(waiter)
        resume(Effect.void)
      }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })

  return {
    line,
    changed: () => [...lines.values()].filter(({ delay, isCut }) => isCut || !Duration.isZero(delay)),
    set: (a, b, change) => {
      const before = line(a, b)
      lines.set(JSON.stringify(before.between), {
        between: before.between,
        isCut: change.isCut ?? before.isCut,
        delay: change.delay === undefined ? before.delay : Duration.fromInputUnsafe(change.delay)
      })
      for (const waiter of Array.from(waiters)) waiter()
    },
    crossing: (a, b) =>
      Effect.suspend(() => {
        if (a === b) return Effect.void
        const open = until(() => !line(a, b).isCut)
        return Effect.andThen(
          open,
          Effect.suspend(() => {
            const { delay } = line(a, b)
            return Duration.isZero(delay) ? Effect.void : Effect.sleep(delay)
          })
        )
      }),
    severed: (a, b) => until(() => a !== b && line(a, b).isCut)
  }
}
