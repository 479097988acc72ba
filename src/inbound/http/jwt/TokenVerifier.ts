/**
 * From a request to the claims of the token of one provider. A missing or a bad token refuses nothing by itself: it leaves
 * the provider without claims, and the `Authorizer` draws the conclusion.
 */
import { Clock, Effect, Schema, type Scope } from "effect"
import * as Jose from "jose"
import type * as HttpRequest from "../../../intention/HttpRequest.ts"
import * as TokenLocation from "../../../intention/TokenLocation.ts"
import type * as TokenRequirement from "../../../intention/TokenRequirement.ts"
import type * as JwtProvider from "../../../watch/JwtProvider.ts"
import * as Jwks from "./Jwks.ts"
import type * as JwksFetch from "./JwksFetch.ts"
import * as RequestChanges from "../../../http/RequestChanges.ts"

/** A token does not count. `unknownKey`: it may after new keys are read. */
class TokenRejected extends Schema.TaggedError<TokenRejected>()("TokenRejected", {
  why: Schema.String,
  unknownKey: Schema.Boolean
}) {
  override readonly message = this.why
}

/** Of one provider and one request. */
export interface Verified {
  /** Of its token. Absent: there is none that counts. */
  readonly claims: TokenRequirement.Claims | undefined
  /** Why not, if there is one. It names no token, and no address. */
  readonly rejected: string | undefined
  /** What the application gets instead of what was sent, once the request is admitted. */
  readonly changes: RequestChanges.RequestChanges
}

export interface TokenVerifier {
  /** Never fails. Takes as long as the keys take to arrive. */
  readonly verify: (request: HttpRequest.HttpRequest) => Effect.Effect<Verified>
}

/** Reads the keys until the scope closes. */
export const make = (
  provider: JwtProvider.JwtProvider,
  fetch?: JwksFetch.Fetch
): Effect.Effect<TokenVerifier, never, Scope.Scope> =>
  Effect.map(Jwks.make(provider, fetch), (jwks): TokenVerifier => ({
    verify: Effect.fnUntraced(function*(request) {
      let counts: Verified | undefined
      const taken: Array<TokenLocation.TokenLocation> = []
      for (const location of provider.locations) {
        const token = TokenLocation.find(location, request)
        if (token === undefined) {
          if (TokenLocation.isTaken(location, request)) taken.push(location)
          continue
        }
        const result = yield* Effect.result(verify(provider, jwks, token))
        // Of several all have to count: the application may go by another one than we do.
        if (result._tag === "Failure") {
          return { claims: undefined, rejected: result.failure, changes: payloadRemoved(provider) }
        }
        counts = counts === undefined
          ? { claims: result.success, rejected: undefined, changes: changesOf(provider, location, token) }
          : { ...counts, changes: RequestChanges.merge([counts.changes, removalOf(provider, location)]) }
      }
      if (counts === undefined) return { claims: undefined, rejected: undefined, changes: payloadRemoved(provider) }
      // Nobody has looked at what stands there, and beside a token that counts the application might trust it.
      return taken.length === 0 ? counts : {
        ...counts,
        changes: RequestChanges.merge([counts.changes, ...taken.map(without)])
      }
    })
  }))

const payloadRemoved = ({ payload }: JwtProvider.JwtProvider): RequestChanges.RequestChanges =>
  payload === undefined ? RequestChanges.none : { ...RequestChanges.none, remove: [payload.header] }

const changesOf = (
  provider: JwtProvider.JwtProvider,
  location: TokenLocation.TokenLocation,
  token: string
): RequestChanges.RequestChanges => {
  const { payload } = provider
  const forwarded = payload === undefined
    ? RequestChanges.none
    : { ...RequestChanges.none, add: [[payload.header, payloadOf(token, payload.padded)] as const] }
  return RequestChanges.merge([payloadRemoved(provider), removalOf(provider, location), forwarded])
}

const removalOf = (
  { forwardToken }: JwtProvider.JwtProvider,
  location: TokenLocation.TokenLocation
): RequestChanges.RequestChanges => forwardToken ? RequestChanges.none : without(location)

const without = (location: TokenLocation.TokenLocation): RequestChanges.RequestChanges => ({
  remove: location._tag === "Header" ? [location.name] : [],
  add: [],
  parameters: location._tag === "Query" ? [location.name] : []
})

/** The payload as it stands in the token: base64url, without padding unless it is asked for. */
const payloadOf = (token: string, padded: boolean): string => {
  const payload = token.split(".")[1]!
  return padded ? payload.padEnd(Math.ceil(payload.length / 4) * 4, "=") : payload
}

const verify = Effect.fnUntraced(
  function*(provider: JwtProvider.JwtProvider, jwks: Jwks.Jwks, token: string) {
    const now = new Date(yield* Clock.currentTimeMillis)
    // Nobody waits for keys because of a token of somebody else.
    if (provider.issuer !== undefined && issuerOf(token) !== provider.issuer) {
      return yield* Effect.fail("it is of another issuer")
    }
    const keys = yield* jwks.current
    return yield* check(provider, keys, token, now).pipe(
      Effect.catchIf(
        (error) => error.unknownKey,
        (error): Effect.Effect<TokenRequirement.Claims, TokenRejected | Jwks.KeysUnavailable> =>
          Effect.flatMap(
            jwks.refreshed,
            (fresh) => fresh === keys ? error : check(provider, fresh, token, now)
          )
      )
    )
  },
  Effect.mapError((error) =>
    typeof error === "string"
      ? error
      : error._tag === "KeysUnavailable"
      ? "the keys of its provider can not be had at the moment"
      : error.message
  )
)

const issuerOf = (token: string): string | undefined => {
  try {
    return Jose.decodeJwt(token).iss
  } catch {
    return undefined
  }
}

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
