/** Requests and permissions over a small alphabet, and a slow evaluator of them that reads like the rules. */
import { Arbitrary, Schema } from "effect"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"

const Path = Schema.Literals(["/", "/v1", "/v1/", "/v10", "/v1/a", "/v1?x=/v10", "/V1"])
const Method = Schema.Literals(["GET", "HEAD", "POST"])
const Value = Schema.Literals(["", "a", "A", "ab", "b", "a,b"])
const Name = Schema.Literals(["x-a", "X-A", "x_a"])

export const Request = Schema.Struct({
  method: Method,
  path: Path,
  headers: Schema.Array(Schema.Struct({ name: Name, value: Value }))
})
export type Request = (typeof Request)["Type"]

export const requests = Arbitrary.schema(Request)

/** Names of the providers whose tokens the request carries. */
export const tokens = Arbitrary.schema(Schema.Array(Schema.Literals(["okta", "auth0"])))

export const toHttpRequest = ({ headers, method, path }: Request): HttpRequest.HttpRequest =>
  HttpRequest.fromRaw(method, path, headers.flatMap(({ name, value }) => [name, value]))

const Jwt = Schema.Array(Schema.Literals(["okta", "auth0"]))

const Sketch = Schema.Struct({
  action: Schema.Literals(["allow", "deny"]),
  path: Schema.Literals(["none", "PathExact", "PathPrefix", "PathRegex"]),
  text: Schema.Literals(["/", "/v1", "/v1/"]),
  expression: Schema.Literals(["/v1", "/v1.*", "/v1|/", "(?i)/v1"]),
  methods: Schema.Array(Method),
  headers: Schema.Array(Schema.Struct({
    name: Name,
    kind: Schema.Literals(["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex"]),
    value: Schema.Literals(["a", "A", "b", "ab"]),
    invert: Schema.Boolean,
    ignoreCase: Schema.Boolean
  })),
  jwt: Jwt
})

const requirement = (names: ReadonlyArray<string>): { JWT?: Intention.JwtRequirement } =>
  names.length === 0 ? {} : { JWT: { Providers: names.map((Name) => ({ Name })) } }

const toPermission = (sketch: (typeof Sketch)["Type"]): Intention.Permission => {
  const Header = sketch.headers.slice(0, 2).map(({ ignoreCase, invert, kind, name, value }) => ({
    Name: name,
    [kind]: kind === "Present" ? true : value,
    ...(invert ? { Invert: true } : {}),
    ...(ignoreCase ? { IgnoreCase: true } : {})
  }))
  const path = sketch.path === "none" && (sketch.methods.length > 0 || Header.length > 0)
    ? {}
    : sketch.path === "PathRegex"
    ? { PathRegex: sketch.expression }
    : { [sketch.path === "none" ? "PathPrefix" : sketch.path]: sketch.text }
  return {
    Action: sketch.action,
    HTTP: {
      ...path,
      ...(Header.length > 0 ? { Header } : {}),
      ...(sketch.methods.length > 0 ? { Methods: sketch.methods } : {})
    },
    ...requirement(sketch.jwt)
  }
}

/** Intentions from web to api that Consul would store, with permissions. */
export const rules = Arbitrary.schema(Schema.Struct({ permissions: Schema.Array(Sketch), jwt: Jwt })).pipe(
  Arbitrary.map(({ jwt, permissions }) =>
    Intention.make("web", "api", permissions.length === 0 ? "allow" : permissions.map(toPermission), requirement(jwt))
  )
)

/** Section by section what the reference says, with no regard for speed. */
export const slowly = (
  rule: Intention.Intention,
  request: Request,
  tokens: ReadonlyArray<string>,
  defaultPolicy: string
): string => {
  const readings = ["joined", "lines"].map((reading) => slowlyRead(reading, rule, request, tokens, defaultPolicy))
  return readings.includes("deny") ? "deny" : "allow"
}

const slowlyRead = (
  reading: string,
  rule: Intention.Intention,
  request: Request,
  tokens: ReadonlyArray<string>,
  defaultPolicy: string
): string => {
  const path = request.path.split("?")[0]!
  const satisfied = (jwt: Intention.JwtRequirement | undefined) => {
    const providers = jwt?.Providers ?? []
    return providers.length === 0 || providers.some((provider) => tokens.includes(provider.Name))
  }
  const whole = (expression: string, text: string) => {
    const insensitive = expression.startsWith("(?i)")
    const source = insensitive ? expression.slice(4) : expression
    return new RegExp(`^(?:${source})$`, insensitive ? "i" : "").test(text)
  }
  const compare = (matcher: Intention.HeaderMatcher, value: string): boolean => {
    const fold = (text: string) => matcher.IgnoreCase ? text.toLowerCase() : text
    if (matcher.Exact !== undefined) return fold(value) === fold(matcher.Exact)
    if (matcher.Regex !== undefined) return whole(matcher.Regex, value)
    if (matcher.Prefix !== undefined) return fold(value).indexOf(fold(matcher.Prefix)) === 0
    if (matcher.Suffix !== undefined) return fold(value).endsWith(fold(matcher.Suffix))
    return fold(value).split(fold(matcher.Contains!)).length > 1
  }
  const headerMatches = (matcher: Intention.HeaderMatcher): boolean => {
    const lines = request.headers.filter(({ name }) => name.toLowerCase() === matcher.Name.toLowerCase())
    const invert = matcher.Invert ?? false
    if (matcher.Present) return (lines.length > 0) !== invert
    const values = lines.map(({ value }) => value)
    const read = reading === "joined" ? [values.join(",")] : values
    return lines.length > 0 && read.some((value) => compare(matcher, value)) !== invert
  }
  const matches = (http: Intention.HttpPermission): boolean =>
    (http.Methods ?? [request.method]).includes(request.method) &&
    (http.Header ?? []).every(headerMatches) &&
    (http.PathExact === undefined || http.PathExact === path) &&
    (http.PathPrefix === undefined || path.startsWith(http.PathPrefix)) &&
    (http.PathRegex === undefined || whole(http.PathRegex, path))

  let verdict = rule.Action
  let tokenless = satisfied(rule.JWT)
  if (rule.Permissions !== undefined) {
    const entry = rule.Permissions.find((permission) => matches(permission.HTTP!))
    if (entry === undefined) return defaultPolicy
    verdict = entry.Action
    tokenless = tokenless && satisfied(entry.JWT)
  }
  return verdict === defaultPolicy || !tokenless ? defaultPolicy : verdict!
}
