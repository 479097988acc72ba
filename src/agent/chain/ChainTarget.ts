/** The targets of a chain: which instances of which service, where. Their ids are Consul's own. */
import type { Target } from "../../consul/DiscoveryChain.ts"

export interface TargetKey {
  readonly service: string
  readonly subset: string
  /** Empty for a target in a peer. */
  readonly datacenter: string
  readonly peer: string
}

/** A subset in a peer is not told apart. */
export const id = ({ datacenter, peer, service, subset }: TargetKey): string =>
  peer === ""
    ? `${subset === "" ? "" : `${subset}.`}${service}.default.default.${datacenter}`
    : `${service}.default.default.external.${peer}`

/** Another service has other subsets; a peer has no datacenter, and leaving one means coming home. */
export const rewrite = (
  target: TargetKey,
  to: {
    readonly Service?: string
    readonly ServiceSubset?: string
    readonly Datacenter?: string
    readonly Peer?: string
  },
  home: string
): TargetKey => {
  const service = to.Service || target.service
  const subset = to.ServiceSubset || (service === target.service ? target.subset : "")
  const peer = to.Peer ?? ""
  if (peer !== "") return { service, subset, datacenter: "", peer }
  return { service, subset, datacenter: to.Datacenter || target.datacenter || home, peer: "" }
}

/** What the connection is called in TLS. A peer's is known to its own cluster only. */
const sni = (key: TargetKey, trustDomain: string): string =>
  key.peer === ""
    ? `${key.subset === "" ? "" : `${key.subset}.`}${key.service}.default.${key.datacenter}.internal.${trustDomain}`
    : ""

export const make = (key: TargetKey, trustDomain: string): Target => ({
  ID: id(key),
  Service: key.service,
  ServiceSubset: key.subset,
  Namespace: "default",
  Partition: "default",
  Datacenter: key.datacenter,
  Peer: key.peer,
  MeshGateway: { Mode: "" },
  Subset: { Filter: "", OnlyPassing: false },
  TransparentProxy: {},
  External: false,
  SNI: sni(key, trustDomain),
  Name: sni(key, trustDomain)
})
