/** A `jwt-provider` config entry: who issues tokens, by which keys they are known, and where requests carry them. */
import { Duration, Result, Schema } from "effect"
import * as GoDuration from "../../consul/GoDuration.ts"
import * as GoJson from "../../consul/GoJson.ts"
import * as TokenLocation from "../../intention/TokenLocation.ts"

const Location = Schema.Struct({
  Header: GoJson.pointer(Schema.Struct({ Name: GoJson.text, ValuePrefix: GoJson.text, Forward: GoJson.flag })),
  QueryParam: GoJson.pointer(Schema.Struct({ Name: GoJson.text })),
  Cookie: GoJson.pointer(Schema.Struct({ Name: GoJson.text }))
})

const Entry = Schema.toCodecGoJson(Schema.Struct({
  Name: Schema.NonEmptyString,
  Issuer: GoJson.text,
  Audiences: GoJson.list(Schema.String),
  JSONWebKeySet: GoJson.pointer(Schema.Struct({
    Local: GoJson.pointer(Schema.Struct({ JWKS: GoJson.text, Filename: GoJson.text })),
    Remote: GoJson.pointer(Schema.Struct({
      URI: GoJson.text,
      RequestTimeoutMs: GoJson.number,
      CacheDuration: Schema.optionalKey(GoDuration.FromNanos),
      RetryPolicy: GoJson.pointer(Schema.Struct({ NumRetries: GoJson.number }))
    }))
  })),
  Locations: GoJson.list(Location),
  Forwarding: GoJson.pointer(Schema.Struct({ HeaderName: GoJson.text, PadForwardPayloadHeader: GoJson.flag })),
  ClockSkewSeconds: GoJson.number
}))

export type KeySource =
  /** The JSON text. */
  | { readonly _tag: "Inline"; readonly jwks: string }
  | { readonly _tag: "File"; readonly path: string }
  | {
    readonly _tag: "Remote"
    readonly uri: string
    readonly timeoutMilliseconds: number
    /** How long a fetched set is used before it is fetched again. */
    readonly cacheMilliseconds: number
    readonly retries: number
  }

export interface JwtProvider {
  readonly name: string
  /** Absent: any. */
  readonly issuer: string | undefined
  /** Any one will do. None: not checked. */
  readonly audiences: ReadonlyArray<string>
  readonly keys: KeySource
  readonly locations: ReadonlyArray<TokenLocation.TokenLocation>
  /** Whether headers with tokens reach the application. */
  readonly forwardToken: boolean
  /** The header by which the application gets the payload, in lower case. */
  readonly payload: { readonly header: string; readonly padded: boolean } | undefined
  readonly clockSkewSeconds: number
}

/** Fails with a sentence that names the entry. Tokens of such a provider count as absent. */
export const fromEntry = (entry: unknown): Result.Result<JwtProvider, string> =>
  Schema.decodeUnknownResult(Entry)(entry).pipe(
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

const keysOf = (set: (typeof Entry)["Type"]["JSONWebKeySet"]): KeySource | undefined => {
  if (set?.Local?.JWKS) return { _tag: "Inline", jwks: Buffer.from(set.Local.JWKS, "base64").toString("utf8") }
  if (set?.Local?.Filename) return { _tag: "File", path: set.Local.Filename }
  if (!set?.Remote?.URI) return undefined
  const { CacheDuration, RequestTimeoutMs, RetryPolicy, URI } = set.Remote
  return {
    _tag: "Remote",
    uri: URI,
    timeoutMilliseconds: RequestTimeoutMs || 5000,
    cacheMilliseconds: CacheDuration === undefined ? 300_000 : Duration.toMillis(CacheDuration),
    retries: RetryPolicy?.NumRetries ?? 0
  }
}
