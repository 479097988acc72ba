/**
 * What a refused caller would have needed, in words. It is computed from the decision on demand, not when the decision is made.
 * Of the conditions of a permission it names only those that this request lacks. It never proposes to admit other callers.
 */
import type * as Authorizer from "./Authorizer.ts"
import * as Decision from "./Decision.ts"
import * as HttpCondition from "./HttpCondition.ts"
import type * as HttpRequest from "./HttpRequest.ts"
import * as Intention from "./Intention.ts"
import * as TokenRequirement from "./TokenRequirement.ts"
import * as Truth from "./Truth.ts"

/** The refused call. */
export interface Refused {
  /** As people name it. */
  readonly caller: string
  readonly destination: string
  /** Absent where a connection was judged. */
  readonly request: HttpRequest.HttpRequest | undefined
  /** The verified tokens of the request. */
  readonly tokens: TokenRequirement.Tokens
  readonly defaultPolicy: Authorizer.DefaultPolicy
}

/** Alternatives, any of which would help. Empty when the decision allows. */
export const needs = (decision: Decision.Decision, refused: Refused): ReadonlyArray<string> => {
  if (decision.allowed) return []
  const { by } = decision
  switch (decision.because) {
    case "no-permission":
    case "permission":
    case "token-missing":
      return by === undefined ? [] : waysIn(by, refused)
    case "needs-http":
      return [
        "a proxy that judges requests, at a destination whose protocol is http, http2 or grpc: this one judges connections",
        ...(by === undefined ? [] : policy(by, refused, "without permissions and tokens"))
      ]
    case "undecidable":
      return [`an intention without this flaw: ${decision.detail}`]
    case "no-intention":
      return [ownIntention(refused)]
    case "agent":
      return [`${ownIntention(refused)}, without permissions`]
    case "intention":
      return by === undefined ? [] : policy(by, refused)
    case "not-a-service":
      return ["the certificate of a service"]
    case "ambiguous":
      return ["a request that can be read in one way only"]
  }
}

const ownIntention = ({ caller, destination }: Refused): string =>
  `an intention ${caller} → ${destination} that allows it`

/** A change of policy that admits this caller, and no other. */
const policy = (by: Decision.Rule, refused: Refused, how = ""): ReadonlyArray<string> => {
  const suffix = how && `, ${how}`
  return isAboutOne(by)
    ? [`the action allow in the intention ${by.source} → ${by.destination}, which is about this caller alone${suffix}`]
    : [
      `an intention of its own, ${refused.caller} → ${refused.destination}, that allows it${suffix}: ` +
      `it would come before ${by.source} → ${by.destination}, which is about others too`
    ]
}

const isAboutOne = ({ intention }: Decision.Rule): boolean =>
  [intention.SourceName, intention.SourceNS, intention.DestinationName, intention.DestinationNS].every((name) =>
    name !== "*"
  ) && !intention.SourceSamenessGroup

/** A way to be admitted, and the conditions that are missing. */
interface Way {
  readonly missing: ReadonlyArray<string>
  /** Position of the permission; absent for the default policy, and for an intention without permissions. */
  readonly permission: number | undefined
}

/** The ways with the fewest missing conditions. */
const waysIn = (by: Decision.Rule, refused: Refused): ReadonlyArray<string> => {
  const { defaultPolicy, request, tokens } = refused
  const permissions = by.intention.Permissions ?? []
  const ofIntention = missingTokens(by.intention.JWT, tokens)
  if (permissions.length === 0) return [ofIntention.join(" and ")]
  if (request === undefined) return policy(by, refused)
  const ways: Array<Way> = []
  const denying: Array<number> = []
  permissions.forEach((permission, index) => {
    const missing = missingConditions(permission, request)
    const isAsked = unknownParts(permission).length === 0
    if (permission.Action === "allow" && isAsked) {
      ways.push({
        missing: [
          ...missing,
          ...(defaultPolicy === "deny" ? [...ofIntention, ...missingTokens(permission.JWT, tokens)] : []),
          ...denying.map((at) => avoiding(permissions[at]!, at))
        ],
        permission: index
      })
    } else if (missing.length === 0) denying.push(index)
  })
  if (defaultPolicy === "allow" && denying.length > 0) {
    ways.push({ missing: denying.map((at) => avoiding(permissions[at]!, at)), permission: undefined })
  }
  const least = Math.min(...ways.map(({ missing }) => missing.length))
  const best = ways.filter(({ missing }) => missing.length === least && missing.length > 0)
  const found = new Set(
    best.map(({ missing, permission }) =>
      `${missing.join(" and ")}${
        permission === undefined ? "" : ` (then ${Decision.permissionName(permission)} allows it)`
      }`
    )
  )
  if (found.size > 0) return [...found]
  return isAboutOne(by)
    ? [`a permission of the intention ${by.source} → ${by.destination} that allows this request`]
    : policy(by, refused)
}

const unknownParts = ({ HTTP, UnknownFields }: Intention.Permission): ReadonlyArray<string> => [
  ...HTTP?.UnknownFields ?? [],
  ...UnknownFields ?? []
]

/** How the request would avoid the permission. Any one condition that fails is enough. */
const avoiding = (permission: Intention.Permission, index: number): string => {
  const others = conditions(permission).map(({ otherwise }) => otherwise)
  return `${others.join(" or ")} (${Decision.permissionName(index)} ${
    permission.Action === "deny" ? "denies" : "is not understood about"
  } this one)`
}

/** The conditions of a permission that the request does not fulfil, in either reading of its headers. */
const missingConditions = (permission: Intention.Permission, request: HttpRequest.HttpRequest): ReadonlyArray<string> =>
  conditions(permission).flatMap(({ http, words }) => {
    const condition = HttpCondition.compile(http, () => {})
    const holds = (["joined", "lines"] as const).every((reading) => condition(request, reading) === Truth.Yes)
    return holds ? [] : [words]
  })

interface Condition {
  readonly http: Intention.HttpPermission
  readonly words: string
  /** The opposite. */
  readonly otherwise: string
}

const conditions = ({ HTTP }: Intention.Permission): ReadonlyArray<Condition> => {
  if (HTTP === undefined) return []
  const { Header = [], Methods = [], PathExact, PathPrefix, PathRegex } = HTTP
  const [path] = describePath(HTTP)
  return [
    ...(Methods.length === 0 ? [] : [{
      http: { Methods },
      words: `the method ${Methods.join(" or ")}`,
      otherwise: `another method than ${Methods.join(" or ")}`
    }]),
    ...(path === undefined ? [] : [{
      http: {
        ...(PathExact ? { PathExact } : PathPrefix ? { PathPrefix } : PathRegex ? { PathRegex } : {})
      },
      words: path,
      otherwise: PathExact
        ? `another path than ${PathExact}`
        : PathPrefix
        ? `a path that does not start with ${PathPrefix}`
        : `a path that does not match ${PathRegex}`
    }]),
    ...Header.map((matcher) => ({
      http: { Header: [matcher] },
      words: describeHeader(matcher),
      otherwise: describeOtherwise(matcher)
    }))
  ]
}

/** What the tokens of a request lack, if they do not fulfil the requirement. Names the wanted values, never the actual ones. */
const missingTokens = (
  jwt: Intention.JwtRequirement | undefined,
  tokens: TokenRequirement.Tokens
): ReadonlyArray<string> => {
  const requirement = TokenRequirement.compile(jwt, () => {})
  if (requirement === undefined || requirement.judge(tokens) === Truth.Yes) return []
  const ways = (jwt?.Providers ?? []).map((provider) => {
    const token = tokens(provider.Name)
    if (token === undefined) return describeProvider(provider)
    const lacking = (provider.VerifyClaims ?? []).filter((claim) => !TokenRequirement.holds(claim, token))
    return `${lacking.map(describeClaim).join(" and ")} in its token of ${provider.Name}`
  })
  return [ways.join(", or ")]
}

/** `a token of okta with role "admin"` */
const describeProvider = ({ Name, VerifyClaims = [] }: Intention.JwtProvider): string =>
  `a token of ${Name || "?"}${
    VerifyClaims.length === 0 ? "" : ` with ${VerifyClaims.map(describeClaim).join(" and ")}`
  }`

const describeClaim = ({ Path = [], Value }: Intention.JwtClaim): string => `${Path.join(".")} ${JSON.stringify(Value)}`

/** `GET or HEAD, a path that starts with /v1, header x-team is not "red"` */
export const describe = (permission: Intention.Permission): string => {
  const { HTTP, JWT } = permission
  const parts = [
    ...(HTTP?.Methods === undefined ? [] : [HTTP.Methods.join(" or ")]),
    ...describePath(HTTP),
    ...(HTTP?.Header ?? []).map(describeHeader),
    ...((JWT?.Providers ?? []).length === 0 ? [] : [(JWT?.Providers ?? []).map(describeProvider).join(", or ")]),
    ...unknownParts(permission).map((field) => `the unknown condition ${field}`)
  ]
  return parts.length === 0 ? "nothing that can be told" : parts.join(", ")
}

const describePath = (http: Intention.HttpPermission | undefined): ReadonlyArray<string> =>
  http?.PathExact
    ? [`the path ${http.PathExact}`]
    : http?.PathPrefix
    ? [`a path that starts with ${http.PathPrefix}`]
    : http?.PathRegex
    ? [`a path that matches ${http.PathRegex}`]
    : []

const describeHeader = (matcher: Intention.HeaderMatcher): string => {
  const kind = Intention.headerKind(matcher)
  return kind === undefined
    ? `header ${matcher.Name} fulfils an unknown condition`
    : `header ${matcher.Name} ${verbs[kind][matcher.Invert === true ? 1 : 0]}${operand(kind, matcher)}`
}

/** Absence, too, makes a matcher fail that compares. */
const describeOtherwise = (matcher: Intention.HeaderMatcher): string => {
  const kind = Intention.headerKind(matcher)
  if (kind === undefined) return `header ${matcher.Name} is absent`
  const inverted = matcher.Invert === true
  if (kind === "Present") return `header ${matcher.Name} ${verbs.Present[inverted ? 0 : 1]}`
  const words = inverted ? verbs[kind][0] : verbs[kind][1].replace("is present and ", "")
  const not = inverted || words !== "not" ? words : "is not"
  return `header ${matcher.Name} is absent or ${not}${operand(kind, matcher)}`
}

const operand = (kind: Intention.HeaderKind, matcher: Intention.HeaderMatcher): string =>
  kind === "Present"
    ? ""
    : ` ${JSON.stringify(matcher[kind])}${matcher.IgnoreCase === true && kind !== "Regex" ? " in any letter case" : ""}`

const verbs: Record<Intention.HeaderKind, readonly [string, string]> = {
  Present: ["is present", "is absent"],
  Exact: ["is", "is present and not"],
  Prefix: ["starts with", "is present and does not start with"],
  Suffix: ["ends with", "is present and does not end with"],
  Contains: ["contains", "is present and does not contain"],
  Regex: ["matches", "is present and does not match"]
}
