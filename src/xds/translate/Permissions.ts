/** Permissions of intentions as permissions of an RBAC filter. */
import * as Intention from "../../intention/Intention.ts"
import type { Message } from "../proto/Messages.ts"
import * as Tokens from "./Tokens.ts"
import * as Values from "./Values.ts"

export type Permission = Message<"rbac.Permission">

export const everything: Permission = { any: true }

export const all = (rules: ReadonlyArray<Permission>): Permission => {
  const [only, ...others] = rules
  return only === undefined ? everything : others.length === 0 ? only : { and_rules: { rules } }
}

/**
 * Those that differ from the default, each without the requests that earlier ones are about: an RBAC filter knows no order.
 */
export const decided = (
  list: ReadonlyArray<Intention.Permission>,
  wanted: "allow" | "deny",
  issuers: Tokens.Issuers
): ReadonlyArray<Permission> => {
  const earlier: Array<Permission> = []
  const made: Array<Permission> = []
  for (const { Action, HTTP, JWT } of list) {
    const conditions = matching(HTTP!)
    const mine = all([conditions, ...earlier.map((rule) => ({ not_rule: rule })).toReversed()])
    // A token that is missing must not let a later permission decide: the request is this one's all the same.
    earlier.push(conditions)
    if (Action !== wanted) continue
    const token = wanted === "allow" ? Tokens.permission(JWT, issuers) : undefined
    made.push(token === undefined ? mine : all([mine, token]))
  }
  return made
}

const matching = (http: Intention.HttpPermission): Permission => {
  const path = pathOf(http)
  return all([
    ...(path === undefined ? [] : [{ url_path: { path } }]),
    ...(http.Header ?? []).map((matcher) => ({ header: headerOf(matcher) })),
    ...((http.Methods ?? []).length === 0 ? [] : [{ header: Values.onMethods(http.Methods ?? []) }])
  ])
}

const pathOf = (
  { PathExact, PathPrefix, PathRegex }: Intention.HttpPermission
): Message<"matcher.StringMatcher"> | undefined =>
  PathExact !== undefined
    ? { exact: PathExact }
    : PathPrefix !== undefined
    ? { prefix: PathPrefix }
    : PathRegex !== undefined
    ? { safe_regex: { regex: PathRegex } }
    : undefined

const headerOf = (matcher: Intention.HeaderMatcher): Message<"route.HeaderMatcher"> => {
  const invert = matcher.Invert === true ? { invert_match: true } : {}
  if (Intention.headerKind(matcher) === "Present") return { name: matcher.Name, present_match: true, ...invert }
  return { name: matcher.Name, string_match: textOf(matcher), ...invert }
}

const textOf = (matcher: Intention.HeaderMatcher): Message<"matcher.StringMatcher"> => {
  const folded = matcher.IgnoreCase === true ? { ignore_case: true } : {}
  switch (Intention.headerKind(matcher)) {
    case "Exact":
      return { exact: matcher.Exact, ...folded }
    case "Prefix":
      return { prefix: matcher.Prefix, ...folded }
    case "Suffix":
      return { suffix: matcher.Suffix, ...folded }
    case "Contains":
      return { contains: matcher.Contains, ...folded }
    default:
      return { safe_regex: { regex: matcher.Regex } }
  }
}
