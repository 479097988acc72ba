/** What the free settings of a registration (`Proxy.Config`) say about the public side, read as weakly as Consul reads them. */
import * as FreeSettings from "../../watch/registration/FreeSettings.ts"
import * as Protocol from "../../watch/registration/Protocol.ts"
import type * as Snapshot from "../Snapshot.ts"

export interface Settings {
  readonly protocol: Protocol.Protocol
  readonly bind: { readonly host: string; readonly port: number }
  readonly connectTimeoutMillis: number
  /** Undefined: as Envoy has it. 0: no limit. */
  readonly requestTimeoutMillis: number | undefined
  readonly idleTimeoutMillis: number | undefined
  readonly maxInboundConnections: number
  readonly maxRequestHeadersKb: number | undefined
  readonly balanceConnections: boolean
}

export const of = ({ address, port, proxy }: Snapshot.Sidecar): Settings => {
  const free = FreeSettings.of(proxy.Config, { whose: "the proxy" })
  return {
    protocol: Protocol.fromText(free.text("protocol") ?? "tcp"),
    bind: { host: free.text("bind_address") ?? (address || "0.0.0.0"), port: free.number("bind_port") || port },
    connectTimeoutMillis: free.millis("local_connect_timeout_ms") || 5000,
    requestTimeoutMillis: free.millis("local_request_timeout_ms"),
    idleTimeoutMillis: free.millis("local_idle_timeout_ms"),
    maxInboundConnections: free.count("max_inbound_connections") ?? 0,
    maxRequestHeadersKb: free.count("max_request_headers_kb"),
    balanceConnections: free.text("balance_inbound_connections") === "exact_balance"
  }
}
