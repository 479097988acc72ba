/** A `jwt-provider` config entry: who issues tokens, by which keys they are known, and where requests carry them. */
import { Duration, Result, Schema } from "effect"
import * as Entry from "../consul/config/JwtProvider.ts"
import * as TokenLocation from "../intention/TokenLocation.ts"
import * as TimerLimit from "../route/TimerLimit.ts"

export type KeySource =
  /** The JSON text. */
  | { readonly _tag: "Inline"; readonly jwks: string }
  | { readonly _tag: "File"; readonly path: string }
  | RemoteKeys

export interface RemoteKeys {
  readonly _tag: "Remote"
  readonly uri: string
  readonly timeoutMilliseconds: number
  readonly connectTimeoutMilliseconds: number
  /** How long a fetched set is used before it is fetched again. */
  readonly cacheMilliseconds: number
  /** How often a fetch that failed is repeated at once, … */
  readonly retries: number
  /** … the first time after this, then after twice as long each time. */
  readonly retryMilliseconds: number
  /** Who vouches for the server at `uri`. Absent: who vouches for others too, as Node knows them. */
  readonly ca: CertificateAuthorities | undefined
}

export type CertificateAuthorities =
  /** PEM. */
  | { readonly _tag: "Inline"; readonly pem: string }
  | { readonly _tag: "File"; readonly path: string }
  | { readonly _tag: "Variable"; readonly name: string }

export interface JwtProvider {
  readonly name: string
  /** Absent: any. */
  readonly issuer: string | undefined
  /** Any one will do. None: not checked. */
  readonly audiences: ReadonlyArray<string>
  readonly keys: KeySource
  readonly locations: ReadonlyArray<TokenLocation.TokenLocation>
  /** Whether tokens reach the application. */
  readonly forwardToken: boolean
  /** The header by which the application gets the payload, in lower case. */
  readonly payload: { readonly header: string; readonly padded: boolean } | undefined
  readonly clockSkewSeconds: number
}

/** Fails with a sentence that names the entry. Tokens of such a provider count as absent. */
export const fromEntry = (entry: unknown): Result.Result<JwtProvider, string> =>
  decode(entry).pipe(
    Result.mapError((error) => `a jwt-provider can not be read: ${error.message}`),
    Result.flatMap((decoded) => {
      const { Audiences, ClockSkewSeconds, Forwarding, Issuer, Locations, Name } = decoded
      const keys = keysOf(decoded.JSONWebKeySet)
      if (keys === undefined) {
        return Result.fail(
          `the jwt-provider ${Name} has no keys: give JSONWebKeySet one of Local.JWKS, Local.Filename and Remote.URI`
        )
      }
      const locations = Locations.flatMap((
        { Cookie, Header, QueryParam }
      ): ReadonlyArray<TokenLocation.TokenLocation> =>
        Header !== undefined
          ? [{ _tag: "Header", name: Header.Name.toLowerCase(), prefix: Header.ValuePrefix }]
          : QueryParam !== undefined
          ? [{ _tag: "Query", name: QueryParam.Name }]
          : Cookie !== undefined
          ? [{ _tag: "Cookie", name: Cookie.Name }]
          : []
      )
      // As Consul has it, what the last header location says holds for all of them.
      const lastHeader = Locations.findLast(({ Header }) => Header !== undefined)?.Header
      return Result.succeed({
        name: Name,
        issuer: Issuer || undefined,
        audiences: Audiences,
        keys,
        locations: locations.length === 0 ? TokenLocation.defaults : locations,
        forwardToken: lastHeader?.Forward ?? false,
        payload: Forwarding?.HeaderName
          ? { header: Forwarding.HeaderName.toLowerCase(), padded: Forwarding.PadForwardPayloadHeader }
          : undefined,
        clockSkewSeconds: ClockSkewSeconds || 30
      })
    })
  )

const decode = Schema.decodeUnknownResult(Schema.toCodecGoJson(Entry.JwtProvider))

const keysOf = (set: Entry.JwtProvider["JSONWebKeySet"]): KeySource | undefined => {
  if (set?.Local?.JWKS) return { _tag: "Inline", jwks: fromBase64(set.Local.JWKS) }
  if (set?.Local?.Filename) return { _tag: "File", path: set.Local.Filename }
  if (!set?.Remote?.URI) return undefined
  const { CacheDuration, JWKSCluster, RequestTimeoutMs, RetryPolicy, URI } = set.Remote
  return {
    _tag: "Remote",
    uri: URI,
    timeoutMilliseconds: TimerLimit.clamp(RequestTimeoutMs || 5000),
    connectTimeoutMilliseconds: millis(JWKSCluster?.ConnectTimeout, 5000),
    cacheMilliseconds: millis(CacheDuration, 300_000),
    retries: RetryPolicy?.NumRetries ?? 0,
    retryMilliseconds: millis(RetryPolicy?.RetryPolicyBackOff?.BaseInterval, 1000),
    ca: authoritiesOf(JWKSCluster?.TLSCertificates?.TrustedCA)
  }
}

type TrustedCA = NonNullable<
  NonNullable<NonNullable<NonNullable<Entry.JwtProvider["JSONWebKeySet"]>["Remote"]>["JWKSCluster"]>["TLSCertificates"]
>["TrustedCA"]

const authoritiesOf = (trusted: TrustedCA): CertificateAuthorities | undefined =>
  trusted?.InlineString
    ? { _tag: "Inline", pem: trusted.InlineString }
    : trusted?.InlineBytes
    ? { _tag: "Inline", pem: fromBase64(trusted.InlineBytes) }
    : trusted?.Filename
    ? { _tag: "File", path: trusted.Filename }
    : trusted?.EnvironmentVariable
    ? { _tag: "Variable", name: trusted.EnvironmentVariable }
    : undefined

/** Zero and absent are the default. */
const millis = (duration: Duration.Duration | undefined, otherwise: number): number =>
  TimerLimit.clamp((duration === undefined ? 0 : Duration.toMillis(duration)) || otherwise)

const fromBase64 = (text: string): string => Buffer.from(text, "base64").toString("utf8")
