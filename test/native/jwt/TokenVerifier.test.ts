import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import * as HttpRequest from "../../../src/intention/HttpRequest.ts"
import * as JwtProvider from "../../../src/native/jwt/JwtProvider.ts"
import * as TokenVerifier from "../../../src/native/jwt/TokenVerifier.ts"

const issuer = "https://issuer.example"

const keyPair = (kid: string | undefined) =>
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

const entry = (keys: ReadonlyArray<object>, rest: object = {}) => ({
  Kind: "jwt-provider",
  Name: "okta",
  Issuer: issuer,
  JSONWebKeySet: { Local: { JWKS: Buffer.from(JSON.stringify({ keys })).toString("base64") } },
  ...rest
})

const provider = (value: object) => Result.getOrThrowWith(JwtProvider.fromEntry(value), (why) => new Error(why))

const noNetwork = HttpClient.make(() => Effect.die("the network must not be asked"))
const make = (...entries: ReadonlyArray<object>) =>
  TokenVerifier.make(entries.map(provider)).pipe(Effect.provideService(HttpClient.HttpClient, noNetwork))

const bearer = (token: string) => HttpRequest.make("GET", "/", { authorization: `Bearer ${token}` })

describe("TokenVerifier", () => {
  it.effect("hands out the claims of a token that is signed, and of no other", () =>
    Effect.gen(function*() {
      const own = yield* keyPair("a")
      const foreign = yield* keyPair("a")
      const { verify } = yield* make(entry([own.jwk]))
      const good = yield* verify(bearer(yield* own.sign({ role: "admin" })))
      assert.deepStrictEqual(good.tokens("okta"), { iss: issuer, role: "admin" })
      assert.isUndefined(good.tokens("auth0"))
      assert.strictEqual(good.rejected.size, 0)
      const forged = yield* verify(bearer(yield* foreign.sign({ role: "admin" })))
      assert.isUndefined(forged.tokens("okta"))
      assert.match(forged.rejected.get("okta")!, /signature verification failed/)
      const [header, payload] = (yield* own.sign()).split(".")
      const unsigned = `${Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url")}.${payload}.`
      assert.isUndefined((yield* verify(bearer(unsigned))).tokens("okta"))
      assert.isUndefined((yield* verify(bearer(`${header}.${payload}.AAAA`))).tokens("okta"))
      assert.isUndefined((yield* verify(bearer("nonsense"))).tokens("okta"))
      assert.strictEqual((yield* verify(HttpRequest.make("GET", "/"))).rejected.size, 0)
    }))

  it.effect("does not take a public key for a shared secret", () =>
    Effect.gen(function*() {
      const { jwk } = yield* keyPair("a")
      const { verify } = yield* make(entry([jwk]))
      const secret = new TextEncoder().encode(JSON.stringify(jwk))
      const token = yield* Effect.promise(() =>
        new Jose.SignJWT({ iss: issuer }).setProtectedHeader({ alg: "HS256", kid: "a" }).sign(secret)
      )
      assert.isUndefined((yield* verify(bearer(token))).tokens("okta"))
    }))

  it.effect("minds issuer, audience and lifetime, with the skew of the entry", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* keyPair("a")
      const { verify } = yield* make(entry([jwk], { Audiences: ["x", "y"], ClockSkewSeconds: 5 }))
      const accepted = (claims: Jose.JWTPayload) =>
        Effect.flatMap(sign(claims), (token) =>
          Effect.map(verify(bearer(token)), ({ tokens }) => tokens("okta") !== undefined))
      yield* TestClock.adjust("1000 seconds")
      assert.isTrue(yield* accepted({ aud: ["y", "z"] }))
      assert.isFalse(yield* accepted({}))
      assert.isFalse(yield* accepted({ aud: "z" }))
      assert.isFalse(yield* accepted({ aud: "x", iss: "https://other.example" }))
      assert.isTrue(yield* accepted({ aud: "x", exp: 996 }))
      assert.isFalse(yield* accepted({ aud: "x", exp: 994 }))
      assert.isTrue(yield* accepted({ aud: "x", nbf: 1004 }))
      assert.isFalse(yield* accepted({ aud: "x", nbf: 1006 }))
    }))

  it.effect("looks where the entry says, else for a bearer and the parameter access_token", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* keyPair("a")
      const token = yield* sign()
      const found = (
        locations: ReadonlyArray<object>,
        path: string,
        headers: Record<string, string | ReadonlyArray<string>>
      ) =>
        Effect.gen(function*() {
          const { verify } = yield* make(entry([jwk], locations.length === 0 ? {} : { Locations: locations }))
          return (yield* verify(HttpRequest.make("GET", path, headers))).tokens("okta") !== undefined
        })
      assert.isTrue(yield* found([], "/", { Authorization: `Bearer ${token}` }))
      assert.isTrue(yield* found([], `/?a=b&access_token=${token}`, {}))
      assert.isTrue(yield* found([], `/?access_token=${token}`, { authorization: "Bearer none.of.these" }))
      assert.isFalse(yield* found([], "/", { authorization: token }))
      const header = [{ Header: { Name: "X-Token", ValuePrefix: "t:" } }]
      assert.isTrue(yield* found(header, "/", { "x-token": `t:${token}` }))
      assert.isTrue(yield* found(header, "/", { "x-token": [`t:${token}`, "t:other"] }))
      assert.isFalse(yield* found(header, "/", { "x-token": token }))
      assert.isFalse(yield* found(header, "/", { authorization: `Bearer ${token}` }))
      assert.isTrue(yield* found([{ QueryParam: { Name: "t" } }], `/p?t=${token}`, {}))
      assert.isTrue(yield* found([{ Cookie: { Name: "session" } }], "/", { cookie: `a=b; session="${token}"` }))
      assert.isFalse(yield* found([{ Cookie: { Name: "session" } }], "/", { cookie: `xsession=${token}` }))
    }))

  it.effect("takes tokens out of the request, and puts the payload in, never one that a caller made up", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* keyPair("a")
      const token = yield* sign({ role: "a" })
      const forwarding = { Forwarding: { HeaderName: "X-Payload", PadForwardPayloadHeader: true } }
      const { verify } = yield* make(entry([jwk], forwarding))
      const { add, remove } = yield* verify(bearer(token))
      assert.deepStrictEqual(remove, ["x-payload", "authorization"])
      assert.strictEqual(add[0]![0], "x-payload")
      assert.strictEqual(add[0]![1].length % 4, 0)
      assert.deepStrictEqual(JSON.parse(Buffer.from(add[0]![1], "base64url").toString()), { iss: issuer, role: "a" })
      assert.deepStrictEqual(
        yield* Effect.map(
          verify(HttpRequest.make("GET", "/", { "x-payload": "e30" })),
          ({ add, remove }) => [add, remove]
        ),
        [[], ["x-payload"]]
      )
      const forwarded = yield* make(
        entry([jwk], { Locations: [{ Header: { Name: "Authorization", ValuePrefix: "Bearer ", Forward: true } }] })
      )
      assert.deepStrictEqual((yield* forwarded.verify(bearer(token))).remove, [])
    }))

  it.effect("tries every key that fits where none is named", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* keyPair(undefined), yield* keyPair(undefined)]
      const { verify } = yield* make(entry([first.jwk, second.jwk]))
      assert.isDefined((yield* verify(bearer(yield* second.sign()))).tokens("okta"))
      assert.isUndefined((yield* verify(bearer(yield* (yield* keyPair(undefined)).sign()))).tokens("okta"))
    }))

  const remote = (rest: object = {}) => ({
    Kind: "jwt-provider",
    Name: "okta",
    Issuer: issuer,
    JSONWebKeySet: { Remote: { URI: "https://issuer.example/keys", CacheDuration: "10m", ...rest } }
  })

  it.effect("fetches remote keys once, again when they are old or a key is missing, and keeps the last ones", () =>
    Effect.gen(function*() {
      const [first, second, third] = [yield* keyPair("1"), yield* keyPair("2"), yield* keyPair("3")]
      let published: ReadonlyArray<object> | undefined = [first.jwk]
      let asked = 0
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          asked++
          const body = published === undefined ? "" : JSON.stringify({ keys: published })
          return HttpClientResponse.fromWeb(
            request,
            new Response(body, { status: published === undefined ? 503 : 200 })
          )
        })
      )
      const { verify } = yield* TokenVerifier.make([provider(remote())]).pipe(
        Effect.provideService(HttpClient.HttpClient, client)
      )
      const accepts = (pair: typeof first) =>
        Effect.flatMap(
          pair.sign(),
          (token) => Effect.map(verify(bearer(token)), ({ tokens }) => tokens("okta") !== undefined)
        )
      assert.strictEqual(asked, 0, "nothing is fetched before a token needs it")
      assert.isTrue(yield* accepts(first))
      assert.isTrue(yield* accepts(first))
      assert.strictEqual(asked, 1)
      // A key that was added: seen at once after the cooldown, and not asked for again and again.
      published = [first.jwk, second.jwk]
      assert.isFalse(yield* accepts(second))
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(yield* accepts(second))
      assert.strictEqual(asked, 2)
      assert.isFalse(yield* accepts(third))
      assert.isFalse(yield* accepts(third))
      assert.strictEqual(asked, 2)
      // The provider is down when the keys are old: those of before go on.
      published = undefined
      yield* TestClock.adjust("11 minutes")
      assert.isTrue(yield* accepts(first))
      assert.strictEqual(asked, 3)
      // A key that was taken away does not outlive the cache.
      published = [second.jwk]
      yield* TestClock.adjust("11 minutes")
      assert.isFalse(yield* accepts(first))
      assert.isTrue(yield* accepts(second))
    }))

  it.effect("says that keys can not be had, and counts the token as absent", () =>
    Effect.gen(function*() {
      const { sign } = yield* keyPair("a")
      const client = HttpClient.make((request) =>
        Effect.succeed(HttpClientResponse.fromWeb(request, new Response("no keys")))
      )
      const { verify } = yield* TokenVerifier.make([provider(remote())]).pipe(
        Effect.provideService(HttpClient.HttpClient, client)
      )
      const { rejected, tokens } = yield* verify(bearer(yield* sign()))
      assert.isUndefined(tokens("okta"))
      assert.match(rejected.get("okta")!, /the keys of the token provider okta can not be had/)
    }))
})

describe("JwtProvider", () => {
  it("reads durations in both spellings, and fills in what is left out", () => {
    const { clockSkewSeconds, forwardToken, keys } = provider({
      Name: "okta",
      JSONWebKeySet: { Remote: { URI: "https://x", CacheDuration: 60_000_000_000, RetryPolicy: { NumRetries: 2 } } },
      Locations: null
    })
    assert.deepStrictEqual(keys, {
      _tag: "Remote",
      uri: "https://x",
      timeoutMilliseconds: 5000,
      cacheMilliseconds: 60_000,
      retries: 2
    })
    assert.deepStrictEqual([clockSkewSeconds, forwardToken], [30, false])
  })

  it("refuses an entry without keys", () => {
    assert.match(Result.getOrThrow(Result.flip(JwtProvider.fromEntry({ Name: "okta" }))), /okta has no keys/)
  })
})
