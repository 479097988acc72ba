/**
 * What a cluster shows to a peer: the services of its `exported-services` entry. Each is there twice, as its instances, whose
 * checks are summed up in one, and as what can be dialled, which are the mesh gateways of the exporting side
 * (`agent/grpc-external/services/peerstream/subscription_manager.go`).
 */
import * as Health from "../../consul/Health.ts"
import * as Proxy from "../../consul/Proxy.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as CatalogStore from "../CatalogStore.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import type * as ConfigEntries from "../config/ConfigEntries.ts"
import type * as Roots from "../Roots.ts"
import type * as Store from "../Store.ts"

export interface Cluster {
  readonly settings: { readonly datacenter: string }
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly config: ConfigEntries.ConfigEntries
  readonly roots: Roots.Roots
}

/** What a change of it shows in. */
export const topics: ReadonlyArray<Store.Topic> = ["config", "nodes", "services", "checks", "roots"]

/** By name. `peer` is what the exporting side calls the other. */
export const services = ({ catalog, config }: Cluster, peer: string): ReadonlyArray<string> => {
  const exported = EntrySet.ofKind(config.all(), "exported-services").flatMap(({ Services }) => Services)
    .filter(({ Consumers }) => Consumers.some(({ Peer }) => Peer === peer))
    .map(({ Name }) => Name)
  const all = exported.includes("*")
    ? catalog.nodes().flatMap(({ services }) => [...services.values()])
      .filter(({ Kind, Service }) => Kind === "" && Service !== "consul").map(({ Service }) => Service)
    : []
  return [...new Set([...exported.filter((name) => name !== "*"), ...all])].toSorted()
}

/** As the other side, which calls this one `as`, keeps them. */
export const entries = (cluster: Cluster, peer: string, as: string): ReadonlyArray<Health.ServiceEntry> => {
  const gateways = cluster.catalog.ofKind("mesh-gateway")
  return services(cluster, peer).flatMap((service) => [
    ...cluster.catalog.instances(service, false).map((entry) => imported(entry, entry.Service, as)),
    ...gateways.map((gateway, position) => imported(gateway, behind(cluster, gateway, { peer, position, service }), as))
  ])
}

/** What stands for the service at a gateway. */
const behind = (
  { config, roots: { trustDomain }, settings: { datacenter } }: Cluster,
  { Service }: Health.ServiceEntry,
  { peer, position, service }: { readonly peer: string; readonly position: number; readonly service: string }
): Health.NodeService =>
  Health.NodeService.make({
    Kind: "connect-proxy",
    ID: `${service}-sidecar-proxy-instance-${position}`,
    Service: `${service}-sidecar-proxy`,
    Address: Service.Address,
    TaggedAddresses: Service.TaggedAddresses,
    Port: Service.Port,
    Weights: Service.Weights,
    Proxy: Proxy.CatalogProxy.make({
      DestinationServiceName: service,
      DestinationServiceID: `${service}-instance-${position}`
    }),
    Connect: {
      Native: false,
      PeerMeta: {
        SNI: [`${service}.default.default.${peer}.external.${trustDomain}`],
        // A gateway of Envoy's opens requests of HTTP, and answers in its own name.
        SpiffeID: [
          SpiffeId.format(SpiffeId.service({ trustDomain, datacenter, service })),
          SpiffeId.format({ _tag: "MeshGateway", trustDomain, partition: "default", datacenter })
        ],
        Protocol: EntrySet.protocol(config.all(), service)
      }
    },
    CreateIndex: Service.CreateIndex,
    ModifyIndex: Service.ModifyIndex
  })

const ranks = ["passing", "warning", "critical"]

const imported = (
  { Checks, Node }: Health.ServiceEntry,
  service: Health.NodeService,
  as: string
): Health.ServiceEntry => {
  const worst = Checks.reduce((worst, { Status }) => Math.max(worst, ranks.indexOf(Status)), 0)
  return {
    Node: { ...Node, PeerName: as },
    Service: { ...service, PeerName: as },
    Checks: [
      Health.Check.make({
        Node: Node.Node,
        CheckID: `${service.ID}:overall-check`,
        Name: "overall-check",
        Status: ranks[worst] ?? "critical",
        ServiceID: service.ID,
        ServiceName: service.Service,
        PeerName: as
      })
    ]
  }
}
