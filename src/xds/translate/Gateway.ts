/**
 * A mesh gateway: it reads the server name of a connection, and passes it to a service of its datacenter, or to the gateways of
 * another one. It has no certificate of the services, and opens nothing.
 */
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as Names from "./Names.ts"
import * as Values from "./Values.ts"

/** Envoy has the name that a client asks for in lower case before it looks for a listener or a cluster of that name. */
const asked = (name: string): string => name.toLowerCase()

const datacenterName = ({ trustDomain }: Snapshot.MeshGateway, datacenter: string): string =>
  `${datacenter}.internal.${trustDomain}`

export const listeners = (snapshot: Snapshot.MeshGateway): ReadonlyArray<Message<"listener.Listener">> =>
  snapshot.addresses.map(({ address, name, port }) => ({
    name: Names.listener(name, address, port),
    address: Values.address(address, port),
    listener_filters: [{
      name: "envoy.filters.listener.tls_inspector",
      typed_config: any("tls_inspector.TlsInspector", {})
    }],
    filter_chains: [
      ...snapshot.datacenters.map(({ datacenter }) => ({
        filter_chain_match: { server_names: [asked(`*.${datacenterName(snapshot, datacenter)}`)] },
        filters: [passed(`mesh_gateway_remote.${datacenter}`, datacenterName(snapshot, datacenter))]
      })),
      {
        // Only names that are clusters lead anywhere: what is not known is closed.
        filter_chain_match: { server_names: [asked(`*.${datacenterName(snapshot, snapshot.datacenter)}`)] },
        filters: [
          { name: "envoy.filters.network.sni_cluster", typed_config: any("sni_cluster.SniCluster", {}) },
          passed("mesh_gateway_local", "")
        ]
      }
    ]
  }))

const passed = (statPrefix: string, cluster: string): Message<"listener.Filter"> => ({
  name: "envoy.filters.network.tcp_proxy",
  typed_config: any("tcp_proxy.TcpProxy", { stat_prefix: statPrefix, cluster })
})

export const clusters = (snapshot: Snapshot.MeshGateway): ReadonlyArray<Message<"cluster.Cluster">> => [
  ...snapshot.services.map(({ connectTimeoutMillis, sni }) => cluster(asked(sni), connectTimeoutMillis)),
  ...snapshot.datacenters.map(({ datacenter }) =>
    cluster(datacenterName(snapshot, datacenter), snapshot.connectTimeoutMillis)
  )
]

const cluster = (name: string, connectTimeoutMillis: number): Message<"cluster.Cluster"> => ({
  name,
  type: "EDS",
  eds_cluster_config: { eds_config: Values.ads },
  connect_timeout: Values.duration(connectTimeoutMillis),
  outlier_detection: {},
  common_lb_config: { healthy_panic_threshold: {} }
})

/** The instances of each cluster. */
export const endpoints = (
  snapshot: Snapshot.MeshGateway
): ReadonlyArray<readonly [cluster: string, Snapshot.GatewayTarget["endpoints"]]> => [
  ...snapshot.services.map(({ endpoints, sni }) => [asked(sni), endpoints] as const),
  ...snapshot.datacenters.map(({ datacenter, endpoints }) => [datacenterName(snapshot, datacenter), endpoints] as const)
]
