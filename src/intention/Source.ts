/** Whom an intention is about, read off its source fields, and what to make of a source that is not understood. */
import type * as Decision from "./Decision.ts"
import * as Intention from "./Intention.ts"
import * as SourceIndex from "./SourceIndex.ts"

/** A peered cluster: what its trust bundle says. Its callers never match local intentions, nor the other way round. */
export interface Peer {
  /** As `SourcePeer` names it. */
  readonly name: string
  readonly trustDomain: string
  /** The partition that it exports from. */
  readonly partition?: string | undefined
}

/** Callers: those of one trust domain that the three patterns cover. */
export interface Callers {
  readonly trustDomain: string
  readonly partition: SourceIndex.Pattern
  readonly namespace: SourceIndex.Pattern
  readonly name: SourceIndex.Pattern
}

export type Source =
  | { readonly _tag: "Callers"; readonly callers: Callers }
  /** It may be about all of these callers, or some. It must not allow any of them; a refusal has to refuse them all. */
  | { readonly _tag: "Unclear"; readonly callers: Callers; readonly why: string }
  /** Its peer is not known, so nobody can present an identity that it covers. */
  | { readonly _tag: "UnknownPeer"; readonly why: string }

/** Absent partitions are `default`; datacenters do not count. */
export const read = (
  intention: Intention.Intention,
  trustDomain: string,
  peers: ReadonlyMap<string, Peer>
): Source => {
  const local: Callers = {
    trustDomain,
    partition: intention.SourcePartition || "default",
    namespace: pattern(intention.SourceNS || "default"),
    name: pattern(intention.SourceName)
  }
  const unclear = (callers: Partial<Callers>, why: string): Source => ({
    _tag: "Unclear",
    callers: { ...local, ...callers },
    why
  })
  if (intention.SourceName === "") {
    return unclear({ partition: SourceIndex.any, name: SourceIndex.any }, "it has no source name")
  }
  if (intention.SourceType !== "" && intention.SourceType !== "consul") {
    return unclear(
      { partition: SourceIndex.any },
      `its source is of the unknown type ${JSON.stringify(intention.SourceType)}`
    )
  }
  if (intention.DestinationName === "") return unclear({}, "it has no destination name")
  if (intention.SourceSamenessGroup) {
    return unclear(
      { partition: SourceIndex.any },
      `the members of the sameness group ${JSON.stringify(intention.SourceSamenessGroup)} are not known`
    )
  }
  if (!intention.SourcePeer) return { _tag: "Callers", callers: local }
  const peer = peers.get(intention.SourcePeer)
  if (peer === undefined) {
    return { _tag: "UnknownPeer", why: `no trust bundle of the peer ${JSON.stringify(intention.SourcePeer)} is known` }
  }
  return {
    _tag: "Callers",
    callers: { ...local, trustDomain: peer.trustDomain, partition: peer.partition || "default" }
  }
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
