/**
 * The end of a TLS connection is in order where the other side has said so by `close_notify`, and a cut everywhere else:
 * an end of TCP alone is also what remains of a process that was killed, and what anybody on the way can forge. Node
 * reports both as `end`. Here a cut becomes an error: what came before it can still be read, then comes `Truncated`, never
 * `end`, and the transport is reset.
 *
 *     close_notify ──▶ OpenSSL ──▶ end      while libuv goes on reading the transport
 *     FIN ──▶ libuv, which stops reading ──▶ OpenSSL ──▶ end
 *
 * So whether libuv still reads at the moment of the end tells them apart, exactly and for nothing in between: it refuses
 * to start what goes on already (EALREADY). Where Node itself has stopped reading, libuv reports no end, so that one can
 * only be said in what was read before.
 *
 * Trap: this looks at handles of Node that are not documented. Where they are not what they were, every end is a cut.
 */
import type { Socket } from "node:net"
import type { TLSSocket } from "node:tls"
import { getSystemErrorName } from "node:util"
import { Schema } from "effect"
import * as Reset from "./Reset.ts"

/** The other side has ended without saying so, or a reset of it was lost. What was read is no whole stream. */
export class Truncated extends Schema.TaggedError<Truncated>()("Truncated", {
  /** Bytes that had arrived. */
  received: Schema.Finite
}) {
  readonly code = truncatedCode
  override readonly message = "the connection was cut: the other side ended it without close_notify" +
    (this.received === 0
      ? " before anything had arrived. It may have refused it: look for an intention that allows it, and in its log"
      : ` after ${this.received} bytes had arrived`)
}

export const truncatedCode = "ERR_TLS_TRUNCATED"

/** Holds for the rest of a connection whose handshake has just ended, over `transport`. Call it once, before anything is read. */
export const demand = (socket: TLSSocket, transport: Socket): void => {
  const { push } = socket
  socket.push = (chunk, encoding) => {
    if (chunk !== null || wasSaid(socket, transport)) return push.call(socket, chunk, encoding)
    if (socket.readableLength === 0) cut(socket, transport)
    else cutOnceRead(socket, transport)
    return false
  }
}

const wasSaid = (socket: TLSSocket, transport: Socket): boolean =>
  handleOf(socket)?.reading === false || isReading(handleOf(transport))

interface Handle {
  /** Whether Node wants to read. */
  readonly reading?: boolean
  readonly readStart?: () => number
}

const handleOf = (socket: Socket): Handle | undefined | null => Reflect.get(socket, "_handle")

const isReading = (handle: Handle | undefined | null): boolean => {
  const started = handle?.readStart?.() ?? 0
  return started < 0 && getSystemErrorName(started) === "EALREADY"
}

const cut = (socket: TLSSocket, transport: Socket): void => {
  if (socket.destroyed) return
  // The socket closes its transport: what it has to say comes before `close` only if it goes first.
  const { destroy } = transport
  transport.destroy = (error) => {
    transport.destroy = destroy
    if (error === undefined) Reset.reset(transport, socket)
    else transport.destroy(error)
    return transport
  }
  socket.destroy(new Truncated({ received: socket.bytesRead }))
}

const cutOnceRead = (socket: TLSSocket, transport: Socket): void => {
  const { read } = socket
  socket.read = (size) => {
    const chunk = read.call(socket, size)
    if (socket.readableLength === 0) process.nextTick(cut, socket, transport)
    return chunk
  }
}

/**
 * From now on a reset is `Truncated`, too. For clients that take the code ECONNRESET for the end of what they read, as
 * undici does with bodies that last until the connection ends.
 */
export const hideResets = (socket: Socket): void => {
  const { destroy } = socket
  socket.destroy = (error) =>
    destroy.call(
      socket,
      error !== undefined && "code" in error && error.code === "ECONNRESET"
        ? new Truncated({ received: socket.bytesRead })
        : error
    )
}
