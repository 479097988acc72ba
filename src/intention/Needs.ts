/** What a refused caller would have needed, in words: computed from the decision when somebody asks, not when it is made. */
import * as Decision from "./Decision.ts"
import * as Intention from "./Intention.ts"

/** Alternatives, any of which would help. Empty when the decision allows. */
export const needs = (decision: Decision.Decision): ReadonlyArray<string> => {
  if (decision.allowed) return []
  switch (decision.because) {
    case "no-permission":
    case "permission":
      return openings(decision)
    case "needs-http":
      return ["a destination whose protocol is http, http2 or grpc"]
    case "token-missing":
      return [`a token of ${decision.detail}`]
    case "undecidable":
      return [`an intention without this flaw: ${decision.detail}`]
    case "no-intention":
      return ["an intention that allows this caller"]
    case "agent":
      return ["an intention without permissions that allows this caller"]
    case "intention":
      return [`another action in the intention ${Decision.formatRule(decision.by!)}`]
    case "not-a-service":
      return ["the certificate of a service"]
  }
}

/** The requests that the deciding intention allows, where no earlier permission denies them. */
const openings = ({ by }: Decision.Decision): ReadonlyArray<string> => {
  const allowing = (by?.intention.Permissions ?? []).flatMap((permission, index) =>
    permission.Action === "allow" ? [`${describe(permission)} (permission ${index})`] : []
  )
  return allowing.length === 0 ? ["a permission that allows this request"] : allowing
}

/** `GET or HEAD, a path that starts with /v1, header x-team is not "red"` */
export const describe = ({ HTTP, JWT, UnknownFields }: Intention.Permission): string => {
  const providers = (JWT?.Providers ?? []).map((provider) => provider.Name)
  const parts = [
    ...(HTTP?.Methods === undefined ? [] : [HTTP.Methods.join(" or ")]),
    ...path(HTTP),
    ...(HTTP?.Header ?? []).map(header),
    ...(providers.length === 0 ? [] : [`a token of ${providers.join(" or ")}`]),
    ...[...HTTP?.UnknownFields ?? [], ...UnknownFields ?? []].map((field) => `the unknown condition ${field}`)
  ]
  return parts.length === 0 ? "nothing that can be told" : parts.join(", ")
}

const path = (http: Intention.HttpPermission | undefined): ReadonlyArray<string> =>
  http?.PathExact
    ? [`the path ${http.PathExact}`]
    : http?.PathPrefix
    ? [`a path that starts with ${http.PathPrefix}`]
    : http?.PathRegex
    ? [`a path that matches ${http.PathRegex}`]
    : []

const header = (matcher: Intention.HeaderMatcher): string => {
  const kind = Intention.headerKind(matcher)
  const words = kind === undefined ? undefined : verbs[kind][matcher.Invert === true ? 1 : 0]
  if (kind === undefined || words === undefined) return `header ${matcher.Name} fulfils an unknown condition`
  if (kind === "Present") return `header ${matcher.Name} ${words}`
  const letters = matcher.IgnoreCase === true && kind !== "Regex" ? " in any letter case" : ""
  return `header ${matcher.Name} ${words} ${JSON.stringify(matcher[kind])}${letters}`
}

const verbs: Record<Intention.HeaderKind, readonly [string, string]> = {
  Present: ["is present", "is absent"],
  Exact: ["is", "is present and not"],
  Prefix: ["starts with", "is present and does not start with"],
  Suffix: ["ends with", "is present and does not end with"],
  Contains: ["contains", "is present and does not contain"],
  Regex: ["matches", "is present and does not match"]
}
