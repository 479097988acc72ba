/**
 * Decides who may call one service. Intentions are compiled once per update into a trie over their sources; a decision
 * then looks up one intention, whatever their number, and returns an object made at compile time. It is synchronous and
 * throws nothing, so that a socket callback can ask.
 *
 * One intention decides: the first in order of precedence that covers the caller. Nothing is merged with it, and nothing
 * below it is evaluated. A part that is not understood never allows, and is listed in `warnings`.
 */
import { Option, Result } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Decision from "./Decision.ts"
import * as ForwardedClientCert from "./ForwardedClientCert.ts"
import type * as HttpRequest from "./HttpRequest.ts"
import * as Intention from "./Intention.ts"
import * as RequestRuling from "./RequestRuling.ts"
import * as Source from "./Source.ts"
import * as SourceIndex from "./SourceIndex.ts"
import * as TokenRequirement from "./TokenRequirement.ts"

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

/** A part of the intentions that was not understood, and therefore allows no caller. */
export interface Warning {
  readonly rule: Decision.Rule
  /** Position in the intention's permissions, from 0. */
  readonly permission: number | undefined
  /** A sentence: which intention, what about it, and what that means. */
  readonly message: string
}

export interface Authorizer {
  readonly destination: Service
  readonly trustDomain: string
  readonly defaultPolicy: DefaultPolicy
  /** Judged by request: every caller that passes TLS may connect. Otherwise `connection` is the question. */
  readonly http: boolean
  /** The intentions for this destination, in the order in which they decide. */
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly warnings: ReadonlyArray<Warning>
  /** Nothing is enforced: refusals are only recorded. See `Audit`. */
  readonly audited?: boolean
  /**
   * May this caller's connection carry bytes that are not inspected? A connection shows neither permissions nor tokens. An
   * intention with permissions therefore refuses. At a service that speaks HTTP, so does one that allows with a token only. At
   * other services tokens are ignored, as in Consul.
   */
  readonly connection: (source: SpiffeId.SpiffeId) => Decision.Decision
  /**
   * May this caller make this request? Its path must have been normalised. Without `tokens` there are none.
   * For a destination that is not judged by request this is the same question as `connection`.
   */
  readonly request: (
    source: SpiffeId.SpiffeId,
    request: HttpRequest.HttpRequest,
    tokens?: TokenRequirement.Tokens
  ) => Decision.Decision
}

/** One intention, compiled. `rank` is its place in the order of precedence. */
interface Ruling extends SourceIndex.Ranked {
  readonly connection: Decision.Decision
  readonly request: RequestRuling.RequestRuling
}

/** The rulings by the callers that they are about. */
interface Rulings {
  // Apart, because a peer may share our trust domain, and callers of one are never those of the other.
  readonly local: SourceIndex.SourceIndex<Ruling>
  /** By the trust domain of the peer. */
  readonly peered: ReadonlyMap<string, SourceIndex.SourceIndex<Ruling>>
  readonly warnings: ReadonlyArray<Warning>
}

export const compile = (options: Options): Authorizer => {
  const destination = complete(options.destination)
  const http = httpLike.has(destination.protocol)
  const defaultAllows = options.defaultPolicy === "allow"
  const intentions = options.intentions
    .filter((intention) => Source.isFor(intention, destination))
    .sort(Intention.compare)
  const rulings = compileRulings(intentions, options.peers ?? [], http, defaultAllows)
  return {
    destination,
    trustDomain: options.trustDomain,
    defaultPolicy: options.defaultPolicy,
    http,
    intentions,
    warnings: rulings.warnings,
    ...answers(rulings, options.trustDomain, http, Decision.make(defaultAllows, "no-intention"))
  }
}

const compileRulings = (
  /** In order of precedence. */
  intentions: ReadonlyArray<Intention.Intention>,
  knownPeers: ReadonlyArray<Source.Peer>,
  http: boolean,
  defaultAllows: boolean
): Rulings => {
  const peers = new Map(knownPeers.map((peer) => [peer.name, peer]))
  const contradicted = contradictions(intentions)
  const warnings: Array<Warning> = []
  const local = SourceIndex.make<Ruling>()
  const peered = new Map(knownPeers.map((peer) => [peer.trustDomain, SourceIndex.make<Ruling>()]))
  intentions.forEach((intention, rank) => {
    const rule = Source.rule(intention)
    const warn = (message: string, permission?: number) => warnings.push(warning(rule, message, permission))
    const source = Source.read(intention, peers)
    if (source._tag === "UnknownPeer") {
      warn(`${source.why}, so it covers no caller`)
      return
    }
    if (source._tag === "Unclear" && rule.action === "allow") {
      warn(`${source.why}, so it allows no caller`)
      return
    }
    const flaw = source._tag === "Unclear"
      ? source.why
      : contradicted.has(key(intention))
      ? "another intention with the same source and destination says otherwise"
      : flawOf(intention)
    if (flaw !== undefined) warn(`${flaw}, so it denies every caller that it may cover`)
    const ruling = compileRuling(
      rank,
      rule,
      flaw,
      http,
      defaultAllows,
      (message, permission) => warn(`${message}, so it denies the requests that this leaves in doubt`, permission)
    )
    for (const { name, namespace, origin, partition } of source.callers) {
      const index = origin === undefined ? local : peered.get(origin)
      if (index !== undefined) SourceIndex.insert(index, partition, namespace, name, ruling)
    }
  })
  return { local, peered, warnings }
}

const warning = (rule: Decision.Rule, message: string, permission: number | undefined): Warning => {
  const of = permission === undefined ? "" : `${Decision.permissionName(permission)} of `
  return { rule, permission, message: `${of}intention ${Decision.formatRule(rule)}: ${message}` }
}

/** The two questions that an authorizer answers. */
const answers = (
  { local, peered }: Rulings,
  trustDomain: string,
  http: boolean,
  noIntention: Decision.Decision
): Pick<Authorizer, "connection" | "request"> => {
  const find = (index: SourceIndex.SourceIndex<Ruling> | undefined, source: SpiffeId.Service) =>
    index && SourceIndex.find(index, source.partition, source.namespace, source.service)

  /** What holds by default holds for callers of this mesh. Those of others need an intention that names their peer. */
  const otherwise = (source: SpiffeId.Service): Decision.Decision =>
    source.trustDomain === trustDomain ? noIntention : foreign

  const connection: Authorizer["connection"] = (source) => {
    if (source._tag !== "Service") return notAService[source._tag]
    const own = source.trustDomain === trustDomain ? find(local, source) : undefined
    const ruling = peered.size === 0 ? own : SourceIndex.better(own, find(peered.get(source.trustDomain), source))
    return ruling === undefined ? otherwise(source) : ruling.connection
  }

  /** Callers of peers reach HTTP services through the local mesh gateway, which alone is trusted to name them. */
  const peerBehind = (
    gateway: SpiffeId.MeshGateway,
    request: HttpRequest.HttpRequest
  ): SpiffeId.Service | undefined => {
    if (peered.size === 0 || gateway.trustDomain !== trustDomain) return undefined
    const uri = ForwardedClientCert.firstUri(request.header("x-forwarded-client-cert") ?? "")
    const peer = uri === undefined ? undefined : Option.getOrUndefined(Result.getSuccess(SpiffeId.parse(uri)))
    return peer?._tag === "Service" && peered.has(peer.trustDomain) ? peer : undefined
  }

  const request: Authorizer["request"] = (source, request, tokens = TokenRequirement.noTokens) => {
    if (!http) return connection(source)
    // By a gateway that passes bytes on as they are, callers of peers come with a certificate of their own.
    const caller = source._tag === "Service"
      ? source
      : source._tag === "MeshGateway"
      ? peerBehind(source, request)
      : undefined
    if (caller === undefined) return source._tag === "Service" ? noIntention : notAService[source._tag]
    const index = caller === source && caller.trustDomain === trustDomain ? local : peered.get(caller.trustDomain)
    const ruling = find(index, caller)
    return ruling === undefined ? otherwise(caller) : ruling.request(request, tokens)
  }

  return { connection, request }
}

/** Everything else, also an unknown protocol, is TCP. */
const httpLike: ReadonlySet<string> = new Set(["http", "http2", "grpc"])

const complete = (destination: Destination): Service => ({
  service: destination.service,
  namespace: destination.namespace || "default",
  partition: destination.partition || "default",
  protocol: (destination.protocol || "tcp").toLowerCase()
})

const compileRuling = (
  rank: number,
  rule: Decision.Rule,
  flaw: string | undefined,
  http: boolean,
  defaultAllows: boolean,
  report: RequestRuling.Report
): Ruling => {
  if (flaw !== undefined) {
    const denied = Decision.make(false, "undecidable", rule, undefined, flaw)
    return { rank, connection: denied, request: () => denied }
  }
  const guarded = http && rule.action === "allow" && !defaultAllows && TokenRequirement.isDemanded(rule.intention.JWT)
  const connection = rule.action === "permissions"
    ? Decision.make(
      false,
      "needs-http",
      rule,
      undefined,
      "has permissions, which judge HTTP requests and no connection"
    )
    : guarded
    ? Decision.make(
      false,
      "needs-http",
      rule,
      undefined,
      "requires a token, which comes with HTTP requests and with no connection"
    )
    : Decision.make(rule.action === "allow", "intention", rule)
  return {
    rank,
    connection,
    request: http ? RequestRuling.compile(rule, defaultAllows, report) : () => connection
  }
}

/** Why an intention cannot be enforced as it stands, if so. Consul refuses to store all of these. */
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

const foreign = Decision.make(false, "no-intention")

/** Intentions are about services. Agents, gateways and servers never match one, not even `*`. */
const notAService = {
  Agent: Decision.make(false, "not-a-service", undefined, undefined, "a Consul agent"),
  MeshGateway: Decision.make(false, "not-a-service", undefined, undefined, "a mesh gateway"),
  Server: Decision.make(false, "not-a-service", undefined, undefined, "a Consul server"),
  Signing: Decision.make(false, "not-a-service", undefined, undefined, "a certificate authority")
}
