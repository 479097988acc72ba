/** How Consul calls things in an Envoy. Dashboards and people know these names. */
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as Proxy from "../../consul/Proxy.ts"

export const localApp = "local_app"
export const publicListener = "public_listener"

/** An upstream in names of listeners, routes and statistics. */
export const ofUpstream = (
  { Datacenter, DestinationName, DestinationPeer, DestinationType }: Proxy.Upstream
): string =>
  `${DestinationType === "prepared_query" ? "prepared_query:" : ""}${DestinationName}${
    DestinationPeer !== "" ? `?peer=${DestinationPeer}` : Datacenter === "" ? "" : `?dc=${Datacenter}`
  }`

export const listener = (name: string, address: string, port: number): string => `${name}:${address}:${port}`

/** A chain in names of virtual hosts and statistics. */
export const ofChain = ({ Datacenter, Namespace, Partition, ServiceName }: DiscoveryChain.Chain): string =>
  `${ServiceName}.${Namespace}.${Partition === "" ? "default" : Partition}.${Datacenter}`

/** The cluster of a target. Chains that were compiled for one caller have clusters of their own. */
export const cluster = (chain: DiscoveryChain.Chain, target: DiscoveryChain.Target): string => {
  const name = target.Name === "" ? target.SNI : target.Name
  return chain.CustomizationHash === "" ? name : `${chain.CustomizationHash}~${name}`
}

/** The cluster of a service of a peer. */
export const ofPeered = ({ Namespace, Peer, Service }: DiscoveryChain.Target, trustDomain: string): string =>
  `${Service}.${Namespace || "default"}.${Peer}.external.${trustDomain}`

/** One of the clusters that stand in for each other, behind the aggregate one that has the name itself. */
export const failoverTarget = (position: number, cluster: string): string => `failover-target~${position}~${cluster}`

/** What stays of a path in a name. */
export const ofPath = (path: string): string => path.replaceAll(/[^a-zA-Z0-9]/g, "")

export const jwksCluster = (provider: string): string => `jwks_cluster_${provider}`
