/** A plain connection to an address: TCP, or a unix socket. */
import * as Net from "node:net"
import { Effect } from "effect"
import type * as Listening from "./Listening.ts"
import * as Splice from "./Splice.ts"

export type Failure =
  /** `code` is Node's. */
  | { readonly _tag: "Refused"; readonly code: string }
  | { readonly _tag: "TimedOut"; readonly millis: number }

/** Half-open, nothing read yet. Undone when interrupted; from then on whoever runs it has to close it. */
export const connect = (address: Listening.Bind, timeoutMillis: number): Effect.Effect<Splice.Side, Failure> =>
  Effect.callback<Splice.Side, Failure>((resume) => {
    const fail = (failure: Failure) => {
      clearTimeout(timer)
      socket.destroy()
      resume(Effect.fail(failure))
    }
    const socket = Net.connect({
      ...("path" in address ? { path: address.path } : address),
      allowHalfOpen: true,
      noDelay: true
    })
    const timer = setTimeout(() => fail({ _tag: "TimedOut", millis: timeoutMillis }), timeoutMillis)
    socket.on("error", (cause) => fail({ _tag: "Refused", code: "code" in cause ? String(cause.code) : cause.message }))
    socket.once("connect", () => {
      clearTimeout(timer)
      resume(Effect.succeed(Splice.plain(socket)))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      socket.destroy()
    })
  })
