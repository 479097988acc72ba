/**
 * Tokens: a filter verifies those that a request has and lets every request through; the RBAC filter behind it then asks for
 * what intentions demand, by what the first one has noted.
 */
import type { JwtProvider } from "../../consul/config/JwtProvider.ts"
import { Duration } from "effect"
import type * as Intention from "../../intention/Intention.ts"
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import * as Names from "./Names.ts"
import * as Values from "./Values.ts"

/** By provider. */
export type Issuers = ReadonlyMap<string, JwtProvider>

const filterName = "envoy.filters.http.jwt_authn"

const noted = (provider: string): string => `jwt_payload_${provider}`

/** Undefined: no token is asked for. A provider that nobody has defined is one that no token comes from. */
export const permission = (
  jwt: Intention.JwtRequirement | undefined,
  issuers: Issuers
): Message<"rbac.Permission"> | undefined => {
  const choices = (jwt?.Providers ?? []).map((provider): Message<"rbac.Permission"> => {
    const [issued, ...claims] = demands(provider, issuers)
    const rest: ReadonlyArray<Message<"rbac.Permission">> = claims.length === 0
      ? [{ any: true }]
      : claims.map((metadata) => ({ metadata }))
    return { and_rules: { rules: [{ metadata: issued }, ...rest] } }
  })
  return choices.length < 2 ? choices[0] : { or_rules: { rules: choices } }
}

export const principal = (
  jwt: Intention.JwtRequirement | undefined,
  issuers: Issuers
): Message<"rbac.Principal"> | undefined => {
  const choices = (jwt?.Providers ?? []).map((provider): Message<"rbac.Principal"> => {
    const ids = demands(provider, issuers).map((metadata) => ({ metadata }))
    return ids.length === 1 ? ids[0]! : { and_ids: { ids } }
  })
  return choices.length < 2 ? choices[0] : { or_ids: { ids: choices } }
}

/** That there is a token of the provider, then each of its claims. */
const demands = (
  { Name, VerifyClaims = [] }: Intention.JwtProvider,
  issuers: Issuers
): ReadonlyArray<Message<"matcher.MetadataMatcher">> => [
  at(Name, ["iss"], issuers.get(Name)?.Issuer),
  ...VerifyClaims.map((claim) => at(Name, claim.Path ?? [], claim.Value))
]

const at = (
  provider: string,
  path: ReadonlyArray<string>,
  value: string | undefined
): Message<"matcher.MetadataMatcher"> => ({
  filter: filterName,
  path: [noted(provider), ...path].map((key) => ({ key })),
  // Text without an end never equals: where no issuer is known, nothing does.
  value: { string_match: value === undefined ? { safe_regex: { regex: "[^\\s\\S]" } } : { exact: value } }
})

/** The providers that intentions name, in order. */
export const named = (intentions: ReadonlyArray<Intention.Intention>): ReadonlyArray<string> => {
  const requirements = intentions.flatMap(({ JWT, Permissions = [] }) => [JWT, ...Permissions.map(({ JWT }) => JWT)])
  return [...new Set(requirements.flatMap((jwt) => (jwt?.Providers ?? []).map(({ Name }) => Name)))].toSorted()
}

/** Undefined: no intention asks for tokens. */
export const filter = (
  intentions: ReadonlyArray<Intention.Intention>,
  issuers: Issuers
): Message<"hcm.HttpFilter"> | undefined => {
  const providers = named(intentions).flatMap((name) => {
    const found = issuers.get(name)
    return found === undefined ? [] : [found]
  })
  if (providers.length === 0) return undefined
  const optional = (name: string): Message<"jwt.JwtRequirement"> => ({
    requires_any: { requirements: [{ provider_name: name }, { allow_missing_or_failed: {} }] }
  })
  const each = providers.map(({ Name }) => optional(Name))
  return {
    name: filterName,
    typed_config: any("jwt.JwtAuthentication", {
      providers: Object.fromEntries(providers.map((provider) => [provider.Name, verified(provider)])),
      rules: [{
        match: { prefix: "/" },
        // Each by itself, as a request may have several.
        requires: each.length === 1 ? each[0] : { requires_all: { requirements: each } }
      }]
    })
  }
}

const verified = (provider: JwtProvider): Message<"jwt.JwtProvider"> => ({
  issuer: provider.Issuer || undefined,
  audiences: Values.some(provider.Audiences),
  ...keys(provider),
  payload_in_metadata: noted(provider.Name),
  forward: provider.Locations.some(({ Header }) => Header?.Forward === true) || undefined,
  from_headers: Values.some(
    provider.Locations.flatMap(({ Header }) =>
      Header === undefined ? [] : [{ name: Header.Name, value_prefix: Header.ValuePrefix || undefined }]
    )
  ),
  from_params: Values.some(
    provider.Locations.flatMap(({ QueryParam }) => QueryParam === undefined ? [] : [QueryParam.Name])
  ),
  from_cookies: Values.some(provider.Locations.flatMap(({ Cookie }) => Cookie === undefined ? [] : [Cookie.Name])),
  forward_payload_header: provider.Forwarding?.HeaderName || undefined,
  pad_forward_payload_header: provider.Forwarding?.PadForwardPayloadHeader || undefined,
  // Consul's sidecars run with Envoy's own where the entry says the default.
  clock_skew_seconds: provider.ClockSkewSeconds === defaultSkewSeconds ? undefined : provider.ClockSkewSeconds,
  jwt_cache_config: provider.CacheConfig === undefined ? undefined : { jwt_cache_size: provider.CacheConfig.Size }
})

const defaultSkewSeconds = 30

const keys = ({ JSONWebKeySet, Name }: JwtProvider): Message<"jwt.JwtProvider"> => {
  const local = JSONWebKeySet?.Local
  const remote = JSONWebKeySet?.Remote
  if (local !== undefined) {
    return {
      local_jwks: local.Filename !== ""
        ? { filename: local.Filename }
        : { inline_string: Buffer.from(local.JWKS, "base64").toString("utf8") }
    }
  }
  if (remote === undefined) return {}
  const backOff = remote.RetryPolicy?.RetryPolicyBackOff
  return {
    remote_jwks: {
      http_uri: {
        uri: remote.URI,
        cluster: Names.jwksCluster(Name),
        timeout: Values.duration(remote.RequestTimeoutMs || 1000)
      },
      cache_duration: remote.CacheDuration === undefined
        ? undefined
        : Values.timeout(Duration.toMillis(remote.CacheDuration)),
      async_fetch: { fast_listener: remote.FetchAsynchronously },
      retry_policy: remote.RetryPolicy === undefined ? undefined : {
        num_retries: remote.RetryPolicy.NumRetries,
        retry_back_off: backOff?.BaseInterval === undefined ? undefined : {
          base_interval: Values.duration(Duration.toMillis(backOff.BaseInterval)),
          max_interval: backOff.MaxInterval === undefined
            ? undefined
            : Values.timeout(Duration.toMillis(backOff.MaxInterval))
        }
      }
    }
  }
}
