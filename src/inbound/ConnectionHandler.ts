/** Runs the handler of an admitted connection, and closes it afterwards: by a reset if the handler failed, orderly otherwise. */
import { Cause, Effect, Exit } from "effect"
import * as Splice from "../net/Splice.ts"
import type * as AdmissionLog from "./AdmissionLog.ts"
import type { Connection } from "./Connection.ts"
import * as HandlerFailure from "./HandlerFailure.ts"

export interface ConnectionHandler<out R> {
  readonly serve: (connection: Connection) => Effect.Effect<unknown, never, R>
  /** How many handlers failed. */
  readonly failed: () => number
}

export const make = <R>(
  handle: (connection: Connection) => Effect.Effect<unknown, unknown, R>,
  { keys, lines }: Pick<AdmissionLog.AdmissionLog, "keys" | "lines">
): ConnectionHandler<R> => {
  let failed = 0
  return {
    failed: () => failed,
    serve: (connection) =>
      Effect.exit(Effect.onExitPrimitive(handle(connection), (exit) => {
        if (Exit.isSuccess(exit)) {
          return connection.socket.destroyed
            ? undefined
            : Effect.interruptible(Splice.finish(connection))
        }
        connection.reset()
        if (Cause.hasInterruptsOnly(exit.cause)) return undefined
        failed++
        return Effect.annotateLogs(HandlerFailure.log(lines, connection.caller, exit.cause), keys(connection))
      }))
  }
}
