/** Where callers from the mesh connect. */
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as HttpFilters from "./HttpFilters.ts"
import * as Logs from "./Logs.ts"
import * as Names from "./Names.ts"
import * as Rbac from "./Rbac.ts"
import * as Settings from "./Settings.ts"
import * as TlsContexts from "./TlsContexts.ts"
import * as Tokens from "./Tokens.ts"
import * as Values from "./Values.ts"

export const make = (snapshot: Snapshot.Sidecar): Message<"listener.Listener"> => {
  const settings = Settings.of(snapshot)
  const { bind, protocol } = settings
  const logs = Logs.make(snapshot.proxy.AccessLogs)
  return {
    name: Names.listener(Names.publicListener, bind.host, bind.port),
    address: Values.address(bind.host, bind.port),
    filter_chains: [{
      filters: [
        ...(settings.maxInboundConnections === 0 ? [] : [connectionLimit(settings.maxInboundConnections)]),
        ...(Values.isHttpLike(protocol)
          ? [requests(snapshot, settings, logs)]
          : [Rbac.network(policy(snapshot)), bytes(logs)])
      ],
      transport_socket: TlsContexts.downstream(snapshot.credentials, snapshot.peers, snapshot.mesh, protocol)
    }],
    traffic_direction: "INBOUND",
    connection_balance_config: settings.balanceConnections ? { exact_balance: {} } : undefined,
    access_log: logs.listener
  }
}

const policy = (snapshot: Snapshot.Sidecar): Rbac.Options => ({
  trustDomain: snapshot.credentials.trustDomain,
  peers: snapshot.peers,
  intentions: snapshot.intentions,
  defaultPolicy: snapshot.defaultPolicy,
  issuers: snapshot.jwtProviders
})

const connectionLimit = (most: number): Message<"listener.Filter"> => ({
  name: "envoy.filters.network.connection_limit",
  typed_config: any("connection_limit.ConnectionLimit", {
    stat_prefix: "inbound_connection_limit",
    max_connections: most
  })
})

const bytes = ({ filter }: Logs.Logs): Message<"listener.Filter"> => ({
  name: "envoy.filters.network.tcp_proxy",
  typed_config: any("tcp_proxy.TcpProxy", {
    stat_prefix: Names.publicListener,
    cluster: Names.localApp,
    access_log: filter
  })
})

const requests = (
  snapshot: Snapshot.Sidecar,
  settings: Settings.Settings,
  { filter }: Logs.Logs
): Message<"listener.Filter"> => {
  const tokens = Tokens.filter(snapshot.intentions, snapshot.jwtProviders)
  return HttpFilters.manager({
    protocol: settings.protocol,
    statPrefix: Names.publicListener,
    route: {
      route_config: oneRoute(Names.publicListener, {
        match: { prefix: "/" },
        route: {
          cluster: Names.localApp,
          timeout: orDuration(settings.requestTimeoutMillis),
          idle_timeout: orDuration(settings.idleTimeoutMillis)
        }
      })
    },
    inbound: {
      mesh: snapshot.mesh,
      judges: [...(tokens === undefined ? [] : [tokens]), Rbac.http(policy(snapshot))]
    },
    maxRequestHeadersKb: settings.maxRequestHeadersKb,
    accessLog: filter
  })
}

const orDuration = (millis: number | undefined): string | undefined =>
  millis === undefined ? undefined : Values.duration(millis)

/** For any host. */
export const oneRoute = (
  name: string,
  route: Message<"route.Route">,
  virtualHost = name
): Message<"route.RouteConfiguration"> => ({
  name,
  virtual_hosts: [{ name: virtualHost, domains: ["*"], routes: [route] }]
})
