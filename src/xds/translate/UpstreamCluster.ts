/**
 * The clusters of a chain: one for each target, or, where targets stand in for each other, one for each of them behind an
 * aggregate one that has the name of the first.
 */
import { Duration } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as ServiceResolver from "../../consul/config/ServiceResolver.ts"
import { Option, Schema } from "effect"
import * as Upstreams from "../../watch/registration/Upstreams.ts"
import { any } from "../proto/Encode.ts"
import type { AnyMessage, Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as Names from "./Names.ts"
import * as TlsContexts from "./TlsContexts.ts"
import * as Values from "./Values.ts"

type Cluster = Message<"cluster.Cluster">

/** A target and the cluster that it is. */
export interface Placed {
  readonly cluster: string
  readonly target: DiscoveryChain.Target
}

interface Group {
  readonly name: string
  readonly node: DiscoveryChain.Node
  /** More than one: they stand in for each other. */
  readonly targets: readonly [DiscoveryChain.Target, ...Array<DiscoveryChain.Target>]
}

/** The resolvers of a chain. */
const groups = (chain: DiscoveryChain.Chain): ReadonlyArray<Group> =>
  Object.values(chain.Nodes).flatMap((node) => {
    const [first, ...rest] = targetsOf(chain, node)
    return first === undefined ? [] : [{ name: Names.cluster(chain, first), node, targets: [first, ...rest] as const }]
  })

const targetsOf = (chain: DiscoveryChain.Chain, node: DiscoveryChain.Node): ReadonlyArray<DiscoveryChain.Target> =>
  node.Resolver === undefined
    ? []
    : [node.Resolver.Target, ...(node.Resolver.Failover?.Targets ?? [])].flatMap((id) => {
      const target = chain.Targets[id]
      return target === undefined ? [] : [target]
    })

/** The cluster that a resolver of the chain leads to. One without a target leads nowhere. */
export const nameOf = (chain: DiscoveryChain.Chain, node: string): string => {
  const [first] = targetsOf(chain, chain.Nodes[node]!)
  return first === undefined ? `unreachable~${node}` : Names.cluster(chain, first)
}

const placed = ({ name, targets }: Group): ReadonlyArray<Placed> =>
  targets.length === 1
    ? [{ cluster: name, target: targets[0] }]
    : targets.map((target, position) => ({ cluster: Names.failoverTarget(position, name), target }))

/** Every cluster that has instances. */
export const targets = (chain: DiscoveryChain.Chain): ReadonlyArray<Placed> => groups(chain).flatMap(placed)

export const make = (snapshot: Snapshot.Sidecar, upstream: Snapshot.Upstream): ReadonlyArray<Cluster> => {
  const { chain } = upstream
  // The port is for the listener alone.
  const settings = Upstreams.parse({ ...upstream.settings, LocalBindPort: 1 }, snapshot.proxy).upstream
  return groups(chain).flatMap((group) => {
    const connect_timeout = Values.duration(
      Duration.toMillis(group.node.Resolver?.ConnectTimeout ?? Duration.seconds(5))
    )
    const members = placed(group).map(({ cluster, target }): Cluster => ({
      name: cluster,
      alt_stat_name: cluster,
      type: "EDS",
      eds_cluster_config: { eds_config: Values.ads },
      connect_timeout,
      common_lb_config: { healthy_panic_threshold: {} },
      circuit_breakers: limits(settings?.limits),
      outlier_detection: ejection({
        ...settings?.passiveHealthCheck,
        // Health says nothing of what the config entries of the peer make of its service (`agent/xds/clusters.go`).
        ...(target.Peer === "" ? {} : { maxEjectionPercent: 100 })
      }),
      ...balancing(group.node.LoadBalancer),
      typed_extension_protocol_options: Values.isHttp2(chain.Protocol) ? http2 : undefined,
      transport_socket: TlsContexts.upstream(snapshot.credentials, snapshot.mesh, {
        service: target.Service,
        datacenter: target.Datacenter,
        sni: target.SNI,
        peer: target.Peer === "" ? undefined : {
          roots: snapshot.peers.get(target.Peer)?.roots ?? "",
          identities: upstream.identities.get(target.ID) ?? []
        }
      })
    }))
    return members.length === 1 ? members : [...members, {
      name: group.name,
      alt_stat_name: group.name,
      connect_timeout,
      lb_policy: "CLUSTER_PROVIDED",
      cluster_type: {
        name: "envoy.clusters.aggregate",
        typed_config: any("aggregate.ClusterConfig", { clusters: members.map(({ name }) => name!) })
      }
    }]
  })
}

const optionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

const http2: { readonly [name: string]: AnyMessage } = {
  [optionsKey]: any("upstream_http.HttpProtocolOptions", { explicit_http_config: { http2_protocol_options: {} } })
}

/** What the application speaks is what its caller speaks. */
export const asDownstream: { readonly [name: string]: AnyMessage } = {
  [optionsKey]: any("upstream_http.HttpProtocolOptions", {
    use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} }
  })
}

export const http2Options = http2

const limits = (said: Upstreams.Limits | undefined): Message<"cluster.CircuitBreakers"> => {
  const threshold = {
    max_connections: said?.maxConnections,
    max_pending_requests: said?.maxPendingRequests,
    max_requests: said?.maxConcurrentRequests
  }
  return Object.values(threshold).some((value) => value !== undefined) ? { thresholds: [threshold] } : {}
}

const ejection = (said: Upstreams.Upstream["passiveHealthCheck"]): Message<"cluster.OutlierDetection"> => ({
  consecutive_5xx: said.maxFailures,
  interval: said.intervalMillis === undefined ? undefined : Values.duration(said.intervalMillis),
  base_ejection_time: said.baseEjectionMillis === undefined ? undefined : Values.duration(said.baseEjectionMillis),
  max_ejection_percent: said.maxEjectionPercent,
  enforcing_consecutive_5xx: said.enforcing
})

const decodeBalancer = Schema.decodeUnknownOption(ServiceResolver.LoadBalancer)

/** As a service-resolver says it. What is not understood is as if it were not there. */
export const balancer = (node: DiscoveryChain.Node): ServiceResolver.LoadBalancer | undefined =>
  Option.getOrUndefined(decodeBalancer(node.LoadBalancer))

const balancing = (said: DiscoveryChain.Node["LoadBalancer"]): Cluster => {
  const decoded = Option.getOrUndefined(decodeBalancer(said))
  switch (decoded?.Policy) {
    case "random":
      return { lb_policy: "RANDOM" }
    case "least_request": {
      const choices = decoded.LeastRequestConfig?.ChoiceCount || undefined
      return {
        lb_policy: "LEAST_REQUEST",
        least_request_lb_config: choices === undefined ? undefined : { choice_count: choices }
      }
    }
    case "ring_hash": {
      const { MaximumRingSize = 0, MinimumRingSize = 0 } = decoded.RingHashConfig ?? {}
      return {
        lb_policy: "RING_HASH",
        ring_hash_lb_config: decoded.RingHashConfig === undefined ? undefined : {
          minimum_ring_size: MinimumRingSize || undefined,
          maximum_ring_size: MaximumRingSize || undefined
        }
      }
    }
    case "maglev":
      return { lb_policy: "MAGLEV" }
    default:
      return {}
  }
}
