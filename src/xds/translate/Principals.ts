/** Intentions by what an RBAC filter asks for: who is meant, which later ones an earlier one takes callers from. */
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as Intention from "../../intention/Intention.ts"
import type { Message } from "../proto/Messages.ts"
import * as Values from "./Values.ts"

export type Principal = Message<"rbac.Principal">

/** A service of this mesh, or `*`. */
export interface Source {
  readonly name: string
  readonly namespace: string
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
 * The rules in the order in which they decide, each with the sources that are decided before it. Callers of peers are not
 * among them: their trust bundles are not known here.
 */
export const rules = (intentions: ReadonlyArray<Intention.Intention>, isHttp: boolean): ReadonlyArray<Rule> => {
  const made: Array<Rule> = []
  for (const intention of intentions.filter(({ SourcePeer }) => !SourcePeer).toSorted(Intention.compare)) {
    const source: Source = { name: intention.SourceName, namespace: intention.SourceNS }
    // The first one about a source decides.
    if (made.some((rule) => rule.source.name === source.name && rule.source.namespace === source.namespace)) continue
    const except = made.map((rule) => rule.source).filter((earlier) => covers(source, earlier))
    made.push({ source, except, ...verdict(intention, isHttp) })
  }
  return made
}

const covers = (wide: Source, narrow: Source): boolean =>
  (wide.namespace === "*" || wide.namespace === narrow.namespace) && (wide.name === "*" || wide.name === narrow.name)

/** Permissions need requests to judge. What is not understood denies. */
const verdict = (
  intention: Intention.Intention,
  isHttp: boolean
): Pick<Rule, "action" | "permissions" | "jwt"> => {
  const { Action, JWT, Permissions = [] } = intention
  const deny = { action: "deny", permissions: undefined, jwt: undefined } as const
  if (intention.SourceSamenessGroup !== undefined || !isClear(JWT)) return deny
  if (Permissions.length === 0) {
    return Action === "allow" && (isHttp || (JWT?.Providers ?? []).length === 0)
      ? { action: "allow", permissions: undefined, jwt: JWT }
      : deny
  }
  return isHttp && Permissions.every(isUnderstood) ? { action: "allow", permissions: Permissions, jwt: JWT } : deny
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

export const of = (trustDomain: string, { except, source }: Rule): Principal => {
  const own = authenticated(trustDomain, source)
  return except.length === 0
    ? own
    : { and_ids: { ids: [own, ...except.map((other) => ({ not_id: authenticated(trustDomain, other) }))] } }
}

/** From any datacenter. */
const authenticated = (trustDomain: string, { name, namespace }: Source): Principal => {
  const segment = (text: string) => text === "*" ? "[^/]+" : Values.escapeRegex(encoded(text))
  const regex = `^spiffe://${Values.escapeRegex(trustDomain)}/ns/${segment(namespace)}/dc/[^/]+/svc/${segment(name)}$`
  return { authenticated: { principal_name: { safe_regex: { regex } } } }
}

/** As it stands in a certificate. */
const encoded = (name: string): string => {
  const uri = SpiffeId.format(SpiffeId.service({ trustDomain: "x", datacenter: "x", service: name }))
  return uri.slice(uri.lastIndexOf("/") + 1)
}
