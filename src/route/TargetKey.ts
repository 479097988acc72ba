/** The targets of a discovery chain by name, and how one leads to another (`agent/consul/discoverychain/compile.go`). */

export interface TargetKey {
  readonly service: string
  /** Empty: all instances. */
  readonly subset: string
  /** Empty for a target in a peer. */
  readonly datacenter: string
  readonly peer: string
}

/** The target of a redirect or a failover. Absent fields stay as they are. */
export interface Reference {
  readonly Service?: string
  readonly ServiceSubset?: string
  readonly Datacenter?: string
  readonly Peer?: string
}

/** Of a service-resolver. */
export interface Failover extends Reference {
  readonly Targets: ReadonlyArray<Reference>
  readonly Datacenters: ReadonlyArray<string>
}

/** Subsets in a peer are not distinguished. */
export const id = ({ datacenter, peer, service, subset }: TargetKey): string =>
  peer === ""
    ? `${subset === "" ? "" : `${subset}.`}${service}.default.default.${datacenter}`
    : `${service}.default.default.external.${peer}`

/** Another service has other subsets; a peer has no datacenter, and leaving one means coming home. */
export const rewrite = (target: TargetKey, to: Reference, home: string): TargetKey => {
  const service = to.Service || target.service
  const subset = to.ServiceSubset || (service === target.service ? target.subset : "")
  const peer = to.Peer ?? ""
  if (peer !== "") return { service, subset, datacenter: "", peer }
  return { service, subset, datacenter: to.Datacenter || target.datacenter || home, peer: "" }
}

/** The failover targets of a target, in order: those of its subset, else those of all. Never itself. */
export const failover = (
  target: TargetKey,
  bySubset: Readonly<Record<string, Failover>>,
  home: string
): ReadonlyArray<TargetKey> => {
  const own = bySubset[target.subset === "" ? "*" : target.subset] ?? bySubset["*"]
  if (own === undefined) return []
  const wanted = own.Targets.length > 0
    ? own.Targets.map((to) => rewrite(target, to, home))
    : own.Datacenters.length > 0
    ? own.Datacenters.map((datacenter) => rewrite(target, { ...own, Datacenter: datacenter }, home))
    : [rewrite(target, own, home)]
  return wanted.filter((to) => id(to) !== id(target))
}
