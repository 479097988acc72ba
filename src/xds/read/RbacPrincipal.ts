/** Whom a principal of Envoy's RBAC means: the callers of a source, without those of others, and the tokens that they need. */
import type * as Intention from "../../intention/Intention.ts"
import type * as Fields from "./Fields.ts"
import * as Matchers from "./Matchers.ts"
import * as RbacTokens from "./RbacTokens.ts"
import * as Sources from "./Sources.ts"

export interface Principal {
  readonly source: Sources.Source
  readonly nots: ReadonlyArray<Sources.Source>
  readonly jwt: Intention.JwtRequirement | undefined
}

interface Found {
  readonly sources: Array<Sources.Source>
  readonly nots: Array<Sources.Source>
  readonly tokens: RbacTokens.Found
  /** The trust domain of the gateways by which the callers have to come. */
  gateway: string | undefined
}

/** Several where it lists alternatives. Flaws are noted in `fields`; what is returned counts only where there are none. */
export const read = (
  fields: Fields.Fields,
  tokens: RbacTokens.Tokens,
  trustDomain: string
): ReadonlyArray<Principal> => {
  if (fields.which("or_ids") !== undefined) {
    return (fields.one("or_ids")?.many("ids") ?? []).flatMap((inner) => read(inner, tokens, trustDomain))
  }
  const found: Found = { sources: [], nots: [], tokens: RbacTokens.none(), gateway: undefined }
  collect(fields, found)
  const [source, ...others] = found.sources
  const jwt = RbacTokens.requirement(fields, found.tokens, tokens)
  if (source === undefined || others.length > 0) fields.flaw("it names no caller as intentions do, or several at once")
  // Callers of peers are named by gateways of our own, and only those of peers are.
  if (source !== undefined && found.gateway !== undefined) {
    if (found.gateway !== trustDomain || source.trustDomain === trustDomain) {
      fields.flaw("it is about gateways in a way that is not known")
    }
  }
  return source === undefined ? [] : [{ source, nots: found.nots, jwt }]
}

const collect = (fields: Fields.Fields, found: Found): void => {
  const kind = fields.which("and_ids", "not_id", "authenticated", "header", "metadata", "or_ids")
  switch (kind) {
    case "and_ids": {
      for (const inner of fields.one(kind)?.many("ids") ?? []) collect(inner, found)
      return
    }
    case "not_id": {
      const inner = fields.one(kind)
      if (inner === undefined) return
      const excluded: Found = { sources: [], nots: [], tokens: RbacTokens.none(), gateway: undefined }
      collect(inner, excluded)
      const plain = excluded.nots.length === 0 && excluded.tokens.values.length === 0 &&
        excluded.tokens.alternatives.length === 0 && excluded.gateway === undefined
      if (excluded.sources.length !== 1 || !plain) fields.flaw("it excludes something else than callers")
      found.nots.push(...excluded.sources)
      return
    }
    case "authenticated":
      return authenticated(fields, found)
    case "header":
      return forwarded(fields, found)
    case "metadata":
    case "or_ids":
      return RbacTokens.collect(fields, kind, found.tokens)
    case undefined:
      fields.flaw("it has no condition that is known")
  }
}

const authenticated = (fields: Fields.Fields, found: Found): void => {
  const name = fields.one("authenticated")?.one("principal_name")
  const match = name === undefined ? undefined : Matchers.text(name)
  const regex = match?.kind === "Regex" ? match.text : ""
  const source = Sources.fromRegex(regex)
  const gateway = Sources.gateway(regex)
  if (source !== undefined) found.sources.push(source)
  else if (gateway !== undefined) found.gateway = gateway
  else fields.flaw("it names callers in a way that intentions do not")
}

const forwarded = (fields: Fields.Fields, found: Found): void => {
  const header = fields.one("header")
  const match = header === undefined ? undefined : Matchers.header(header)
  const source = match === undefined || match.match === "Present" || match.match.kind !== "Regex" || match.invert ||
      match.name !== "x-forwarded-client-cert"
    ? undefined
    : Sources.fromForwarded(match.match.text)
  if (source === undefined) fields.flaw("it names callers in a way that intentions do not")
  else found.sources.push(source)
}
