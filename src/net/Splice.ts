/**
 * The relay between two sockets. Bytes pass with backpressure; an end of one direction travels through while the other goes
 * on; a failure on one side resets the other, since a receiver must never take a cut stream for a whole one.
 *
 * It runs in callbacks, without a fiber: there is one for each connection. Whoever starts it owns it until it has ended, and can cut it.
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
  /** Once the other side has ended, closing it says no less than ending it: a plain socket. */
  readonly isPlain?: boolean
}

/** How long what was written may take to leave. */
const flushMillis = 10_000

/** How long the other side then has to end. */
const endMillis = 5000

/** A plain socket. Unix sockets know no reset: they are closed. */
export const plain = (socket: Socket): Side => ({
  socket,
  reset: () => Reset.reset(socket),
  isPlain: true
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

/** Ends a relay at once, by resetting both sides. */
export type Cut = () => void

/** Relays until both sides are closed. `ended` hears of it, after this has returned or before, unless it is cut. */
export const relay = (left: Side, right: Side, ended: (outcome: Outcome) => void): Cut => {
  const going: Going = { open: 2, outcome: { _tag: "Ended" }, closed: undefined, ended }
  link(going, "left", left, right)
  link(going, "right", right, left)
  return () => {
    going.open = 0
    left.reset()
    right.reset()
  }
}

/** Relays until both sides are closed. Interruption resets both. */
export const splice = (left: Side, right: Side): Effect.Effect<Outcome> =>
  Effect.callback((resume) => Effect.sync(relay(left, right, (outcome) => resume(Effect.succeed(outcome)))))

/** What both directions of a relay know. */
interface Going {
  /** Sides that are open. */
  open: number
  outcome: Outcome
  /** It was closed here, once all had been said in both directions. */
  closed: Stream | undefined
  readonly ended: (outcome: Outcome) => void
}

/** From one side to another. As `pipe` does it, with half of its listeners: they are a good part of what a short connection costs. */
const link = (going: Going, side: "left" | "right", { socket }: Side, other: Side) => {
  const to = other.socket
  let waits = false
  const broken = (code: string) => {
    if (going.open > 0 && going.outcome._tag === "Ended") going.outcome = { _tag: "Broken", side, code }
    other.reset()
  }
  const closed = () => {
    if (!socket.readableEnded || !(socket.writableFinished || going.closed === socket)) broken("closed")
    if (--going.open === 0) going.ended(going.outcome)
  }
  if (socket.destroyed) return closed()
  const hold = () => {
    socket.pause()
    if (waits) return
    waits = true
    to.on("drain", () => socket.resume())
  }
  socket.on("error", (cause: Error) => broken("code" in cause ? String(cause.code) : cause.message))
  socket.once("close", closed)
  socket.on("data", (bytes: Buffer) => {
    // What somebody else has ended takes nothing more.
    if (!to.writable) socket.pause()
    else if (!to.write(bytes)) hold()
  })
  socket.on("end", () => {
    if (other.isPlain === true && to.readableEnded && to.writableLength === 0) {
      going.closed = to
      to.destroy()
    } else to.end()
  })
  if (to.writableNeedDrain) hold()
  else socket.resume()
}

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
