/**
 * The relay between two sockets. Node moves the bytes, with backpressure; an end of one direction travels through while
 * the other goes on; a failure on one side resets the other, since a receiver must never take a cut stream for a whole one.
 *
 * Traps: both sockets must be made with `allowHalfOpen`; `destroy` on a TLS socket looks to its peer like an orderly end,
 * and `resetAndDestroy` throws on one, so each side brings its own `reset`.
 */
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Effect } from "effect"
import * as Reset from "../tls/Reset.ts"

/** What a relay needs of a connection: a socket, or a stream of a tunnel. */
export interface Stream extends Duplex {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Ends, and closes once all has gone out. */
  destroySoon(): void
}

/** One side of a relay. `reset` cuts it so that the peer notices; calling it again does nothing. */
export interface Side {
  readonly socket: Stream
  readonly reset: () => void
}

/** How long what was written may take to leave. */
const flushMillis = 10_000

/** How long the other side then has to end. */
const endMillis = 5000

/** A plain socket. Unix sockets know no reset: they are closed. */
export const plain = (socket: Socket): Side => ({
  socket,
  reset: () => Reset.reset(socket)
})

/** A TLS socket over `transport`, whose end destroys it. Trap: destroying both at once frees OpenSSL's state under its feet. */
export const tls = <S extends Socket>(socket: S, transport: Socket): Side & { readonly socket: S } => ({
  socket,
  reset: () => Reset.reset(transport, socket)
})

/** How a relay ended: orderly, or because of a side. `code` is that of Node, or `closed`. */
export type Outcome =
  | { readonly _tag: "Ended" }
  | { readonly _tag: "Broken"; readonly side: "left" | "right"; readonly code: string }

/** Relays until both sides are closed. Interruption resets both. */
export const splice = (left: Side, right: Side): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    let open = 2
    let outcome: Outcome = { _tag: "Ended" }
    const link = (side: "left" | "right", self: Side, other: Side) => {
      const { socket } = self
      const broken = (code: string) => {
        if (outcome._tag === "Ended") outcome = { _tag: "Broken", side, code }
        other.reset()
      }
      const closed = () => {
        if (!socket.readableEnded || !socket.writableFinished) broken("closed")
        if (--open === 0) resume(Effect.succeed(outcome))
      }
      if (socket.destroyed) return closed()
      socket.on("error", (cause: Error) => broken("code" in cause ? String(cause.code) : cause.message))
      socket.once("close", closed)
      socket.pipe(other.socket)
    }
    link("left", left, right)
    link("right", right, left)
    return Effect.sync(() => {
      left.reset()
      right.reset()
    })
  })

/**
 * Opens the other side, then relays until both are closed. Nothing is lost in between: interrupted while it opens, `local`
 * is left to the caller, and from then on both sides are reset.
 */
export const spliceWith = <S extends Side, E, R>(
  local: Side,
  opening: Effect.Effect<S, E, R>,
  opened: (side: S) => void
): Effect.Effect<Outcome, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(opening), (side) => {
      opened(side)
      return restore(splice(local, side))
    })
  )

/**
 * Sends what was written, ends, and waits until the other side has ended as well: to a socket that is closed before, the
 * kernel answers what still arrives with a reset, and a reset takes with it what the other side has yet to read. Even one
 * that says nothing sends the tickets of TLS 1.3. Interrupted, it resets.
 */
export const finish = ({ reset, socket }: Side): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    let timer = setTimeout(reset, flushMillis)
    const sent = () => {
      clearTimeout(timer)
      timer = setTimeout(() => socket.destroy(), endMillis)
    }
    const discard = () => {
      while (socket.read() !== null) continue
    }
    socket.once("close", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    socket.once("finish", sent)
    socket.end()
    if (socket.writableFinished) sent()
    socket.on("readable", discard)
    discard()
    return Effect.sync(() => {
      clearTimeout(timer)
      reset()
    })
  })
