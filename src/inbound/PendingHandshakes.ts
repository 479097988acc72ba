/**
 * Connections that a TLS server has accepted, found again by their addresses: a TLS socket has the same as the transport
 * beneath it, which Node does not tell. `TlsServer` keeps the time that a handshake may take.
 */
import type { Socket } from "node:net"
import { Effect } from "effect"
import * as Turnover from "../net/Turnover.ts"

/** A transport whose handshake may still be going on. */
export interface Arrival<out A> {
  readonly transport: Socket
  /** `address:port` of the caller's side. */
  readonly remote: string
  /** When it arrived, as `performance.now()` has it. */
  readonly since: number
  /** What was in force when it arrived. */
  readonly material: A
}

export interface PendingHandshakes<in out A> {
  readonly size: () => number
  /** Kept until the transport is closed. */
  readonly add: (transport: Socket, material: A) => void
  readonly of: (socket: Socket) => Arrival<A> | undefined
  readonly destroyAll: () => void
  /** Waits until none is left. */
  readonly empty: Effect.Effect<void>
}

/** `host` is where the server listens. */
export const make = <A>(host: string): PendingHandshakes<A> => {
  const present = new Turnover.TurnoverMap<string, Arrival<A>>()
  const waiting = new Set<() => void>()
  const anyAddress = ["", "0.0.0.0", "::"].includes(host)
  // Names a TCP connection among those that are open.
  const keyOf = (socket: Socket) => anyAddress ? `${remoteOf(socket)} ${socket.localAddress}` : remoteOf(socket)
  return {
    size: () => present.size,
    add: (transport, material) => {
      const key = keyOf(transport)
      present.set(key, { transport, remote: remoteOf(transport), since: performance.now(), material })
      transport.once("close", () => {
        // A caller's port may be in use again before the event of its last connection is heard.
        if (present.get(key)?.transport === transport) present.delete(key)
        if (present.size === 0) { for (const resume of waiting) resume() }
      })
    },
    of: (socket) => present.get(keyOf(socket)),
    destroyAll: () => {
      for (const [, { transport }] of present) transport.destroy()
    },
    empty: Effect.callback<void>((done) => {
      if (present.size === 0) return done(Effect.void)
      const resume = () => {
        waiting.delete(resume)
        done(Effect.void)
      }
      waiting.add(resume)
      return Effect.sync(() => void waiting.delete(resume))
    })
  }
}

const remoteOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`
