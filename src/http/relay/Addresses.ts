/** The addresses of a connection, kept: a socket that is closed does not tell its own any more, and logs are written afterwards. */
import * as Lines from "../h1/Lines.ts"
import type * as Splice from "../../net/Splice.ts"

/** `address:port` of both sides; empty where there was none when they were asked for first. */
export interface Addresses {
  readonly local: string
  readonly remote: string
}

/** Kept in the socket itself: what a `WeakMap` knows of a socket that is gone lives on until the whole heap is looked at. */
const key = Symbol("addresses")

/** To be asked for the first time while the connection is open. */
export const of = (socket: Splice.Stream & { [key]?: Addresses }): Addresses =>
  socket[key] ??= {
    local: Lines.address(socket.localAddress, socket.localPort),
    remote: Lines.address(socket.remoteAddress, socket.remotePort)
  }
