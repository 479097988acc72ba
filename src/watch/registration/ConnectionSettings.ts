/** How connections are kept, those of callers or those through an upstream. Settings of this sidecar, which Envoy has none of. */
import type * as FreeSettings from "./FreeSettings.ts"

export interface ConnectionSettings {
  /** Without a byte in either direction. Undefined: no limit of its own. */
  readonly idleTimeoutMillis: number | undefined
  /** Undefined: no limit. */
  readonly maxLifetimeMillis: number | undefined
  readonly tcp: {
    /** Without a byte for so long, the kernel asks whether the other side is still there. 0: it never does. */
    readonly keepAliveMillis: number
    /** Sends every write at once, however small. */
    readonly noDelay: boolean
  }
}

export const defaults: ConnectionSettings = {
  idleTimeoutMillis: undefined,
  maxLifetimeMillis: undefined,
  tcp: { keepAliveMillis: 60_000, noDelay: true }
}

export const read = (free: FreeSettings.FreeSettings): ConnectionSettings => ({
  idleTimeoutMillis: free.millis("connection_idle_timeout_ms") || undefined,
  maxLifetimeMillis: free.millis("connection_max_lifetime_ms") || undefined,
  tcp: {
    keepAliveMillis: free.millis("tcp_keepalive_ms") ?? defaults.tcp.keepAliveMillis,
    noDelay: free.flag("tcp_no_delay") ?? defaults.tcp.noDelay
  }
})

/** What the public port takes on. 0: no limit. */
export interface Arrivals {
  /** Handshakes at a time. */
  readonly maxHandshakes: number
  /** New connections a second. */
  readonly connectionRate: number
}

export const noLimits: Arrivals = { maxHandshakes: 0, connectionRate: 0 }

export const readArrivals = (free: FreeSettings.FreeSettings): Arrivals => ({
  maxHandshakes: free.count("max_inbound_handshakes") ?? 0,
  connectionRate: free.count("max_inbound_connections_per_second") ?? 0
})
