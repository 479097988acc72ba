/** Intentions by what an RBAC filter asks for: who is meant, which later ones an earlier one takes callers from. */
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as Intention from "../../intention/Intention.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as Values from "./Values.ts"

export type Principal = Message<"rbac.Principal">

/** A service, or `*`: of this mesh, or of a peer. */
export interface Source {
  readonly trustDomain: string
  readonly name: string
  readonly namespace: string
}

/** Whom intentions can be about. */
export interface Callers {
  readonly trustDomain: string
  readonly peers: ReadonlyMap<string, Pick<Snapshot.Peer, "trustDomain">>
  readonly intentions: ReadonlyArray<Intention.Intention>
}

export interface Rule {
  readonly source: Source
  /** Those that earlier rules are about. */
  readonly except: ReadonlyArray<Source>
  readonly action: "allow" | "deny"
  /** Undefined: everything. */
  readonly permissions: ReadonlyArray<Intention.Permission> | undefined
  readonly jwt: Intention.JwtRequirement | undefined
}

/**
 * The rules in the order in which they decide, each with the sources that are decided before it. Callers of a peer of which nothing is
 * known are not among them: no certificate of theirs is taken. For all others of peers what holds by default does not: they are denied.
 */
export const rules = (
  { intentions, peers, trustDomain }: Callers,
  isHttp: boolean
): ReadonlyArray<Rule> => {
  // One that says that it is of our trust domain is not taken at its word.
  const foreign = new Map([...peers].filter(([, peer]) => peer.trustDomain !== trustDomain))
  const made: Array<Rule> = []
  const add = (source: Source, verdict: Verdict) => {
    // The first one about a source decides. It may be a wider one: `* → api` outranks `web → *`.
    if (made.some((rule) => covers(rule.source, source))) return
    const except = made.map((rule) => rule.source).filter((earlier) => covers(source, earlier))
    made.push({ source, except, ...verdict })
  }
  for (const intention of intentions.toSorted(Intention.compare)) {
    const { SourceName, SourceNS, SourcePeer } = intention
    const domain = SourcePeer ? foreign.get(SourcePeer)?.trustDomain : trustDomain
    if (domain === undefined) continue
    add({ trustDomain: domain, name: SourceName, namespace: SourceNS }, verdict(intention, isHttp))
  }
  for (const { trustDomain } of foreign.values()) add({ trustDomain, name: "*", namespace: "*" }, denied)
  return made
}

type Verdict = Pick<Rule, "action" | "permissions" | "jwt">

const denied: Verdict = { action: "deny", permissions: undefined, jwt: undefined }

const covers = (wide: Source, narrow: Source): boolean =>
  wide.trustDomain === narrow.trustDomain &&
  (wide.namespace === "*" || wide.namespace === narrow.namespace) && (wide.name === "*" || wide.name === narrow.name)

/** Permissions need requests to judge. What is not understood denies. */
const verdict = (intention: Intention.Intention, isHttp: boolean): Verdict => {
  const { Action, JWT, Permissions = [] } = intention
  if (intention.SourceSamenessGroup !== undefined || !isClear(JWT)) return denied
  if (Permissions.length === 0) {
    return Action === "allow" && (isHttp || (JWT?.Providers ?? []).length === 0)
      ? { action: "allow", permissions: undefined, jwt: JWT }
      : denied
  }
  return isHttp && Permissions.every(isUnderstood) ? { action: "allow", permissions: Permissions, jwt: JWT } : denied
}

const isClear = (jwt: Intention.JwtRequirement | undefined): boolean =>
  jwt === undefined || (jwt.UnknownFields === undefined &&
    (jwt.Providers ?? []).every((provider) =>
      provider.Name !== "" && provider.UnknownFields === undefined &&
      (provider.VerifyClaims ?? []).every((claim) => claim.UnknownFields === undefined && claim.Path !== undefined)
    ))

const isUnderstood = ({ Action, HTTP, JWT, UnknownFields }: Intention.Permission): boolean =>
  UnknownFields === undefined && isClear(JWT) && (Action === "allow" || Action === "deny") &&
  HTTP !== undefined && HTTP.UnknownFields === undefined &&
  (HTTP.Header ?? []).every((matcher) =>
    matcher.UnknownFields === undefined && matcher.Name !== "" && Intention.headerKind(matcher) !== undefined
  )

export const of = ({ except, source }: Rule): Principal => {
  const own = authenticated(source)
  return except.length === 0
    ? own
    : { and_ids: { ids: [own, ...except.map((other) => ({ not_id: authenticated(other) }))] } }
}

/** From any datacenter. */
const authenticated = ({ name, namespace, trustDomain }: Source): Principal => {
  const segment = (text: string) => text === "*" ? "[^/]+" : Values.escapeRegex(encoded(text))
  const regex = `^spiffe://${Values.escapeRegex(trustDomain)}/ns/${segment(namespace)}/dc/[^/]+/svc/${segment(name)}$`
  return { authenticated: { principal_name: { safe_regex: { regex } } } }
}

/** As it stands in a certificate. */
const encoded = (name: string): string => {
  const uri = SpiffeId.format(SpiffeId.service({ trustDomain: "x", datacenter: "x", service: name }))
  return uri.slice(uri.lastIndexOf("/") + 1)
}
