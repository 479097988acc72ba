/** The policy of a mesh, as far as who may call whom depends on it. */
import * as Authorizer from "../intention/Authorizer.ts"
import type * as Intention from "../intention/Intention.ts"
import type * as PathNormalization from "../intention/PathNormalization.ts"
import * as Source from "../intention/Source.ts"
import * as Names from "./Names.ts"

export interface Service extends Names.Name {
  /** Absent where nothing says so. */
  readonly protocol?: string | undefined
}

/** What a policy rests on, as far as a reader of an answer should know it. */
export interface Basis {
  /** `assumed`: no source says which default policy holds, and it could be the other one. */
  readonly defaultPolicy: "said" | "assumed"
  /** What was not read, in sentences. Empty: the policy is all there is. */
  readonly missing: ReadonlyArray<string>
}

export interface Policy {
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly defaultPolicy: Authorizer.DefaultPolicy
  /** Services that exist, whether or not an intention names them. */
  readonly services: ReadonlyArray<Service>
  /** Of services that do not say (`proxy-defaults`). */
  readonly defaultProtocol: string | undefined
  readonly normalization: PathNormalization.RequestNormalization
  readonly basis: Basis
  /** The config entries that it is made of. Empty where it is made of intentions. */
  readonly entries: ReadonlyArray<Entry>
}

export interface Entry {
  readonly kind: string
  readonly name: Names.Name
}

export const make = (
  policy: Pick<Policy, "intentions" | "defaultPolicy"> & {
    readonly services?: ReadonlyArray<string | (Partial<Service> & { readonly service: string })> | undefined
    readonly defaultProtocol?: string | undefined
    readonly normalization?: PathNormalization.RequestNormalization | undefined
    readonly basis?: Basis | undefined
    readonly entries?: ReadonlyArray<Entry> | undefined
  }
): Policy => ({
  intentions: policy.intentions,
  defaultPolicy: policy.defaultPolicy,
  services: (policy.services ?? []).map((each) =>
    typeof each === "string" ? Names.parse(each) : { namespace: "default", partition: "default", ...each }
  ),
  defaultProtocol: policy.defaultProtocol,
  normalization: policy.normalization ?? {},
  basis: policy.basis ?? { defaultPolicy: "said", missing: [] },
  entries: policy.entries ?? []
})

/** The policy under each default that may hold: the one it has, or both where that is assumed. */
export const possible = (policy: Policy): ReadonlyArray<Policy> =>
  policy.basis.defaultPolicy === "said"
    ? [policy]
    : (["deny", "allow"] as const).map((defaultPolicy) => ({ ...policy, defaultPolicy }))

export const isIncomplete = ({ basis }: Policy): boolean => basis.missing.length > 0

/** What has to stand beside every answer, in every format. Mostly nothing. */
export const remarks = ({ basis, defaultPolicy }: Policy): ReadonlyArray<string> => [
  ...basis.missing.map((sentence) => `INCOMPLETE: ${sentence}`),
  ...(basis.defaultPolicy === "said" ? [] : [
    `The default policy ${defaultPolicy} is assumed: nobody says which one holds. Say it with --default-policy` +
    " (a token with agent:read learns it from an agent)."
  ])
]

/** A callee: a service, or whichever one no intention and no list of services names. */
export interface Destination extends Names.Name {
  /** `payments`, `team/payments`, or `any other service`. */
  readonly label: string
  readonly other: boolean
}

/** Every service that is called by its name somewhere, then one other for each namespace. */
export const destinations = (policies: ReadonlyArray<Policy>): ReadonlyArray<Destination> => {
  const found = new Map<string, Names.Name>()
  const places = new Map<string, Names.Place>()
  const place = ({ namespace, partition }: Names.Place) => {
    places.set(Names.fold(`${partition}/${namespace}`), { namespace, partition })
  }
  place({ namespace: "default", partition: "default" })
  const name = (each: Names.Name) => {
    const key = Names.fold(Names.display(each))
    if (!found.has(key)) found.set(key, { service: each.service, namespace: each.namespace, partition: each.partition })
    place(each)
  }
  for (const policy of policies) {
    policy.services.forEach(name)
    for (const intention of policy.intentions) {
      const partition = intention.DestinationPartition || "default"
      const namespace = intention.DestinationNS || "default"
      if (namespace === "*") continue
      if (intention.DestinationName === "*" || intention.DestinationName === "") place({ namespace, partition })
      else name({ service: intention.DestinationName, namespace, partition })
    }
  }
  const taken = new Set([...found.values()].map((each) => Names.fold(each.service)))
  const other = Names.fresh("other", taken)
  return [
    ...[...found.values()]
      .map((each): Destination => ({ ...each, label: Names.display(each), other: false }))
      .sort((a, b) => a.label < b.label ? -1 : 1),
    ...[...places.values()].map((each): Destination => ({
      ...each,
      service: other,
      label: `any other service${Names.inPlace(each)}`,
      other: true
    }))
  ]
}

export interface Protocol {
  readonly protocol: string
  /**
   * Where it comes from. `permissions`: nothing says, and only HTTP services can have permissions, or have required tokens
   * looked for. For these that is the careful guess, of what is allowed as of what is denied.
   */
  readonly from: "service" | "default" | "permissions" | "nothing"
}

export const protocol = (policy: Policy, destination: Names.Name): Protocol => {
  const own = policy.services.find((each) => each.protocol !== undefined && Names.same(each, destination))?.protocol
  if (own) return { protocol: own, from: "service" }
  if (policy.defaultProtocol) return { protocol: policy.defaultProtocol, from: "default" }
  return policy.intentions.some((each) =>
      (Source.hasPermissions(each) || each.JWT !== undefined) && Source.isFor(each, destination)
    )
    ? { protocol: "http", from: "permissions" }
    : { protocol: "tcp", from: "nothing" }
}

/** The peers that intentions name. Each counts as known: nothing is said here about whether its bundle is there. */
export const peers = (policies: ReadonlyArray<Policy>): ReadonlyArray<Source.Peer> => {
  const names = new Set(policies.flatMap(({ intentions }) => intentions.flatMap((each) => each.SourcePeer ?? [])))
  return [...names].sort().map((name) => ({ name, trustDomain: peerTrustDomain(name) }))
}

/** Analysis needs some trust domain; which one does not matter. */
export const trustDomain = "local.consul"
const peerTrustDomain = (name: string): string => `${Buffer.from(name).toString("hex")}.peer.consul`

export const authorizer = (
  policy: Policy,
  destination: Names.Name,
  known: ReadonlyArray<Source.Peer> = peers([policy])
): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { ...destination, protocol: protocol(policy, destination).protocol },
    trustDomain,
    intentions: policy.intentions,
    defaultPolicy: policy.defaultPolicy,
    peers: known
  })
