/**
 * A sidecar's registration merged with what proxy-defaults and service-defaults say about it, as the agent shows it
 * (`agent/configentry/merge_service_config.go`). The registration has the last word, the service the second, the mesh the first.
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
  const expose = [proxy.Expose, defaults?.Expose, global?.Expose].find((one) =>
    one !== undefined && (one.Checks || one.Paths.length > 0)
  )
  const transparent = [proxy.TransparentProxy, defaults?.TransparentProxy, global?.TransparentProxy].find((one) =>
    one !== undefined && (one.OutboundListenerPort !== 0 || one.DialedDirectly)
  )
  return {
    ...proxy,
    Mode: proxy.Mode || defaults?.Mode || global?.Mode || "",
    MutualTLSMode: proxy.MutualTLSMode || defaults?.MutualTLSMode || global?.MutualTLSMode || "",
    MeshGateway: { Mode: proxy.MeshGateway.Mode || defaults?.MeshGateway.Mode || global?.MeshGateway.Mode || "" },
    Config: { ...global?.Config, ...serviceConfig(defaults), ...proxy.Config },
    Upstreams: proxy.Upstreams.map((upstream) => mergeUpstream(upstream, proxy, entries)),
    ...(expose !== undefined && { Expose: expose }),
    ...(transparent !== undefined && { TransparentProxy: transparent }),
    ...(global?.AccessLogs.Enabled === true && { AccessLogs: global.AccessLogs })
  }
}

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
    Config: { ...inherited, ...upstreamConfig(caller?.Defaults), ...upstreamConfig(override), ...upstream.Config }
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
