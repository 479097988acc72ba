/** What the sidecar has to do, as its listeners and the cluster of its application say. */
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as AccessLogs from "../../watch/registration/AccessLogs.ts"
import type * as Addresses from "../../watch/registration/Addresses.ts"
import * as ConnectionSettings from "../../watch/registration/ConnectionSettings.ts"
import type * as Exposed from "../../watch/registration/Exposed.ts"
import type * as Cluster from "./Cluster.ts"
import type * as Filters from "./Filters.ts"
import type * as Listener from "./Listener.ts"
import type * as Routes from "./Routes.ts"
import type * as State from "./State.ts"

/** Without an application that is understood nobody is let in. */
export const of = (
  state: State.State,
  listener: Listener.Listener,
  { service }: SpiffeId.Service,
  proxyId: string
): ProxyRegistration.Registration => {
  const logs = AccessLogs.parse(
    listener.accessLog === undefined
      ? undefined
      : { ...listener.accessLog, DisableListenerLogs: !listener.logsConnections }
  )
  const route = routeOf(listener.to)
  const application = applicationOf(state, listener.to)
  const exposed = [...state.listeners.values()].flatMap((each) =>
    each.kind._tag === "Exposed" ? exposedOf(state, each) : []
  )
  return {
    proxyId,
    service,
    protocol: listener.protocol,
    listen: application === undefined || "path" in listener.bind ? undefined : listener.bind,
    application: application?.address ?? { host: "127.0.0.1", port: 0 },
    applicationConnectTimeoutMillis: application?.connectTimeoutMillis ?? 5000,
    requests: {
      timeoutMillis: limit(route?.times.requestMillis, 15_000),
      idleTimeoutMillis: limit(route?.times.idleMillis, 300_000)
    },
    handshakeTimeoutMillis: 10_000,
    maxInboundConnections: listener.maxConnections ?? 0,
    arrivals: ConnectionSettings.noLimits,
    connections: ConnectionSettings.defaults,
    reauthorizeMillis: 60_000,
    exposed,
    accessLogs: logs.accessLogs,
    upstreams: [...state.listeners.values()].flatMap((each) =>
      each.kind._tag === "Upstream" ? [upstreamOf(state, each, each.kind)] : []
    ),
    ignored: logs.ignored
  }
}

const limit = (said: number | undefined, open: number): number | undefined =>
  said === undefined ? open : said === 0 ? undefined : said

/** The only one, where there is only one. */
const routeOf = (to: Filters.Destination): Routes.Route | undefined =>
  to._tag === "Routes" && to.routes.routes.length === 1 ? to.routes.routes[0] : undefined

interface Application {
  readonly address: Addresses.Address
  readonly connectTimeoutMillis: number
}

const applicationOf = ({ clusters }: State.State, to: Filters.Destination): Application | undefined => {
  const name = to._tag === "Cluster" ? to.cluster : routeOf(to)?.legs[0].cluster
  const cluster = name === undefined ? undefined : clusters.get(name)
  const instance = cluster?.members._tag === "Fixed" && cluster.tls === undefined
    ? cluster.members.instances[0]
    : undefined
  return cluster === undefined || instance === undefined
    ? undefined
    : { address: instance.address, connectTimeoutMillis: cluster.connectTimeoutMillis }
}

const exposedOf = (
  state: State.State,
  { bind, onlySome, protocol, to }: Listener.Listener
): ReadonlyArray<Exposed.ExposedPath> => {
  const match = routeOf(to)?.definition["Match"]
  const path = exactPath(match)
  const application = applicationOf(state, to)
  return path === undefined || application === undefined || "path" in bind ? [] : [{
    path,
    listen: bind,
    application: application.address,
    protocol: protocol === "http2" || protocol === "grpc" ? "http2" : "http",
    onlyAgent: onlySome
  }]
}

const exactPath = (match: unknown): string | undefined => {
  const http = typeof match === "object" && match !== null && "HTTP" in match ? match.HTTP : undefined
  return typeof http === "object" && http !== null && "PathExact" in http ? String(http.PathExact) : undefined
}

const upstreamOf = (
  state: State.State,
  listener: Listener.Listener,
  { datacenter, peer, query, service }: Listener.Called
): ProxyRegistration.Upstream => {
  const cluster = firstCluster(state, listener.to)
  return {
    id: [
      query ? `${service}.query` : service,
      ...(datacenter === undefined ? [] : [datacenter]),
      ...(peer === undefined ? [] : [`peer:${peer}`])
    ].join("@"),
    service,
    ...(query ? { query } : {}),
    datacenter,
    ...(peer === undefined ? {} : { peer }),
    bind: listener.bind,
    connectTimeoutMillis: undefined,
    protocol: listener.protocol,
    limits: cluster?.limits ?? noLimits,
    passiveHealthCheck: cluster?.outliers ?? {},
    connections: ConnectionSettings.defaults
  }
}

const noLimits = { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined }

/** Its settings are those of the upstream: Consul gives all clusters behind it the same. */
const firstCluster = (state: State.State, to: Filters.Destination): Cluster.Cluster | undefined => {
  const routes = to._tag === "Named" ? state.routes.get(to.name) : to._tag === "Routes" ? to.routes : undefined
  const name = to._tag === "Cluster" ? to.cluster : routes?.routes[0]?.legs[0].cluster
  const cluster = name === undefined ? undefined : state.clusters.get(name)
  const [first] = cluster?.members._tag === "Others" ? cluster.members.clusters : []
  return first === undefined ? cluster : state.clusters.get(first)
}
