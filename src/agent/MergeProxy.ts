/**
 * A sidecar's registration merged with what proxy-defaults and service-defaults say about it, as the agent shows it
 * (`agent/configentry/merge_service_config.go`). The registration has the last word, the service the second, the mesh the first.
 * A zero in the registration is no word: no setting can be turned off by it that a default turns on.
 */
import { Schema } from "effect"
import { UpstreamConfig } from "../consul/config/ServiceDefaults.ts"
import type * as AgentService from "../consul/AgentService.ts"
import type * as Proxy from "../consul/Proxy.ts"
import * as EntrySet from "./chain/EntrySet.ts"

type Config = { readonly [key: string]: Schema.Json }

export const merge = (
  service: AgentService.AgentService,
  entries: EntrySet.EntrySet
): AgentService.AgentService =>
  service.Proxy === undefined ? service : { ...service, Proxy: mergeProxy(service.Proxy, entries) }

export const mergeProxy = (proxy: Proxy.Proxy, entries: EntrySet.EntrySet): Proxy.Proxy => {
  const global = EntrySet.proxyDefaults(entries)
  const defaults = EntrySet.defaults(entries, proxy.DestinationServiceName)
  const transparent = firstSaid([proxy.TransparentProxy, defaults?.TransparentProxy, global?.TransparentProxy])
  const accessLogs = firstSaid([proxy.AccessLogs, global?.AccessLogs])
  return {
    ...proxy,
    Mode: proxy.Mode || defaults?.Mode || global?.Mode || "",
    MutualTLSMode: proxy.MutualTLSMode || defaults?.MutualTLSMode || global?.MutualTLSMode || "",
    MeshGateway: { Mode: proxy.MeshGateway.Mode || defaults?.MeshGateway.Mode || global?.MeshGateway.Mode || "" },
    Config: filled(proxy.Config, { ...global?.Config, ...serviceConfig(defaults) }),
    Upstreams: proxy.Upstreams.map((upstream) => mergeUpstream(upstream, proxy, entries)),
    Expose: { ...proxy.Expose, ...firstSaid([proxy.Expose, defaults?.Expose, global?.Expose]) },
    ...(transparent !== undefined && { TransparentProxy: transparent }),
    ...(accessLogs !== undefined && { AccessLogs: accessLogs })
  }
}

/** Of each field the first that is not zero. Undefined: all are. */
const firstSaid = <A extends object>(structs: ReadonlyArray<A | undefined>): A | undefined => {
  const present = structs.filter((one) => one !== undefined)
  const said = present.some((one) => Object.values(one).some((value) => !isZero(value)))
  if (!said) return undefined
  return present.reduceRight((below, above) => ({
    ...below,
    ...Object.fromEntries(Object.entries(above).filter(([, value]) => !isZero(value)))
  }))
}

/** What is said, with defaults for the rest, and for zeros. */
const filled = (said: Config, defaults: Config, deep = true): Config => ({
  ...defaults,
  ...Object.fromEntries(
    Object.entries(said).flatMap(([key, value]) => {
      const fallback = defaults[key]
      if (fallback === undefined) return [[key, value]]
      if (deep && isMap(value) && isMap(fallback)) return [[key, filled(value, fallback)]]
      return isZero(value) ? [] : [[key, value]]
    })
  )
})

const isMap = (value: Schema.Json): value is Config =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isZero = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || value === 0 || value === false ||
  (typeof value === "object" && Object.keys(value).length === 0)

const serviceConfig = (defaults: ReturnType<typeof EntrySet.defaults>): Config =>
  defaults === undefined ? {} : {
    ...(defaults.Protocol !== "" && { protocol: defaults.Protocol }),
    ...(defaults.MaxInboundConnections > 0 && { max_inbound_connections: defaults.MaxInboundConnections }),
    ...(defaults.LocalConnectTimeoutMs > 0 && { local_connect_timeout_ms: defaults.LocalConnectTimeoutMs }),
    ...(defaults.LocalRequestTimeoutMs > 0 && { local_request_timeout_ms: defaults.LocalRequestTimeoutMs }),
    ...(defaults.BalanceInboundConnections !== "" &&
      { balance_inbound_connections: defaults.BalanceInboundConnections })
  }

/** For what it is, then what its caller says about all and about this one, then the upstream itself. */
const mergeUpstream = (upstream: Proxy.Upstream, proxy: Proxy.Proxy, entries: EntrySet.EntrySet): Proxy.Upstream => {
  if (upstream.DestinationType === "prepared_query") return upstream
  const caller = EntrySet.defaults(entries, proxy.DestinationServiceName)?.UpstreamConfig
  const override = caller?.Overrides.find(({ Name, Peer }) =>
    Name === upstream.DestinationName && Peer === upstream.DestinationPeer
  )
  const global = EntrySet.proxyDefaults(entries)
  const globalProtocol = global?.Config["protocol"]
  const own = EntrySet.defaults(entries, upstream.DestinationName)
  const inherited: Config = upstream.DestinationPeer !== "" ? {} : {
    ...(typeof globalProtocol === "string" && { protocol: globalProtocol }),
    ...(own !== undefined && own.Protocol !== "" && { protocol: own.Protocol })
  }
  return {
    ...upstream,
    MeshGateway: {
      Mode: upstream.MeshGateway.Mode || override?.MeshGateway.Mode || proxy.MeshGateway.Mode ||
        caller?.Defaults?.MeshGateway.Mode || global?.MeshGateway.Mode || ""
    },
    // What entries say as a whole (limits, health) is not mixed with what the registration says.
    Config: filled(
      upstream.Config,
      { ...inherited, ...upstreamConfig(caller?.Defaults), ...upstreamConfig(override) },
      false
    )
  }
}

/** The keys of a registration, in snake_case; what is inside them stays as the entry spells it. */
const upstreamConfig = (config: UpstreamConfig | undefined): Config => {
  if (config === undefined) return {}
  const { MeshGateway: _gateway, Name: _name, Peer: _peer, ...encoded } = Schema.encodeSync(UpstreamConfig)(config)
  return Object.fromEntries(
    Object.entries(encoded).map(([key, value]) => [
      key.replace(/JSON$/, "Json").replace(/(?<=[a-z0-9])[A-Z]/g, "_$&").toLowerCase(),
      value as Schema.Json
    ])
  )
}
