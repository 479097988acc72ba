/**
 * Which tokens Envoy's RBAC asks for. The filter for tokens puts the payload of a valid one into metadata, under a key for its provider;
 * RBAC compares values there: the issuer, by which it knows that there is one, and claims.
 */
import type * as Intention from "../../intention/Intention.ts"
import type * as Fields from "./Fields.ts"

/** The providers by the key of their payloads. */
export type Tokens = ReadonlyMap<string, Provider>

export interface Provider {
  readonly name: string
  readonly issuer: string
}

/** What conditions that all have to hold say of tokens. */
export interface Found {
  readonly values: Array<Value>
  readonly alternatives: Array<ReadonlyArray<Fields.Fields>>
}

export const none = (): Found => ({ values: [], alternatives: [] })

/** Notes what `kind` of `fields` says. */
export const collect = (fields: Fields.Fields, kind: "metadata" | "or_rules" | "or_ids", found: Found): void => {
  if (kind === "metadata") found.values.push(...valuesOf(fields))
  else found.alternatives.push(membersOf(fields, kind))
}

/** Undefined: nothing is asked for, or it is not understood, which is noted in `fields`. */
export const requirement = (
  fields: Fields.Fields,
  { alternatives, values }: Found,
  tokens: Tokens
): Intention.JwtRequirement | undefined => {
  const [several, ...more] = alternatives
  if (several === undefined && values.length === 0) return undefined
  if (more.length > 0 || (several !== undefined && values.length > 0)) {
    fields.flaw("it has several requirements of tokens")
    return undefined
  }
  const lists = several === undefined ? [values] : several.map(valuesOf)
  const providers = lists.map((list) => provider(list, tokens))
  const known = providers.filter((each) => each !== undefined)
  if (known.length === providers.length && known.length > 0) return { Providers: known }
  fields.flaw("it is about tokens in a way that is not known")
  return undefined
}

type Group = "or_rules" | "and_rules" | "or_ids" | "and_ids"

const membersOf = (fields: Fields.Fields, group: Group): ReadonlyArray<Fields.Fields> =>
  fields.one(group)?.many(group.endsWith("rules") ? "rules" : "ids") ?? []

/** The issuer and claims of one provider, all of which have to hold. */
const provider = (values: ReadonlyArray<Value>, tokens: Tokens): Intention.JwtProvider | undefined => {
  const key = values[0]?.path[0]
  const known = key === undefined ? undefined : tokens.get(key)
  if (known === undefined || values.some(({ path }) => path[0] !== key || path.length < 2)) return undefined
  const claims = values.filter(({ path, value }) => !(path.length === 2 && path[1] === "iss" && value === known.issuer))
    .map(({ path, value }): Intention.JwtClaim => ({ Path: path.slice(1), Value: value }))
  return { Name: known.name, ...(claims.length === 0 ? {} : { VerifyClaims: claims }) }
}

interface Value {
  readonly path: ReadonlyArray<string>
  readonly value: string
}

const valuesOf = (fields: Fields.Fields): ReadonlyArray<Value> => {
  const kind = fields.which("and_rules", "and_ids", "metadata", "any")
  if (kind === "and_rules" || kind === "and_ids") return membersOf(fields, kind).flatMap(valuesOf)
  if (kind === "any") {
    if (!fields.flag(kind)) fields.flaw("it matches nothing")
    return []
  }
  const metadata = kind === undefined ? undefined : fields.one(kind)
  if (metadata === undefined) {
    fields.flaw("it has no condition on a token")
    return []
  }
  if (metadata.text("filter") !== "envoy.filters.http.jwt_authn") metadata.flaw("it is not about tokens")
  const path = metadata.many("path").map((segment) => segment.text("key"))
  const match = metadata.one("value")?.one("string_match")
  if (match === undefined || match.which("exact") === undefined) metadata.flaw("it compares in a way that is not known")
  return [{ path, value: match?.text("exact") ?? "" }]
}
