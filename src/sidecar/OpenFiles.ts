/**
 * The limit of open files. A process that has reached it closes what it accepts without a word: the event loop beneath Node
 * does, and reports nothing. So it is said beforehand.
 */
import { readFile } from "node:fs/promises"
import { Effect } from "effect"

/** Below it there is room for fewer than about 2,000 connections. */
const enough = 4096

/** In force for this process, which raises it to the hard limit as it starts. Undefined: none, or not to be told. */
export const parse = (limits: string): number | undefined => {
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1]
  return soft === undefined ? undefined : Number(soft)
}

/** Only Linux tells the limit; elsewhere nothing is said. */
export const warnIfFew = (limits = "/proc/self/limits"): Effect.Effect<void> =>
  Effect.tryPromise(() => readFile(limits, "utf8")).pipe(
    Effect.flatMap((text) => {
      const limit = parse(text)
      return limit === undefined || limit >= enough
        ? Effect.void
        : Effect.logWarning(
          `this process may have ${limit} files open at once, and each connection that it relays is two: beyond about ${
            Math.floor(limit / 2)
          } connections, new ones are closed without a word. Raise the limit (ulimit -n, LimitNOFILE) to ${enough} or more`
        )
    }),
    Effect.ignore
  )
