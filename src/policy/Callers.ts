/**
 * Callers, in finitely many classes: each named service, and one unnamed service for each namespace, for all other
 * namespaces, for all other partitions, and for each peer. Intentions compare names for equality only, so what holds for
 * one member of a class holds for all of them. Agents, gateways and servers are no services, and always refused.
 */
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Names from "./Names.ts"
import * as Policy from "./Policy.ts"

export interface Caller {
  /** `web`, `team/web`, `peer:east/web`, `any other service`, … */
  readonly label: string
  /** Absent for callers of this mesh. */
  readonly peer: string | undefined
  /** It stands for all services without a name in the policy. */
  readonly other: boolean
  /** A member of the class. */
  readonly id: SpiffeId.Service
}

/** The classes that these policies, together, can tell apart. */
export const classes = (policies: ReadonlyArray<Policy.Policy>): ReadonlyArray<Caller> => {
  const peers = Policy.peers(policies)
  const { enterprise, mentioned, namespaces, partitions } = namesIn(policies, peers.map((each) => each.name))
  const names = [...mentioned.values()].flatMap((each) => [...each]).map((text) => JSON.parse(text) as Names.Name)
  const other = {
    service: Names.fresh("other", new Set(names.map((each) => Names.fold(each.service)))),
    namespace: Names.fresh("other", new Set([...namespaces].map(Names.fold))),
    partition: Names.fresh("other", new Set([...partitions].map(Names.fold)))
  }
  const caller = (peer: string | undefined, name: Names.Name, label: string, isOther: boolean): Caller => ({
    label: peer === undefined ? label : isOther ? `${label} of peer ${peer}` : `peer:${peer}/${label}`,
    peer,
    other: isOther,
    id: SpiffeId.service({
      trustDomain: peers.find((each) => each.name === peer)?.trustDomain ?? Policy.trustDomain,
      datacenter: "dc1",
      ...name
    })
  })
  return Array.from(mentioned, ([peer, named]) => {
    const exact = [...named]
      .map((text) => JSON.parse(text) as Names.Name)
      .map((name) => caller(peer, name, Names.display(name), false))
      .sort((a, b) => a.label < b.label ? -1 : 1)
    // Peers export from one partition; which, is not part of the policy.
    const places = [...(peer === undefined ? partitions : ["default"])].flatMap((partition) => [
      ...[...namespaces].map((namespace) => ({ namespace, partition, label: Names.inPlace({ namespace, partition }) })),
      ...(enterprise
        ? [{
          namespace: other.namespace,
          partition,
          label: ` in any other namespace${partition === "default" ? "" : ` of ${partition}`}`
        }]
        : [])
    ])
    if (enterprise && peer === undefined) {
      places.push({ namespace: "default", partition: other.partition, label: " in any other partition" })
    }
    return [
      ...exact,
      ...places.map(({ label, ...place }) =>
        caller(
          peer,
          { ...place, service: other.service },
          `any${label.includes("any other") ? "" : " other"} service${label}`,
          true
        )
      )
    ]
  }).flat()
}

/** What the policies name. */
interface Named {
  /** The names that are mentioned, as JSON, by peer; `undefined` is this mesh. */
  readonly mentioned: ReadonlyMap<string | undefined, ReadonlySet<string>>
  readonly namespaces: ReadonlySet<string>
  readonly partitions: ReadonlySet<string>
  /** There is a namespace or a partition other than `default`. */
  readonly enterprise: boolean
}

const namesIn = (policies: ReadonlyArray<Policy.Policy>, peers: ReadonlyArray<string>): Named => {
  const mentioned = new Map<string | undefined, Set<string>>()
  for (const peer of [undefined, ...peers]) mentioned.set(peer, new Set())
  const mention = (peer: string | undefined, name: Names.Name) => mentioned.get(peer)?.add(JSON.stringify(name))
  const partitions = new Set(["default"])
  const namespaces = new Set(["default"])
  let enterprise = false
  const services = policies.flatMap((policy) => policy.services)
  for (const { namespace, partition, service } of services) mention(undefined, { service, namespace, partition })
  for (const intention of policies.flatMap((policy) => policy.intentions)) {
    const partition = intention.SourcePartition || "default"
    const namespace = intention.SourceNS || "default"
    enterprise ||= namespace !== "default" || partition !== "default"
    if (intention.SourcePeer === undefined) partitions.add(partition)
    if (namespace !== "*") namespaces.add(namespace)
    if (namespace === "*" || intention.SourceName === "*" || intention.SourceName === "") continue
    const name = { service: intention.SourceName, namespace, partition }
    // The members of a sameness group are not known: callers of this mesh and of every peer.
    const groups = intention.SourceSamenessGroup ? [...mentioned.keys()] : [intention.SourcePeer]
    for (const peer of groups) mention(peer, peer === undefined ? name : { ...name, partition: "default" })
  }
  for (const { namespace, partition } of services) {
    partitions.add(partition)
    namespaces.add(namespace)
    enterprise ||= namespace !== "default" || partition !== "default"
  }
  return { mentioned, namespaces, partitions, enterprise }
}

/** Whether a pattern of an assertion covers the caller: `*`, a label, or `peer:east/*` and `team/*` for all of a place. */
export const covers = (pattern: string, caller: Caller): boolean => {
  if (pattern === "*") return true
  const [, peer, rest] = /^(?:peer:([^/]+)\/)?(.*)$/s.exec(pattern)!
  const name = Names.parse(rest!)
  return peer === caller.peer &&
    (name.service === "*" || name.service === caller.id.service) &&
    (name.namespace === "*" || name.namespace === caller.id.namespace) &&
    (name.partition === "*" || name.partition === caller.id.partition)
}
