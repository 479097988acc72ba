/** The targets of a chain: which instances of which service, where. Their ids are Consul's own. */
import * as TargetKey from "../../route/TargetKey.ts"
import type { Target } from "../../consul/DiscoveryChain.ts"

/** What the connection is called in TLS. A peer's is known to its own cluster only. */
const sni = (key: TargetKey.TargetKey, trustDomain: string): string =>
  key.peer === ""
    ? `${key.subset === "" ? "" : `${key.subset}.`}${key.service}.default.${key.datacenter}.internal.${trustDomain}`
    : ""

export const make = (key: TargetKey.TargetKey, trustDomain: string): Target => ({
  ID: TargetKey.id(key),
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
