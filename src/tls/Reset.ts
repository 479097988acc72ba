/**
 * Cuts a TCP connection so that its other side notices. Traps of Node: a socket that is just ending can not be reset, and
 * one that was is never closed, nor forgotten; sockets of a path know no reset.
 */
import type { Socket } from "node:net"

/** `speaker` is what writes to `transport`, if not itself. What is just ending has said all it had to say: it is closed. */
export const reset = (transport: Socket, speaker: Socket = transport): void => {
  if (transport.destroyed) return
  if (transport.remoteAddress === undefined || isEnding(speaker)) transport.destroy()
  else transport.resetAndDestroy()
}

const isEnding = (socket: Socket): boolean =>
  socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
