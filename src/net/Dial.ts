/** A plain connection to an address: TCP, or a unix socket. */
import * as Net from "node:net"
import { Effect } from "effect"
import type * as Listening from "./Listening.ts"
import * as Splice from "./Splice.ts"

export type Failure =
  /** `code` is Node's. */
  | { readonly _tag: "Refused"; readonly code: string }
  | { readonly _tag: "TimedOut"; readonly millis: number }

/** Hears once how a dial has ended. */
export interface Heard {
  readonly connected: (side: Splice.Side) => void
  readonly failed: (failure: Failure) => void
}

/** Half-open, nothing read yet. Returns what undoes it while it connects; from then on whoever has heard of it has to close it. */
export const begin = (address: Listening.Bind, timeoutMillis: number, { connected, failed }: Heard): () => void => {
  const socket = Net.connect({
    ...("path" in address ? { path: address.path } : address),
    allowHalfOpen: true,
    noDelay: true
  })
  const undo = () => {
    clearTimeout(timer)
    socket.destroy()
  }
  const fail = (failure: Failure) => {
    if (isOver) return
    isOver = true
    undo()
    failed(failure)
  }
  let isOver = false
  const timer = setTimeout(() => fail({ _tag: "TimedOut", millis: timeoutMillis }), timeoutMillis)
  socket.on("error", (cause) => fail({ _tag: "Refused", code: "code" in cause ? String(cause.code) : cause.message }))
  socket.once("connect", () => {
    isOver = true
    clearTimeout(timer)
    connected(Splice.plain(socket))
  })
  return undo
}

/** The same. Undone when interrupted. */
export const connect = (address: Listening.Bind, timeoutMillis: number): Effect.Effect<Splice.Side, Failure> =>
  Effect.callback((resume) =>
    Effect.sync(begin(address, timeoutMillis, {
      connected: (side) => resume(Effect.succeed(side)),
      failed: (failure) => resume(Effect.fail(failure))
    }))
  )
