/** The instances of a cluster that may be called, each with the identities of which one has to answer. */
import type * as Endpoints from "../../watch/Endpoints.ts"
import type * as PeerBundles from "../../watch/PeerBundles.ts"
import type * as Cluster from "./Cluster.ts"
import type * as State from "./State.ts"

export interface Found {
  /** Undefined: they have not been told yet. */
  readonly instances: ReadonlyArray<Endpoints.Endpoint> | undefined
  /** Why none may be called. */
  readonly flaw: string | undefined
}

const none: ReadonlyArray<Endpoints.Endpoint> = []

/** `trustDomain`: that of our own mesh; `peers`: who vouches for those of others. The same input gives the same value. */
export const make = () => {
  const known = new WeakMap<
    Cluster.Cluster,
    { readonly from: unknown; readonly peers: PeerBundles.Bundles; readonly found: Found }
  >()
  return (
    { assignments, clusters }: State.State,
    name: string,
    trustDomain: string,
    peers: PeerBundles.Bundles
  ): Found => {
    const cluster = clusters.get(name)
    if (cluster === undefined) return { instances: none, flaw: undefined }
    const { members } = cluster
    const from = members._tag === "Followed" ? assignments.get(members.assignment) : members
    const before = known.get(cluster)
    if (before !== undefined && before.from === from && before.peers === peers) return before.found
    const found = find(cluster, assignments, trustDomain, peers)
    known.set(cluster, { from, peers, found })
    return found
  }
}

const find = (
  { members, name, tls }: Cluster.Cluster,
  assignments: State.State["assignments"],
  trustDomain: string,
  peers: PeerBundles.Bundles
): Found => {
  if (members._tag === "Others") return { instances: none, flaw: undefined }
  const closed = (why: string): Found => ({
    instances: none,
    flaw: `the cluster ${name} ${why}: nobody is called there`
  })
  if (tls === undefined) return closed("does not speak TLS")
  if (tls.identities.length === 0) return closed("names nobody who may answer")
  const [first, ...others] = new Set(tls.identities.map((identity) => identity.trustDomain))
  if (others.length > 0) return closed("is in several meshes at once")
  if (first !== trustDomain && !peers.has(first!)) {
    return closed(`is in another mesh, ${first}, whose authorities can not be told`)
  }
  const instances = members._tag === "Fixed" ? members.instances : assignments.get(members.assignment)
  return {
    instances: instances?.map((instance) => ({
      ...instance,
      expected: tls.identities,
      // Peers are reached by their gateways.
      ...(first === trustDomain ? {} : { isGateway: true })
    })),
    flaw: undefined
  }
}
