/** Runs the handler of an admitted connection, and closes it afterwards: by a reset if the handler failed, orderly otherwise. */
import { Cause, Effect, Exit } from "effect"
import * as Splice from "../net/Splice.ts"
import type * as Fibers from "../net/Fibers.ts"
import type * as AdmissionLog from "./AdmissionLog.ts"
import type { Connection } from "./Connection.ts"
import * as HandlerFailure from "./HandlerFailure.ts"

/**
 * Handles a connection in callbacks, without a fiber. `over` is to be called once it is over: with why it failed, or with nothing. Returns what
 * ends it before that.
 */
export type Begin = (connection: Connection, over: (failure?: Error) => void) => () => void

export interface ConnectionHandler<out R> {
  readonly serve: (connection: Connection) => Effect.Effect<unknown, never, R>
  /** The same for a handler without a fiber. */
  readonly begin: (connection: Connection, handle: Begin) => void
  /** How many handlers failed. */
  readonly failed: () => number
}

/** Owns handlers without a fiber, and runs what they leave to do. */
interface Owner extends Pick<Fibers.Fibers<never>, "hold" | "release"> {
  readonly run: (effect: Effect.Effect<unknown>) => void
}

export const make = <R>(
  handle: (connection: Connection) => Effect.Effect<unknown, unknown, R>,
  { keys, lines }: Pick<AdmissionLog.AdmissionLog, "keys" | "lines">,
  { hold, release, run }: Owner
): ConnectionHandler<R> => {
  let failed = 0
  const report = (connection: Connection, cause: Cause.Cause<unknown>) => {
    failed++
    return Effect.annotateLogs(HandlerFailure.log(lines, connection.caller, cause), keys(connection))
  }
  return {
    failed: () => failed,
    begin: (connection, handle) => {
      const held: Fibers.Held = {
        cut: () => {
          cut()
          connection.reset()
        }
      }
      if (!hold(held)) return connection.reset()
      const cut = handle(connection, (failure) => {
        release(held)
        if (failure === undefined) {
          if (!connection.socket.destroyed) run(Splice.finish(connection))
          return
        }
        connection.reset()
        run(report(connection, Cause.fail(failure)))
      })
    },
    serve: (connection) =>
      Effect.exit(Effect.onExitPrimitive(handle(connection), (exit) => {
        if (Exit.isSuccess(exit)) {
          return connection.socket.destroyed
            ? undefined
            : Effect.interruptible(Splice.finish(connection))
        }
        connection.reset()
        return Cause.hasInterruptsOnly(exit.cause) ? undefined : report(connection, exit.cause)
      }))
  }
}
