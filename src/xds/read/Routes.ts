/**
 * Where requests go: a `RouteConfiguration`, as the discovery chain that Consul made it of. A chain leads to resolvers by name; here
 * they have the names of clusters, and one more where requests are told apart in different ways.
 */
import type { Schema } from "effect"
import type * as Fields from "./Fields.ts"
import * as HeaderChanges from "./HeaderChanges.ts"
import * as Matchers from "./Matchers.ts"

export interface Routes {
  readonly routes: ReadonlyArray<Route>
}

export interface Route {
  /** Of a service-router. */
  readonly definition: Schema.JsonObject
  readonly legs: readonly [Leg, ...Array<Leg>]
  readonly weighted: boolean
  /** As they are said: undefined is Envoy's own, 0 as long as it takes. */
  readonly times: { readonly requestMillis: number | undefined; readonly idleMillis: number | undefined }
  /** `HashPolicies` of a resolver. */
  readonly hashPolicies: ReadonlyArray<Schema.JsonObject>
}

export interface Leg {
  readonly cluster: string
  /** In hundredths of a percent. */
  readonly weight: number
  /** Of a service-splitter. */
  readonly definition: Schema.JsonObject
}

export const read = (fields: Fields.Fields): Routes => {
  fields.skip("@type", "name", "validate_clusters")
  const [host, ...others] = fields.many("virtual_hosts")
  if (others.length > 0 || (host !== undefined && host.texts("domains").join() !== "*")) {
    fields.flaw("it tells hosts apart")
  }
  host?.skip("name", "domains")
  return { routes: (host?.many("routes") ?? []).flatMap((route) => readRoute(route)) }
}

const readRoute = (fields: Fields.Fields): ReadonlyArray<Route> => {
  fields.skip("name", "metadata")
  const match = fields.one("match")
  const action = fields.one("route")
  const changes = HeaderChanges.read(fields)
  if (match === undefined || action === undefined) {
    fields.flaw("it leads to no service")
    return []
  }
  const weighted = action.one("weighted_clusters")
  weighted?.skip("total_weight", "runtime_key_prefix")
  const only: Leg = { cluster: action.text("cluster"), weight: 10_000, definition: {} }
  const [first, ...rest] = weighted === undefined ? [only] : weighted.many("clusters").map(readLeg)
  if (first === undefined || first.cluster === "") {
    action.flaw("it leads to no cluster")
    return []
  }
  const times = { requestMillis: action.millis("timeout"), idleMillis: action.millis("idle_timeout") }
  return [{
    definition: {
      Match: { HTTP: matchOf(match) },
      Destination: {
        ...duration("RequestTimeout", times.requestMillis),
        ...duration("IdleTimeout", times.idleMillis),
        ...destinationOf(action),
        ...changes
      }
    },
    times,
    legs: [first, ...rest],
    weighted: weighted !== undefined,
    hashPolicies: action.many("hash_policy").flatMap(hashPolicyOf)
  }]
}

const readLeg = (fields: Fields.Fields): Leg => ({
  cluster: fields.text("name"),
  weight: fields.number("weight") ?? 0,
  definition: HeaderChanges.read(fields)
})

const matchOf = (fields: Fields.Fields): Schema.JsonObject => {
  const kind = fields.which("prefix", "path", "safe_regex")
  const text = kind === undefined ? "" : kind === "safe_regex" ? Matchers.regex(fields.one(kind)) : fields.text(kind)
  if (text === "") fields.flaw("its path is not known")
  const headers: Array<Schema.JsonObject> = []
  let methods: ReadonlyArray<string> = []
  for (const each of fields.many("headers")) {
    const match = Matchers.header(each)
    if (match === undefined) continue
    const some = methods.length === 0 ? Matchers.methods(match) : undefined
    if (some !== undefined) methods = some
    else headers.push(headerOf(each, match))
  }
  return {
    [paths[kind ?? "prefix"]]: text,
    CaseInsensitive: fields.choice("case_sensitive") === false,
    Header: headers,
    Methods: methods,
    QueryParam: fields.many("query_parameters").map(parameterOf)
  }
}

const paths = { prefix: "PathPrefix", path: "PathExact", safe_regex: "PathRegex" } as const

const headerOf = (fields: Fields.Fields, { invert, match, name }: Matchers.HeaderMatch): Schema.JsonObject => {
  if (match === "Present") return { Name: name, Present: true, Invert: invert }
  if (match.ignoreCase || match.kind === "Contains" || match.text === "") fields.flaw("no route compares like that")
  return { Name: name, [match.kind]: match.text, Invert: invert }
}

const parameterOf = (fields: Fields.Fields): Schema.JsonObject => {
  const name = fields.text("name")
  if (fields.which("present_match") !== undefined) {
    if (!fields.flag("present_match")) fields.flaw("it asks for a parameter that is not there")
    return { Name: name, Present: true }
  }
  const inner = fields.one("string_match")
  const match = inner === undefined ? undefined : Matchers.text(inner)
  if (match === undefined || match.ignoreCase || (match.kind !== "Exact" && match.kind !== "Regex")) {
    fields.flaw("no route compares like that")
  }
  return match === undefined ? { Name: name } : { Name: name, [match.kind]: match.text }
}

const destinationOf = (action: Fields.Fields): Schema.JsonObject => ({
  ...(action.which("prefix_rewrite") === undefined ? {} : { PrefixRewrite: action.text("prefix_rewrite") }),
  ...retryOf(action.one("retry_policy"))
})

/** Zero: as long as it takes. */
const duration = (name: string, millis: number | undefined): Schema.JsonObject =>
  millis === undefined ? {} : { [name]: millis === 0 ? "-1ms" : `${millis}ms` }

const retryOf = (fields: Fields.Fields | undefined): Schema.JsonObject => {
  if (fields === undefined) return {}
  const on = fields.text("retry_on").split(",").map((condition) => condition.trim()).filter((it) => it !== "")
  const times = fields.number("num_retries") ?? 1
  const codes = fields.numbers("retriable_status_codes")
  const byCode = "retriable-status-codes"
  return times === 0 ? {} : {
    NumRetries: times,
    RetryOn: on.filter((condition) => condition !== byCode),
    RetryOnStatusCodes: on.includes(byCode) ? codes : []
  }
}

const hashPolicyOf = (fields: Fields.Fields): ReadonlyArray<Schema.JsonObject> => {
  const Terminal = fields.flag("terminal")
  const kind = fields.which("header", "cookie", "query_parameter", "connection_properties")
  const of = kind === undefined ? undefined : fields.one(kind)
  switch (kind) {
    case "header":
      return [{ Field: kind, FieldValue: of?.text("header_name") ?? "", Terminal }]
    case "query_parameter":
      return [{ Field: kind, FieldValue: of?.text("name") ?? "", Terminal }]
    case "connection_properties":
      if (of?.flag("source_ip") !== true) fields.flaw("it is about nothing that is known")
      return [{ SourceIP: true, Terminal }]
    case "cookie": {
      const ttl = of?.millis("ttl")
      const Path = of?.text("path") ?? ""
      const CookieConfig = ttl === undefined ? { Path } : ttl === 0 ? { Path, Session: true } : { Path, TTL: ttl * 1e6 }
      return [{ Field: kind, FieldValue: of?.text("name") ?? "", CookieConfig, Terminal }]
    }
    case undefined:
      fields.flaw("it is about nothing that is known")
      return []
  }
}
