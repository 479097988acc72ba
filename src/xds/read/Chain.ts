/** A discovery chain of what a listener, or a route configuration, leads to, and the clusters behind it. */
import type { Schema } from "effect"
import { Duration } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as Cluster from "./Cluster.ts"
import type * as Routes from "./Routes.ts"

export interface Options {
  /** As it is called: `api`. */
  readonly service: string
  readonly protocol: string
  readonly datacenter: string
  /** Of our own mesh: who answers in another one is of a peer, which is called by its trust domain. */
  readonly trustDomain: string
  /** By name. One that is not there has no instances. */
  readonly clusters: ReadonlyMap<string, Cluster.Cluster>
}

/** Of connections. */
export const ofCluster = (cluster: string, options: Options): DiscoveryChain.Chain => {
  const builder = make(options)
  return builder.chain(builder.resolver(cluster, []))
}

/** Of requests. The last route is that of everything else where it takes every path. */
export const ofRoutes = ({ routes }: Routes.Routes, options: Options): DiscoveryChain.Chain => {
  const builder = make(options)
  const next = (route: Routes.Route, position: number): string => {
    const legs = route.legs.map(({ cluster, definition, weight }) => ({
      Definition: definition,
      Weight: weight / 100,
      NextNode: builder.resolver(cluster, route.hashPolicies)
    }))
    return route.weighted ? builder.splitter(`${options.service} ${position}`, legs) : legs[0]!.NextNode
  }
  return builder.chain(builder.router(routes.map((route, position) => ({
    Definition: route.definition,
    NextNode: next(route, position)
  }))))
}

const make = ({ clusters, datacenter, protocol, service, trustDomain }: Options) => {
  const nodes: Record<string, DiscoveryChain.Node> = {}
  const targets: Record<string, DiscoveryChain.Target> = {}

  const node = (Type: string, Name: string, rest: Partial<DiscoveryChain.Node>): string => {
    const name = `${Type}:${Name}`
    nodes[name] = { Type, Name, Routes: [], Splits: [], ...rest }
    return name
  }
  const target = (name: string): string => {
    targets[name] ??= toTarget(name, clusters.get(name), datacenter, trustDomain)
    return name
  }
  const resolver = (name: string, hashPolicies: ReadonlyArray<Schema.JsonObject>): string => {
    const cluster = clusters.get(name)
    const others = cluster?.members._tag === "Others" ? cluster.members.clusters : undefined
    const [first = name, ...failover] = others ?? [name]
    // Each has its own, and Consul gives them the same.
    const balancing = (others === undefined ? cluster : clusters.get(first))?.balancing ?? {}
    const told = hashPolicies.length === 0 ? "" : ` ${JSON.stringify(hashPolicies)}`
    return node("resolver", `${name}${told}`, {
      Resolver: {
        Default: false,
        ConnectTimeout: Duration.millis(cluster?.connectTimeoutMillis ?? 5000),
        Target: target(first),
        ...(failover.length === 0 ? {} : { Failover: { Targets: failover.map(target) } })
      },
      LoadBalancer: { ...balancing, HashPolicies: hashPolicies }
    })
  }
  return {
    resolver,
    splitter: (name: string, Splits: ReadonlyArray<DiscoveryChain.Split>) => node("splitter", name, { Splits }),
    router: (Routes: ReadonlyArray<DiscoveryChain.Route>) => node("router", service, { Routes }),
    chain: (StartNode: string): DiscoveryChain.Chain => ({
      ServiceName: service,
      Namespace: "default",
      Partition: "default",
      Datacenter: datacenter,
      CustomizationHash: "",
      Default: false,
      Protocol: protocol,
      ServiceMeta: {},
      EnvoyExtensions: [],
      StartNode,
      Nodes: nodes,
      Targets: targets,
      AutoVirtualIPs: [],
      ManualVirtualIPs: []
    })
  }
}

/** Its id is the name of the cluster, by which its instances are found. */
const toTarget = (
  name: string,
  cluster: Cluster.Cluster | undefined,
  datacenter: string,
  trustDomain: string
): DiscoveryChain.Target => {
  const [first] = cluster?.tls?.identities ?? []
  return {
    ID: name,
    Service: first?.service ?? name,
    ServiceSubset: "",
    Namespace: first?.namespace ?? "default",
    Partition: first?.partition ?? "default",
    Datacenter: first?.datacenter ?? datacenter,
    Peer: first === undefined || first.trustDomain === trustDomain ? "" : first.trustDomain,
    MeshGateway: { Mode: "" },
    Subset: { Filter: "", OnlyPassing: false },
    TransparentProxy: {},
    External: false,
    SNI: cluster?.tls?.sni ?? "",
    Name: name
  }
}
