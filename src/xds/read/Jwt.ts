/** The token providers of a public listener: the filter `jwt_authn`, which checks tokens and refuses nobody by itself. */
import type * as TokenLocation from "../../intention/TokenLocation.ts"
import * as TokenLocations from "../../intention/TokenLocation.ts"
import type * as JwtProvider from "../../watch/JwtProvider.ts"
import type * as Cluster from "./Cluster.ts"
import type * as Fields from "./Fields.ts"
import * as TlsContext from "./TlsContext.ts"

export interface Provider extends JwtProvider.JwtProvider {
  /** Under which RBAC finds the payload of its token. */
  readonly payloadKey: string
}

/** `clusters`: where keys may come from. */
export const read = (
  fields: Fields.Fields,
  clusters: ReadonlyMap<string, Cluster.Cluster>
): ReadonlyArray<Provider> => {
  for (const rule of fields.many("rules")) {
    rule.skip("match")
    const requires = rule.one("requires")
    if (requires === undefined || !isLenient(requires)) rule.flaw("it refuses requests by itself")
  }
  return fields.entries("providers").map(([name, provider]) => readProvider(name, provider, clusters))
}

/** Whether a request without a token passes. */
const isLenient = (fields: Fields.Fields): boolean => {
  const kind = fields.which("requires_any", "requires_all", "allow_missing_or_failed", "provider_name")
  if (kind === "allow_missing_or_failed") {
    fields.one(kind)
    return true
  }
  if (kind === "requires_any" || kind === "requires_all") {
    const each = (fields.one(kind)?.many("requirements") ?? []).map(isLenient)
    return kind === "requires_any" ? each.includes(true) : each.every((lenient) => lenient)
  }
  if (kind === "provider_name") fields.text(kind)
  return false
}

const readProvider = (
  name: string,
  fields: Fields.Fields,
  clusters: ReadonlyMap<string, Cluster.Cluster>
): Provider => {
  fields.skip("jwt_cache_config")
  const header = fields.text("forward_payload_header").toLowerCase()
  const padded = fields.flag("pad_forward_payload_header")
  return {
    name,
    payloadKey: fields.text("payload_in_metadata"),
    issuer: fields.text("issuer") || undefined,
    audiences: fields.texts("audiences"),
    keys: keysOf(fields, clusters),
    locations: locationsOf(fields),
    forwardToken: fields.flag("forward"),
    payload: header === "" ? undefined : { header, padded },
    clockSkewSeconds: fields.number("clock_skew_seconds") || 30
  }
}

const locationsOf = (fields: Fields.Fields): ReadonlyArray<TokenLocation.TokenLocation> => {
  const locations: ReadonlyArray<TokenLocation.TokenLocation> = [
    ...fields.many("from_headers").map((header): TokenLocation.TokenLocation => ({
      _tag: "Header",
      name: header.text("name").toLowerCase(),
      prefix: header.text("value_prefix")
    })),
    ...fields.texts("from_params").map((name): TokenLocation.TokenLocation => ({ _tag: "Query", name })),
    ...fields.texts("from_cookies").map((name): TokenLocation.TokenLocation => ({ _tag: "Cookie", name }))
  ]
  return locations.length === 0 ? TokenLocations.defaults : locations
}

const keysOf = (fields: Fields.Fields, clusters: ReadonlyMap<string, Cluster.Cluster>): JwtProvider.KeySource => {
  const local = fields.one("local_jwks")
  if (local !== undefined) {
    return local.which("filename") === undefined
      ? { _tag: "Inline", jwks: TlsContext.source(local) }
      : { _tag: "File", path: local.text("filename") }
  }
  const remote = fields.one("remote_jwks")
  const http = remote?.one("http_uri")
  if (remote === undefined || http === undefined) {
    fields.flaw("it has no keys")
    return { _tag: "Inline", jwks: "" }
  }
  remote.skip("async_fetch")
  const retry = remote.one("retry_policy")
  const backOff = retry?.one("retry_back_off")
  backOff?.skip("max_interval")
  retry?.skip("retry_on")
  const cluster = clusters.get(http.text("cluster"))
  const authorities = [...cluster?.tls?.authorities.values() ?? []].join("\n")
  return {
    _tag: "Remote",
    uri: http.text("uri"),
    timeoutMilliseconds: http.millis("timeout") || 5000,
    connectTimeoutMilliseconds: cluster?.connectTimeoutMillis ?? 5000,
    cacheMilliseconds: remote.millis("cache_duration") || 300_000,
    retries: retry?.number("num_retries") ?? 0,
    retryMilliseconds: backOff?.millis("base_interval") || 1000,
    ca: authorities === "" ? undefined : { _tag: "Inline", pem: authorities }
  }
}
