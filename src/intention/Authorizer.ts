/**
 * Decides who may call one service. Intentions are compiled once per update into a trie over their sources; a decision
 * then looks up one intention, whatever their number, and returns an object made at compile time. It is synchronous and
 * throws nothing, so that a socket callback can ask.
 *
 * One intention decides: the first in order of precedence that is about the caller. Nothing is merged with it and nothing
 * below it is looked at, whatever follows. What is not understood never allows, and is listed in `warnings`.
 */
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Decision from "./Decision.ts"
import * as Intention from "./Intention.ts"
import * as Source from "./Source.ts"
import * as SourceIndex from "./SourceIndex.ts"

/** What answers when no intention does. */
export type DefaultPolicy = "allow" | "deny"

export interface Destination {
  readonly service: string
  /** Absent is `default`. */
  readonly namespace?: string | undefined
  /** Absent is `default`. */
  readonly partition?: string | undefined
  /** `http`, `http2` and `grpc` are judged by request. Everything else, absent included, is TCP. */
  readonly protocol?: string | undefined
}

/** A destination with its defaults filled in, and its protocol in lower case. */
export interface Service {
  readonly service: string
  readonly namespace: string
  readonly partition: string
  readonly protocol: string
}

export interface Options {
  readonly destination: Destination
  /** Of this mesh. A caller of another one matches no local intention. */
  readonly trustDomain: string
  /** In any order. Those for other destinations are ignored. */
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly defaultPolicy: DefaultPolicy
  /** The peered clusters whose trust bundles are known. */
  readonly peers?: ReadonlyArray<Source.Peer> | undefined
}

/** Something in the intentions that was not understood, hence allows nobody. */
export interface Warning {
  readonly rule: Decision.Rule
  readonly permission: number | undefined
  /** A sentence: which intention, what about it, and what that means. */
  readonly message: string
}

export interface Authorizer {
  readonly destination: Service
  readonly trustDomain: string
  readonly defaultPolicy: DefaultPolicy
  /** The intentions for this destination, in the order in which they decide. */
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly warnings: ReadonlyArray<Warning>
  /**
   * May this caller's connection carry bytes that nobody looks into? Permissions and tokens can not be judged by it:
   * an intention with permissions refuses.
   */
  readonly connection: (source: SpiffeId.SpiffeId) => Decision.Decision
}

/** One intention, compiled. `rank` is its place in the order of precedence. */
interface Ruling extends SourceIndex.Ranked {
  readonly rule: Decision.Rule
  readonly connection: Decision.Decision
}

export const compile = (options: Options): Authorizer => {
  const destination = complete(options.destination)
  const peers = new Map((options.peers ?? []).map((peer) => [peer.name, peer]))
  const intentions = options.intentions
    .filter((intention) => Source.isFor(intention, destination))
    .sort(Intention.compare)
  const contradicted = contradictions(intentions)
  const warnings: Array<Warning> = []
  const rulings = new Map<string, SourceIndex.SourceIndex<Ruling>>()

  intentions.forEach((intention, rank) => {
    const rule = Source.rule(intention)
    const warn = (message: string, permission?: number) =>
      warnings.push({ rule, permission, message: `intention ${Decision.formatRule(rule)}: ${message}` })
    const source = Source.read(intention, options.trustDomain, peers)
    if (source._tag === "UnknownPeer") {
      warn(`${source.why}, so it covers nobody`)
      return
    }
    if (source._tag === "Unclear" && rule.action === "allow") {
      warn(`${source.why}, so it allows nobody`)
      return
    }
    const flaw = source._tag === "Unclear"
      ? source.why
      : contradicted.has(key(intention))
      ? "another intention with the same source and destination says otherwise"
      : flawOf(intention)
    if (flaw !== undefined) warn(`${flaw}, so it denies everybody that it may be about`)
    const { trustDomain, partition, namespace, name } = source.callers
    let index = rulings.get(trustDomain)
    if (index === undefined) rulings.set(trustDomain, index = SourceIndex.make())
    SourceIndex.insert(index, partition, namespace, name, compileRuling(rank, rule, flaw))
  })

  const noIntention = Decision.make(options.defaultPolicy === "allow", "no-intention")

  return {
    destination,
    trustDomain: options.trustDomain,
    defaultPolicy: options.defaultPolicy,
    intentions,
    warnings,
    connection: (source) => {
      if (source._tag !== "Service") return notAService[source._tag]
      const index = rulings.get(source.trustDomain)
      const ruling = index && SourceIndex.find(index, source.partition, source.namespace, source.service)
      return ruling === undefined ? noIntention : ruling.connection
    }
  }
}

const complete = (destination: Destination): Service => ({
  service: destination.service,
  namespace: destination.namespace || "default",
  partition: destination.partition || "default",
  protocol: (destination.protocol || "tcp").toLowerCase()
})

const compileRuling = (rank: number, rule: Decision.Rule, flaw: string | undefined): Ruling => ({
  rank,
  rule,
  connection: flaw !== undefined
    ? Decision.make(false, "undecidable", rule, undefined, flaw)
    : rule.action === "permissions"
    ? Decision.make(false, "needs-http", rule)
    : Decision.make(rule.action === "allow", "intention", rule)
})

/** Why an intention can not be carried out as it stands, if so. Consul refuses to store all of these. */
const flawOf = (intention: Intention.Intention): string | undefined => {
  const action = intention.Action ?? ""
  if (Source.hasPermissions(intention)) {
    return action === "" ? undefined : `it has both permissions and the action ${JSON.stringify(action)}`
  }
  if (action === "") return "it has neither an action nor permissions"
  return action === "allow" || action === "deny" ? undefined : `its action ${JSON.stringify(action)} is not known`
}

/** The keys of intentions that exist twice and differ in what they say, which Consul never stores. */
const contradictions = (intentions: ReadonlyArray<Intention.Intention>): ReadonlySet<string> => {
  const said = new Map<string, string>()
  const keys = new Set<string>()
  for (const intention of intentions) {
    const saying = JSON.stringify([intention.Action, intention.Permissions, intention.JWT])
    const before = said.get(key(intention))
    if (before !== undefined && before !== saying) keys.add(key(intention))
    said.set(key(intention), saying)
  }
  return keys
}

/** Source and destination. Letter case counts in the source only. */
const key = (intention: Intention.Intention): string =>
  JSON.stringify([
    intention.SourceSamenessGroup,
    intention.SourcePeer,
    intention.SourcePartition || "default",
    intention.SourceNS,
    intention.SourceName,
    intention.DestinationNS.toLowerCase(),
    intention.DestinationName.toLowerCase()
  ])

/** Intentions are about services. Agents, gateways and servers never match one, not even `*`. */
const notAService = {
  Agent: Decision.make(false, "not-a-service", undefined, undefined, "a Consul agent"),
  MeshGateway: Decision.make(false, "not-a-service", undefined, undefined, "a mesh gateway"),
  Server: Decision.make(false, "not-a-service", undefined, undefined, "a Consul server"),
  Signing: Decision.make(false, "not-a-service", undefined, undefined, "a certificate authority")
}
