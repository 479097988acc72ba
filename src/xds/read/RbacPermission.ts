/** Which requests a permission of Envoy's RBAC is about, as an intention says it. */
import type * as Intention from "../../intention/Intention.ts"
import type * as Fields from "./Fields.ts"
import * as Matchers from "./Matchers.ts"
import * as RbacTokens from "./RbacTokens.ts"

export interface Permission {
  /** Undefined: every request. */
  readonly http: Intention.HttpPermission | undefined
  /** Requests of earlier permissions, which those have decided about. */
  readonly nots: ReadonlyArray<Intention.HttpPermission | undefined>
  readonly jwt: Intention.JwtRequirement | undefined
}

/** What has been found of the conditions that all have to hold. */
interface Found {
  path: { readonly field: PathField; readonly text: string } | undefined
  methods: ReadonlyArray<string> | undefined
  readonly headers: Array<Intention.HeaderMatcher>
  readonly nots: Array<Intention.HttpPermission | undefined>
  readonly tokens: RbacTokens.Found
}

type PathField = "PathExact" | "PathPrefix" | "PathRegex"

/** Flaws are noted in `fields`; what is returned counts only where there are none. */
export const read = (fields: Fields.Fields, tokens: RbacTokens.Tokens): Permission => {
  const found: Found = {
    path: undefined,
    methods: undefined,
    headers: [],
    nots: [],
    tokens: RbacTokens.none()
  }
  collect(fields, found, tokens)
  const jwt = RbacTokens.requirement(fields, found.tokens, tokens)
  return { http: httpOf(found), nots: found.nots, jwt }
}

/** Conditions that all have to hold may be nested: that changes nothing. */
const collect = (fields: Fields.Fields, found: Found, tokens: RbacTokens.Tokens): void => {
  const kind = fields.which("and_rules", "not_rule", "any", "url_path", "header", "metadata", "or_rules")
  switch (kind) {
    case "and_rules":
      for (const rule of fields.one(kind)?.many("rules") ?? []) collect(rule, found, tokens)
      return
    case "any":
      if (!fields.flag(kind)) fields.flaw("it matches nothing")
      return
    case "not_rule": {
      const inner = fields.one(kind)
      if (inner === undefined) return
      const { http, jwt, nots } = read(inner, tokens)
      if (nots.length > 0 || jwt !== undefined) fields.flaw("what is excluded has exclusions or tokens of its own")
      found.nots.push(http)
      return
    }
    case "url_path":
      return path(fields, found)
    case "header":
      return header(fields.one(kind), found)
    case "metadata":
    case "or_rules":
      return RbacTokens.collect(fields, kind, found.tokens)
    case undefined:
      fields.flaw("it has no condition that is known")
  }
}

const path = (fields: Fields.Fields, found: Found): void => {
  const inner = fields.one("url_path")?.one("path")
  const match = inner === undefined ? undefined : Matchers.text(inner)
  const field = match === undefined || match.ignoreCase ? undefined : pathFields[match.kind]
  if (match === undefined || field === undefined || match.text === "" || found.path !== undefined) {
    fields.flaw("its path can not be told as one of an intention")
    return
  }
  found.path = { field, text: match.text }
}

const pathFields: Readonly<Record<Matchers.TextMatch["kind"], PathField | undefined>> = {
  Exact: "PathExact",
  Prefix: "PathPrefix",
  Regex: "PathRegex",
  Suffix: undefined,
  Contains: undefined
}

const header = (fields: Fields.Fields | undefined, found: Found): void => {
  const match = fields === undefined ? undefined : Matchers.header(fields)
  if (fields === undefined || match === undefined) return
  const methods = Matchers.methods(match)
  if (methods !== undefined && found.methods === undefined) {
    found.methods = methods
    return
  }
  const condition = headerOf(match)
  if (condition === undefined) fields.flaw("its condition can not be told as one of an intention")
  else found.headers.push(condition)
}

/** Empty texts say nothing in an intention. */
export const headerOf = ({ invert, match, name }: Matchers.HeaderMatch): Intention.HeaderMatcher | undefined => {
  const inverted = invert ? { Invert: true } : {}
  if (match === "Present") return { Name: name, Present: true, ...inverted }
  if (match.text === "") return undefined
  return { Name: name, [match.kind]: match.text, ...inverted, ...(match.ignoreCase ? { IgnoreCase: true } : {}) }
}

const httpOf = ({ headers, methods, path }: Found): Intention.HttpPermission | undefined =>
  path === undefined && methods === undefined && headers.length === 0
    ? undefined
    : {
      ...(path === undefined ? {} : { [path.field]: path.text }),
      ...(headers.length === 0 ? {} : { Header: headers }),
      ...(methods === undefined ? {} : { Methods: methods })
    }
