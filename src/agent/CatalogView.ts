/** How the catalog is asked, and the other shapes in which it answers. */
import type * as Catalog from "../consul/Catalog.ts"
import type * as Health from "../consul/Health.ts"
import type * as CatalogStore from "./CatalogStore.ts"

export interface NodeQuery {
  readonly index?: bigint
  readonly wait?: string
  readonly filter?: string
  readonly cached?: boolean
  readonly "node-meta"?: ReadonlyArray<string>
}

export interface InstanceQuery extends NodeQuery {
  readonly tag?: ReadonlyArray<string>
  readonly peer?: string
  readonly sg?: string
  readonly "merge-central-config"?: boolean
}

/** By the node's metadata and the service's tags. */
export const isWanted = ({ Node, Service }: Health.ServiceEntry, query: InstanceQuery): boolean =>
  hasMeta(Node, query) &&
  (query.tag ?? []).every((tag) => Service.Tags.some((own) => own.toLowerCase() === tag.toLowerCase()))

export const hasMeta = (node: Health.Node, query: NodeQuery): boolean =>
  (query["node-meta"] ?? []).every((pair) => {
    const colon = pair.indexOf(":")
    return colon === -1 ? Object.hasOwn(node.Meta, pair) : node.Meta[pair.slice(0, colon)] === pair.slice(colon + 1)
  })

/** Every check of the instance and of its node. */
export const isPassing = ({ Checks }: Health.ServiceEntry): boolean =>
  Checks.every(({ Status }) => Status === "passing")

export const flat = ({ Node, Service }: Health.ServiceEntry): Catalog.CatalogService => ({
  ID: Node.ID,
  Node: Node.Node,
  Address: Node.Address,
  Datacenter: Node.Datacenter,
  TaggedAddresses: Node.TaggedAddresses,
  NodeMeta: Node.Meta,
  ServiceKind: Service.Kind,
  ServiceID: Service.ID,
  ServiceName: Service.Service,
  ServiceTags: Service.Tags,
  ServiceAddress: Service.Address,
  ServiceTaggedAddresses: Service.TaggedAddresses,
  ServiceWeights: Service.Weights,
  ServiceMeta: Service.Meta,
  ServicePort: Service.Port,
  ServiceSocketPath: Service.SocketPath,
  ServiceEnableTagOverride: Service.EnableTagOverride,
  ServiceProxy: Service.Proxy,
  ServiceConnect: Service.Connect,
  PeerName: Service.PeerName,
  CreateIndex: Service.CreateIndex,
  ModifyIndex: Service.ModifyIndex,
  ...(Service.Locality !== undefined && { ServiceLocality: Service.Locality })
})

/** The union of the tags of its instances, for each service. */
export const tagsByService = (
  nodes: ReadonlyArray<CatalogStore.NodeRecord>,
  query: NodeQuery,
  keep: (service: Catalog.CatalogService) => boolean
): Record<string, ReadonlyArray<string>> => {
  const tags = new Map<string, Set<string>>()
  for (const { node, services } of nodes) {
    if (!hasMeta(node, query)) continue
    for (const service of services.values()) {
      if (!keep(flat({ Node: node, Service: service, Checks: [] }))) continue
      const known = tags.get(service.Service) ?? new Set()
      for (const tag of service.Tags) known.add(tag)
      tags.set(service.Service, known)
    }
  }
  return Object.fromEntries([...tags].sort(([a], [b]) => a < b ? -1 : 1).map(([name, set]) => [name, [...set]]))
}
