/** The upstreams of a registration, each with the settings that the agent has merged for it. */
import type * as OutlierDetection from "../../balance/OutlierDetection.ts"
import type * as Proxy from "../../consul/Proxy.ts"
import * as TcpRoute from "../../route/TcpRoute.ts"
import * as Addresses from "./Addresses.ts"
import * as ConnectionSettings from "./ConnectionSettings.ts"
import * as FreeSettings from "./FreeSettings.ts"
import * as Protocol from "./Protocol.ts"

export interface Upstream {
  /** Names the listener across updates: what is dialled, and where it binds. */
  readonly id: string
  /** Or the prepared query, by name or id. */
  readonly service: string
  /** Whether it is a prepared query. Absent: a service. */
  readonly query?: boolean | undefined
  readonly datacenter: string | undefined
  /** Overrides what the chain says of mesh gateways. Absent: no override. */
  readonly gateway?: TcpRoute.GatewaySetting | undefined
  /** The peered cluster that it is in. Absent: our own. */
  readonly peer?: string | undefined
  readonly bind: Addresses.Address
  /** Overrides the resolver's; absent: no override. */
  readonly connectTimeoutMillis: number | undefined
  /** What its callers speak. Undefined: what its discovery chain says. */
  readonly protocol: Protocol.Protocol | undefined
  readonly limits: Limits
  /** Over `OutlierDetection.defaults`. */
  readonly passiveHealthCheck: Partial<OutlierDetection.Options>
  /** Whether tunnels lead there: see docs/tunnel.md. Absent: where the instances take them. */
  readonly tunnels?: false | undefined
  readonly connections: ConnectionSettings.ConnectionSettings
}

/** Of each target, all of its instances together. Undefined: 1024 where requests are routed, none where connections are. */
export interface Limits {
  readonly maxConnections: number | undefined
  /** Requests that wait for a connection; connections of the application that wait for one to an instance. */
  readonly maxPendingRequests: number | undefined
  /** Requests that are under way. */
  readonly maxConcurrentRequests: number | undefined
}

export interface Parsed {
  /** Undefined: it has no listener. */
  readonly upstream?: Upstream
  readonly ignored: ReadonlyArray<string>
}

/** `proxy` has a mode of gateways for upstreams without one of their own (`OverlayWith`). */
export const parse = (upstream: Proxy.Upstream, proxy: Pick<Proxy.Proxy, "MeshGateway">): Parsed => {
  const name = upstream.DestinationName
  if (upstream.CentrallyConfigured) return { ignored: [] }
  const mode = Number.parseInt(upstream.LocalBindSocketMode, 8)
  const bind: Addresses.Address = upstream.LocalBindSocketPath === ""
    ? { host: upstream.LocalBindAddress || "127.0.0.1", port: upstream.LocalBindPort }
    : { path: upstream.LocalBindSocketPath, ...(Number.isNaN(mode) ? {} : { mode }) }
  if ("port" in bind && bind.port === 0) return { ignored: [`the upstream ${name}, which has no port to bind`] }
  if ("port" in bind && !Addresses.isPort(bind.port)) {
    return {
      ignored: [`the upstream ${name}, whose port to bind is ${bind.port}: register it with ${Addresses.ports}`]
    }
  }
  const peer = upstream.DestinationPeer || undefined
  const datacenter = upstream.Datacenter || undefined
  const gateway = TcpRoute.gatewaySetting(upstream.MeshGateway.Mode || proxy.MeshGateway.Mode)
  const query = upstream.DestinationType === "prepared_query"
  const { ignored, settings } = settingsOf(upstream.Config, name)
  return {
    upstream: {
      id: [
        query ? `${name}.query` : name,
        ...(datacenter === undefined ? [] : [datacenter]),
        ...(peer === undefined ? [] : [`peer:${peer}`])
      ]
        .join("@"),
      service: name,
      ...(query ? { query } : {}),
      datacenter,
      ...(gateway === undefined ? {} : { gateway }),
      ...(peer === undefined ? {} : { peer }),
      bind,
      ...settings
    },
    ignored
  }
}

type Settings = Pick<
  Upstream,
  "connectTimeoutMillis" | "protocol" | "limits" | "passiveHealthCheck" | "connections" | "tunnels"
>

const settingsOf = (
  config: FreeSettings.Config,
  name: string
): { readonly settings: Settings; readonly ignored: ReadonlyArray<string> } => {
  const free = FreeSettings.of(config, { whose: `the upstream ${name}`, anySpelling: true })
  const protocol = free.text("protocol")
  const limits = free.group("limits")
  const settings: Settings = {
    connectTimeoutMillis: free.millis("connect_timeout_ms") || undefined,
    protocol: protocol === undefined ? undefined : Protocol.fromText(protocol),
    limits: {
      maxConnections: limits.count("max_connections"),
      maxPendingRequests: limits.count("max_pending_requests"),
      maxConcurrentRequests: limits.count("max_concurrent_requests")
    },
    passiveHealthCheck: passiveHealthCheck(free.group("passive_health_check")),
    connections: ConnectionSettings.read(free),
    ...(free.text("tunnels") === "false" ? { tunnels: false } : {})
  }
  // The agent has the mode of gateways in a field of its own, and workers are given connections in turn in any case.
  free.skip("mesh_gateway", "balance_outbound_connections")
  return { settings, ignored: free.ignored() }
}

/** Zeros of what Go cannot tell from absent are absent. */
const passiveHealthCheck = (free: FreeSettings.FreeSettings): Partial<OutlierDetection.Options> => {
  const given = {
    intervalMillis: free.duration("interval") || undefined,
    maxFailures: free.count("max_failures") || undefined,
    enforcing: free.count("enforcing_consecutive_5xx", 100),
    maxEjectionPercent: free.count("max_ejection_percent", 100),
    baseEjectionMillis: free.duration("base_ejection_time")
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
