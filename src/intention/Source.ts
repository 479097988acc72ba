/** The callers that an intention covers, by its source fields, and the treatment of a source that is not understood. */
import type * as Decision from "./Decision.ts"
import * as Intention from "./Intention.ts"
import * as SourceIndex from "./SourceIndex.ts"

/** A peered cluster, from its trust bundle. Its callers never match local intentions, nor the other way round. */
export interface Peer {
  /** As `SourcePeer` names it. */
  readonly name: string
  readonly trustDomain: string
  /** The partition that it exports from. */
  readonly partition?: string | undefined
}

/** Callers of this mesh, or of one peer, that the three patterns cover. */
export interface Callers {
  /** The trust domain of the peer; absent for callers of this mesh. */
  readonly origin: string | undefined
  readonly partition: SourceIndex.Pattern
  readonly namespace: SourceIndex.Pattern
  readonly name: SourceIndex.Pattern
}

export type Source =
  | { readonly _tag: "Callers"; readonly callers: ReadonlyArray<Callers> }
  /** It may cover all of these callers, or some. It must not allow any of them; a refusal has to refuse them all. */
  | { readonly _tag: "Unclear"; readonly callers: ReadonlyArray<Callers>; readonly why: string }
  /** Its peer is not known, so no caller can present an identity that it covers. */
  | { readonly _tag: "UnknownPeer"; readonly why: string }

/** Absent partitions are `default`; datacenters do not count. */
export const read = (intention: Intention.Intention, peers: ReadonlyMap<string, Peer>): Source => {
  const local: Callers = {
    origin: undefined,
    partition: intention.SourcePartition || "default",
    namespace: pattern(intention.SourceNS || "default"),
    name: intention.SourceName === "" ? SourceIndex.any : pattern(intention.SourceName)
  }
  const why = unclear(intention)
  if (why !== undefined) {
    const anywhere: Callers = { ...local, partition: SourceIndex.any }
    const callers = [
      anywhere,
      ...Array.from(peers.values(), ({ trustDomain }) => ({ ...anywhere, origin: trustDomain }))
    ]
    return { _tag: "Unclear", callers, why }
  }
  if (!intention.SourcePeer) return { _tag: "Callers", callers: [local] }
  const peer = peers.get(intention.SourcePeer)
  if (peer === undefined) {
    return { _tag: "UnknownPeer", why: `no trust bundle of the peer ${JSON.stringify(intention.SourcePeer)} is known` }
  }
  return {
    _tag: "Callers",
    callers: [{ ...local, origin: peer.trustDomain, partition: peer.partition || "default" }]
  }
}

/** Why the callers or calls that the intention covers are unclear. Consul stores, or sends, none of these. */
const unclear = (intention: Intention.Intention): string | undefined => {
  if (intention.SourceName === "") return "it has no source name"
  if (intention.DestinationName === "") return "it has no destination name"
  if (intention.SourceType !== "" && intention.SourceType !== "consul") {
    return `its source is of the unknown type ${JSON.stringify(intention.SourceType)}`
  }
  return intention.SourceSamenessGroup
    ? `the members of the sameness group ${JSON.stringify(intention.SourceSamenessGroup)} are not known`
    : undefined
}

/**
 * Whether an intention is about calls to this service. Letter case does not count here, although it does for sources:
 * Consul looks config entries up without it, so an entry for `API` is what it answers for `api`.
 */
export const isFor = (
  intention: Intention.Intention,
  destination: { readonly partition: string; readonly namespace: string; readonly service: string }
): boolean =>
  fold(intention.DestinationPartition || "default") === fold(destination.partition) &&
  covers(intention.DestinationNS || "default", destination.namespace) &&
  (intention.DestinationName === "" || covers(intention.DestinationName, destination.service))

const covers = (pattern: string, name: string): boolean => pattern === "*" || fold(pattern) === fold(name)

const fold = (name: string): string => name.toLowerCase()

const pattern = (name: string): SourceIndex.Pattern => name === "*" ? SourceIndex.any : name

/** How the intention is named to people. */
export const rule = (intention: Intention.Intention): Decision.Rule => ({
  source: (intention.SourceSamenessGroup ? `sameness group ${intention.SourceSamenessGroup}: ` : "") +
    (intention.SourcePeer ? `peer:${intention.SourcePeer}/` : "") +
    display(intention.SourcePartition, intention.SourceNS, intention.SourceName),
  destination: display(intention.DestinationPartition, intention.DestinationNS, intention.DestinationName),
  precedence: Intention.precedence(intention),
  action: hasPermissions(intention) ? "permissions" : intention.Action === "allow" ? "allow" : "deny",
  intention
})

export const hasPermissions = (intention: Intention.Intention): boolean =>
  intention.Permissions !== undefined && intention.Permissions.length > 0

const display = (partition: string | undefined, namespace: string, name: string): string => {
  const shown = name === "" ? "?" : name
  if (partition && partition !== "default") return `${partition}/${namespace}/${shown}`
  return namespace && namespace !== "default" ? `${namespace}/${shown}` : shown
}
