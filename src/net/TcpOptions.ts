/** What the kernel does for a connection. */
import { Socket } from "node:net"
import type { Duplex } from "node:stream"

export interface TcpOptions {
  /** Without a byte for so long, it asks whether the other side is still there. 0: it never does. */
  readonly keepAliveMillis: number
  /** Sends every write at once, however small. */
  readonly noDelay: boolean
}

export const defaults: TcpOptions = { keepAliveMillis: 60_000, noDelay: true }

/** Of a socket that has been made with the defaults. Unix sockets and streams of tunnels have none of it. */
export const apply = (socket: Duplex, { keepAliveMillis, noDelay }: TcpOptions): void => {
  if (!(socket instanceof Socket)) return
  if (noDelay !== defaults.noDelay) socket.setNoDelay(noDelay)
  if (keepAliveMillis !== defaults.keepAliveMillis) socket.setKeepAlive(keepAliveMillis > 0, keepAliveMillis)
}
