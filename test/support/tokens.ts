/** Issuers of tokens in tests, and `jwt-provider` entries for them. */
import { Effect, Result } from "effect"
import * as Jose from "jose"
import * as JwtProvider from "../../src/watch/JwtProvider.ts"

export const issuer = "https://issuer.example"

/** A key for `kid`, its public half as it is published, and tokens of it. */
export const keyPair = (kid?: string) =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await Jose.generateKeyPair("ES256", { extractable: true })
    const jwk = { ...(await Jose.exportJWK(publicKey)), alg: "ES256", ...(kid === undefined ? {} : { kid }) }
    const sign = (claims: Jose.JWTPayload = {}) =>
      Effect.promise(() =>
        new Jose.SignJWT({ iss: issuer, ...claims })
          .setProtectedHeader({ alg: "ES256", ...(kid === undefined ? {} : { kid }) })
          .sign(privateKey)
      )
    return { jwk, sign }
  })

export type KeyPair = Effect.Success<ReturnType<typeof keyPair>>

/** A token that claims to need no signature. */
export const unsigned = (claims: Jose.JWTPayload = {}): string =>
  [{ alg: "none" }, { iss: issuer, ...claims }].map((part) => encoded(part)).join(".").concat(".")

/** A token whose secret is the public key. */
export const confused = ({ jwk }: KeyPair, kid: string) =>
  Effect.promise(() =>
    new Jose.SignJWT({ iss: issuer }).setProtectedHeader({ alg: "HS256", kid })
      .sign(new TextEncoder().encode(JSON.stringify(jwk)))
  )

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")

export const jwks = (...keys: ReadonlyArray<object>): string => JSON.stringify({ keys })

/** With these keys in it, unless `rest` says otherwise. */
export const entry = <const A extends object>(keys: ReadonlyArray<object>, rest?: A) => ({
  Kind: "jwt-provider" as const,
  Name: "okta",
  Issuer: issuer,
  JSONWebKeySet: { Local: { JWKS: Buffer.from(jwks(...keys)).toString("base64") } },
  ...rest
})

/** Keys behind a URL, unless `rest` says otherwise. */
export const remoteEntry = (uri: string, rest: object = {}) =>
  entry([], { JSONWebKeySet: { Remote: { URI: uri, CacheDuration: "10m", ...rest } } })

export const provider = (value: object): JwtProvider.JwtProvider =>
  Result.getOrThrowWith(JwtProvider.fromEntry(value), (why) => new Error(why))
