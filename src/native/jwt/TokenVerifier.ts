/**
 * From a request to the claims of the tokens that it carries. Missing and bad tokens refuse nothing by themselves: they leave a
 * provider without claims, and the `Authorizer` draws the conclusion. For the L7 proxy and the native server.
 */
import { Clock, Effect, Schema } from "effect"
import type { HttpClient } from "effect/http"
import * as Jose from "jose"
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import * as TokenLocation from "../../intention/TokenLocation.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import * as Jwks from "./Jwks.ts"
import type * as JwtProvider from "./JwtProvider.ts"

/** A token does not count. `unknownKey`: it may after new keys are fetched. */
class TokenRejected extends Schema.TaggedError<TokenRejected>()("TokenRejected", {
  why: Schema.String,
  unknownKey: Schema.Boolean
}) {
  override readonly message = this.why
}

export interface Verified {
  /** For `Authorizer.request`. */
  readonly tokens: TokenRequirement.Tokens
  /** Headers, in lower case, that must not reach the application: tokens, and payloads that a caller made up. */
  readonly remove: ReadonlyArray<string>
  /** Headers to add after that. */
  readonly add: ReadonlyArray<readonly [name: string, value: string]>
  /** By provider, why its token does not count. For the log: it names no token. */
  readonly rejected: ReadonlyMap<string, string>
}

export interface TokenVerifier {
  /** Never fails: see `rejected`. */
  readonly verify: (request: HttpRequest.HttpRequest) => Effect.Effect<Verified>
}

/** Remote keys are fetched when a token first needs them. */
export const make = (
  providers: ReadonlyArray<JwtProvider.JwtProvider>
): Effect.Effect<TokenVerifier, never, HttpClient.HttpClient> =>
  Effect.map(
    Effect.forEach(providers, (provider) => Effect.map(Jwks.make(provider), (jwks) => ({ provider, jwks }))),
    (sources): TokenVerifier => ({
      verify: Effect.fnUntraced(function*(request) {
        const claims = new Map<string, TokenRequirement.Claims>()
        const rejected = new Map<string, string>()
        const remove = new Set<string>()
        const add: Array<readonly [string, string]> = []
        for (const { jwks, provider } of sources) {
          if (provider.payload !== undefined) remove.add(provider.payload.header)
          for (const location of provider.locations) {
            const token = TokenLocation.find(location, request)
            if (token === undefined) continue
            const result = yield* Effect.result(verify(provider, jwks, token))
            if (result._tag === "Failure") {
              rejected.set(provider.name, result.failure)
              continue
            }
            rejected.delete(provider.name)
            claims.set(provider.name, result.success)
            if (location._tag === "Header" && !provider.forwardToken) remove.add(location.name)
            if (provider.payload !== undefined) {
              add.push([provider.payload.header, payloadOf(token, provider.payload.padded)])
            }
            break
          }
        }
        return {
          tokens: (provider) => claims.get(provider),
          remove: [...remove],
          add,
          rejected
        }
      })
    })
  )

/** The payload as it stands in the token: base64url, without padding unless it is asked for. */
const payloadOf = (token: string, padded: boolean): string => {
  const payload = token.split(".")[1]!
  return padded ? payload.padEnd(Math.ceil(payload.length / 4) * 4, "=") : payload
}

const verify = Effect.fnUntraced(function*(provider: JwtProvider.JwtProvider, jwks: Jwks.Jwks, token: string) {
  const now = new Date(yield* Clock.currentTimeMillis)
  const keys = yield* Effect.mapError(jwks.current, (error) => error.message)
  return yield* check(provider, keys, token, now).pipe(
    Effect.catchIf(
      (error) => error.unknownKey,
      (error): Effect.Effect<TokenRequirement.Claims, TokenRejected | Jwks.KeysUnavailable> =>
        Effect.flatMap(
          jwks.refreshed,
          (fresh) => fresh === keys ? error : check(provider, fresh, token, now)
        )
    ),
    Effect.mapError((error) => error.message)
  )
})

const check = (
  provider: JwtProvider.JwtProvider,
  keys: Jose.LocalJWKSet,
  token: string,
  currentDate: Date
): Effect.Effect<TokenRequirement.Claims, TokenRejected> => {
  const options: Jose.JWTVerifyOptions = {
    currentDate,
    clockTolerance: provider.clockSkewSeconds,
    ...(provider.issuer === undefined ? {} : { issuer: provider.issuer }),
    ...(provider.audiences.length === 0 ? {} : { audience: [...provider.audiences] })
  }
  return Effect.tryPromise({
    try: async () => {
      try {
        return (await Jose.jwtVerify(token, keys, options)).payload
      } catch (error) {
        // Without a key id several keys may fit: any one of them will do.
        if (!(error instanceof Jose.errors.JWKSMultipleMatchingKeys)) throw error
        for await (const key of error) {
          try {
            return (await Jose.jwtVerify(token, key, options)).payload
          } catch (failure) {
            if (!(failure instanceof Jose.errors.JWSSignatureVerificationFailed)) throw failure
          }
        }
        throw new Jose.errors.JWSSignatureVerificationFailed()
      }
    },
    catch: (error) =>
      new TokenRejected({
        why: error instanceof Error ? error.message : String(error),
        unknownKey: error instanceof Jose.errors.JWKSNoMatchingKey
      })
  })
}
