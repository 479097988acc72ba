/** What is said of a connection whose handler failed. */
import { Cause, Effect, Option } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as LineLimit from "../observe/LineLimit.ts"

/** What was expected to happen now and then is one line; anything else is a fault in the handler, and shown whole. */
export const log = (
  lines: LineLimit.LineLimit,
  caller: SpiffeId.Service,
  cause: Cause.Cause<unknown>
): Effect.Effect<void> => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const leftOut = lines.admit(String(Cause.squash(cause)), performance.now())
  if (leftOut === undefined) return Effect.void
  const what = `the connection of ${SpiffeId.display(caller)} failed`
  return error instanceof Error
    ? Effect.logWarning(`${what}: ${error.message}${LineLimit.suffix(leftOut)}`)
    : Effect.logError(`${what}${LineLimit.suffix(leftOut)}`, cause)
}
