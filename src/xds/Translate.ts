/**
 * A snapshot as resources of Envoy, the way Consul configures its own (`agent/xds`). A translator keeps what it made of parts
 * that are the same value as the time before, so that a change costs what it changes.
 */
import type { Message } from "./proto/Messages.ts"
import * as Resources from "./Resources.ts"
import type * as Snapshot from "./Snapshot.ts"
import * as Assignments from "./translate/Assignments.ts"
import * as ExposedListeners from "./translate/ExposedListeners.ts"
import * as Gateway from "./translate/Gateway.ts"
import * as Logs from "./translate/Logs.ts"
import * as Names from "./translate/Names.ts"
import * as OwnClusters from "./translate/OwnClusters.ts"
import * as PublicListener from "./translate/PublicListener.ts"
import * as Routes from "./translate/Routes.ts"
import * as UpstreamCluster from "./translate/UpstreamCluster.ts"
import * as UpstreamListener from "./translate/UpstreamListener.ts"

export type Translator = (snapshot: Snapshot.Snapshot) => Resources.Resources

/** Before anything is encoded, for those who want to look. */
export interface Messages {
  readonly clusters: ReadonlyArray<Message<"cluster.Cluster">>
  readonly assignments: ReadonlyArray<Message<"endpoint.ClusterLoadAssignment">>
  readonly listeners: ReadonlyArray<Message<"listener.Listener">>
  readonly routes: ReadonlyArray<Message<"route.RouteConfiguration">>
}

export const make = (): Translator => {
  const translate = translator()
  return (snapshot) => encoded(translate(snapshot))
}

export const messages = (snapshot: Snapshot.Snapshot): Messages => translator()(snapshot)

const translator = (): (snapshot: Snapshot.Snapshot) => Messages => {
  const memo = memory()
  return (snapshot) => snapshot.kind === "mesh-gateway" ? gateway(snapshot, memo) : sidecar(snapshot, memo)
}

/** What was made of the same values under the same key. What was not asked for in a round is forgotten. */
interface Memory {
  readonly round: <A>(work: (keep: Keep) => A) => A
}

type Keep = <B>(key: string, of: ReadonlyArray<unknown>, make: () => B) => B

const memory = (): Memory => {
  let before = new Map<string, { readonly of: ReadonlyArray<unknown>; readonly value: unknown }>()
  return {
    round: (work) => {
      const now: typeof before = new Map()
      const made = work(<B>(key: string, of: ReadonlyArray<unknown>, make: () => B): B => {
        const known = before.get(key)
        const same = known !== undefined && known.of.length === of.length &&
          known.of.every((value, index) => value === of[index])
        const entry = same ? known : { of, value: make() }
        now.set(key, entry)
        return entry.value as B
      })
      before = now
      return made
    }
  }
}

const sidecar = (snapshot: Snapshot.Sidecar, memory: Memory): Messages =>
  memory.round((keep) => {
    const { credentials, intentions, jwtProviders, mesh, peers, proxy } = snapshot
    const logs = keep("logs", [proxy.AccessLogs], () => Logs.make(proxy.AccessLogs))
    const own = [proxy, snapshot.address, snapshot.port]
    const policy = [intentions, jwtProviders, snapshot.defaultPolicy]
    const upstreams = snapshot.upstreams.map((upstream) => {
      const { chain, endpoints, identities, settings } = upstream
      const id = Names.ofUpstream(settings)
      return {
        clusters: keep(`clusters ${id}`, [chain, settings, credentials, mesh, peers, identities], () =>
          UpstreamCluster.make(snapshot, upstream)),
        listener: keep(`listener ${id} ${settings.LocalBindPort} ${settings.LocalBindSocketPath}`, [
          chain,
          settings,
          logs
        ], () =>
          UpstreamListener.make(upstream, logs)),
        route: keep(`route ${id}`, [chain], () =>
          Routes.make(chain, id)),
        assignments: keep(`targets ${id}`, [chain], () => UpstreamCluster.targets(chain)).map(({ cluster, target }) =>
          assignment(cluster, endpoints.get(target.ID) ?? nobody)
        )
      }
    })
    return {
      clusters: [
        ...keep("own clusters", [...own, intentions, jwtProviders], () => OwnClusters.make(snapshot)),
        ...upstreams.flatMap(({ clusters }) => clusters)
      ],
      assignments: upstreams.flatMap(({ assignments }) => assignments),
      listeners: [
        keep("public", [...own, ...policy, credentials, mesh, peers, logs], () => PublicListener.make(snapshot)),
        ...keep("exposed", [...own, logs, snapshot.agentAddress], () => ExposedListeners.listeners(snapshot)),
        ...upstreams.flatMap(({ listener }) => listener === undefined ? [] : [listener])
      ],
      routes: upstreams.flatMap(({ route }) => route === undefined ? [] : [route])
    }
  })

/** Clusters are kept by their name, of which there may be thousands. */
const gateway = (snapshot: Snapshot.MeshGateway, memory: Memory): Messages =>
  memory.round((keep) => ({
    clusters: Gateway.clusters(snapshot).map((cluster) =>
      keep(`cluster ${cluster.name}`, [cluster.connect_timeout], () => cluster)
    ),
    assignments: Gateway.endpoints(snapshot).map(([cluster, endpoints]) => assignment(cluster, endpoints)),
    listeners: keep(
      "listeners",
      [
        JSON.stringify([
          snapshot.trustDomain,
          snapshot.datacenter,
          snapshot.addresses,
          snapshot.datacenters.map(({ datacenter }) => datacenter)
        ])
      ],
      () => Gateway.listeners(snapshot)
    ),
    routes: []
  }))

/** One message for all who call a target: instances are the same for everybody. */
const assignment = (
  cluster: string,
  endpoints: Snapshot.GatewayTarget["endpoints"]
): Message<"endpoint.ClusterLoadAssignment"> => {
  const byCluster = assignments.get(endpoints) ?? new Map<string, Message<"endpoint.ClusterLoadAssignment">>()
  assignments.set(endpoints, byCluster)
  const made = byCluster.get(cluster) ?? Assignments.make(cluster, endpoints)
  byCluster.set(cluster, made)
  return made
}

const nobody: Snapshot.GatewayTarget["endpoints"] = []

const assignments = new WeakMap<object, Map<string, Message<"endpoint.ClusterLoadAssignment">>>()

const encoded = ({ assignments, clusters, listeners, routes }: Messages): Resources.Resources => ({
  ...Resources.none,
  "cluster.Cluster": byName(
    clusters,
    ({ name }) => name,
    (name, message) => Resources.resource("cluster.Cluster", name, message, message.type === "EDS" ? [name] : [])
  ),
  "endpoint.ClusterLoadAssignment": byName(
    assignments,
    ({ cluster_name }) => cluster_name,
    (name, message) => Resources.resource("endpoint.ClusterLoadAssignment", name, message)
  ),
  "listener.Listener": byName(
    listeners,
    ({ name }) => name,
    (name, message) => Resources.resource("listener.Listener", name, message, routesOf(message))
  ),
  "route.RouteConfiguration": byName(
    routes,
    ({ name }) => name,
    (name, message) => Resources.resource("route.RouteConfiguration", name, message)
  )
})

/** The first of a name: upstreams that lead to one service share its clusters. */
const byName = <M>(
  messages: ReadonlyArray<M>,
  nameOf: (message: M) => string | undefined,
  make: (name: string, message: M) => Resources.Resource
): ReadonlyMap<string, Resources.Resource> => {
  const made = new Map<string, Resources.Resource>()
  for (const message of messages) {
    const name = nameOf(message) ?? ""
    if (!made.has(name)) made.set(name, make(name, message))
  }
  return made
}

/** The routes that a listener asks for. */
const routesOf = ({ filter_chains = [] }: Message<"listener.Listener">): ReadonlyArray<string> =>
  filter_chains.flatMap(({ filters = [] }) =>
    filters.flatMap(({ typed_config }) => {
      const rds = (typed_config as Message<"hcm.HttpConnectionManager"> | undefined)?.rds
      return rds?.route_config_name === undefined ? [] : [rds.route_config_name]
    })
  )
