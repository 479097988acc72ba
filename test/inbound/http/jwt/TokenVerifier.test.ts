import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref } from "effect"
import { TestClock } from "effect/testing"
import type * as Jose from "jose"
import * as HttpRequest from "../../../../src/intention/HttpRequest.ts"
import * as JwksFetch from "../../../../src/inbound/http/jwt/JwksFetch.ts"
import * as TokenVerifier from "../../../../src/inbound/http/jwt/TokenVerifier.ts"
import * as Tokens from "../../../support/tokens.ts"

const noNetwork = () => Effect.die("the network must not be asked")
const make = (entry: object) => TokenVerifier.make(Tokens.provider(entry), noNetwork)

const bearer = (token: string) => HttpRequest.make("GET", "/", { authorization: `Bearer ${token}` })

describe("TokenVerifier", () => {
  it.effect("hands out the claims of a token that is signed, and of no other", () =>
    Effect.gen(function*() {
      const own = yield* Tokens.keyPair("a")
      const foreign = yield* Tokens.keyPair("a")
      const { verify } = yield* make(Tokens.entry([own.jwk]))
      const good = yield* verify(bearer(yield* own.sign({ role: "admin" })))
      assert.deepStrictEqual(good.claims, { iss: Tokens.issuer, role: "admin" })
      assert.isUndefined(good.rejected)
      const forged = yield* verify(bearer(yield* foreign.sign({ role: "admin" })))
      assert.isUndefined(forged.claims)
      assert.match(forged.rejected!, /signature verification failed/)
      const [header, payload] = (yield* own.sign()).split(".")
      assert.isUndefined((yield* verify(bearer(Tokens.unsigned()))).claims)
      assert.isUndefined((yield* verify(bearer(`${header}.${payload}.AAAA`))).claims)
      assert.isUndefined((yield* verify(bearer("nonsense"))).claims)
      assert.isUndefined((yield* verify(HttpRequest.make("GET", "/"))).rejected)
    }))

  it.effect("does not take a public key for a shared secret", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { verify } = yield* make(Tokens.entry([pair.jwk]))
      assert.isUndefined((yield* verify(bearer(yield* Tokens.confused(pair, "a")))).claims)
    }))

  it.effect("minds issuer, audience and lifetime, with the skew of the entry", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* Tokens.keyPair("a")
      const { verify } = yield* make(Tokens.entry([jwk], { Audiences: ["x", "y"], ClockSkewSeconds: 5 }))
      const accepted = (claims: Jose.JWTPayload) =>
        Effect.flatMap(sign(claims), (token) => Effect.map(verify(bearer(token)), ({ claims }) => claims !== undefined))
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
      const { jwk, sign } = yield* Tokens.keyPair("a")
      const token = yield* sign()
      const found = (
        locations: ReadonlyArray<object>,
        path: string,
        headers: Record<string, string | ReadonlyArray<string>>
      ) =>
        Effect.gen(function*() {
          const { verify } = yield* make(Tokens.entry([jwk], locations.length === 0 ? {} : { Locations: locations }))
          return (yield* verify(HttpRequest.make("GET", path, headers))).claims !== undefined
        })
      assert.isTrue(yield* found([], "/", { Authorization: `Bearer ${token}` }))
      assert.isTrue(yield* found([], `/?a=b&access_token=${token}`, {}))
      assert.isTrue(yield* found([], `/?access_token=${token}`, { authorization: "Basic bm9uZTpub25l" }))
      assert.isFalse(yield* found([], "/", { authorization: token }))
      const header = [{ Header: { Name: "X-Token", ValuePrefix: "t:" } }]
      assert.isTrue(yield* found(header, "/", { "x-token": `t:${token}` }))
      assert.isFalse(yield* found(header, "/", { "x-token": [`t:${token}`, "t:other"] }))
      assert.isTrue(yield* found([], "/", { Authorization: `Bearer  ${token}` }))
      assert.isFalse(yield* found([], "/", { Authorization: `Bearer ${token},x` }))
      assert.isFalse(yield* found(header, "/", { "x-token": token }))
      assert.isFalse(yield* found(header, "/", { authorization: `Bearer ${token}` }))
      assert.isTrue(yield* found([{ QueryParam: { Name: "t" } }], `/p?t=${token}`, {}))
      assert.isTrue(yield* found([{ Cookie: { Name: "session" } }], "/", { cookie: `a=b; session="${token}"` }))
      assert.isFalse(yield* found([{ Cookie: { Name: "session" } }], "/", { cookie: `xsession=${token}` }))
    }))

  it.effect("takes tokens out of the request, and puts the payload in, never one that a caller made up", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* Tokens.keyPair("a")
      const token = yield* sign({ role: "a" })
      const forwarding = { Forwarding: { HeaderName: "X-Payload", PadForwardPayloadHeader: true } }
      const { verify } = yield* make(Tokens.entry([jwk], forwarding))
      const { add, remove } = (yield* verify(bearer(token))).changes
      assert.deepStrictEqual(remove, ["x-payload", "authorization"])
      assert.strictEqual(add[0]![0], "x-payload")
      assert.strictEqual(add[0]![1].length % 4, 0)
      assert.deepStrictEqual(JSON.parse(Buffer.from(add[0]![1], "base64url").toString()), {
        iss: Tokens.issuer,
        role: "a"
      })
      assert.deepStrictEqual(
        yield* Effect.map(
          verify(HttpRequest.make("GET", "/", { "x-payload": "e30" })),
          ({ changes: { add, remove } }) => [add, remove]
        ),
        [[], ["x-payload"]]
      )
      const forwarded = yield* make(
        Tokens.entry([jwk], {
          Locations: [{ Header: { Name: "Authorization", ValuePrefix: "Bearer ", Forward: true } }]
        })
      )
      assert.deepStrictEqual((yield* forwarded.verify(bearer(token))).changes.remove, [])
    }))

  it.effect("counts one of several tokens only if all of them do, and takes all of them out", () =>
    Effect.gen(function*() {
      const [own, foreign] = [yield* Tokens.keyPair("a"), yield* Tokens.keyPair("a")]
      const { verify } = yield* make(Tokens.entry([own.jwk]))
      const both = (header: string, parameter: string) =>
        verify(HttpRequest.make("GET", `/?access_token=${parameter}`, { authorization: `Bearer ${header}` }))
      const [good, better] = [yield* own.sign({ sub: "a" }), yield* own.sign({ sub: "b" })]
      for (const bad of [yield* foreign.sign(), Tokens.unsigned({ sub: "root" }), yield* own.sign({ iss: "other" })]) {
        for (const verified of [yield* both(bad, good), yield* both(good, bad)]) {
          assert.isUndefined(verified.claims)
          assert.isDefined(verified.rejected)
        }
      }
      const { changes, claims } = yield* both(good, better)
      assert.strictEqual(claims?.["sub"], "a")
      assert.deepStrictEqual([changes.remove, changes.parameters], [["authorization"], ["access_token"]])
    }))

  it.effect("leaves nothing beside a token that counts that others may take for one", () =>
    Effect.gen(function*() {
      const { jwk, sign } = yield* Tokens.keyPair("a")
      const token = yield* sign()
      const forged = Tokens.unsigned({ sub: "root" })
      for (const Forward of [false, true]) {
        const { verify } = yield* make(Tokens.entry([jwk], {
          Locations: [
            { Header: { Name: "Authorization", ValuePrefix: "Bearer ", Forward } },
            { QueryParam: { Name: "t" } }
          ]
        }))
        const changes = (authorization: string, parameter: string) =>
          Effect.map(
            verify(HttpRequest.make("GET", `/?t=${parameter}`, { authorization })),
            ({ changes, claims }) => [claims !== undefined, changes.remove, changes.parameters]
          )
        for (const value of [`bearer ${forged}`, `Bearer ${forged}=`, `x, Bearer ${forged}`]) {
          assert.deepStrictEqual(yield* changes(value, token), [true, ["authorization"], Forward ? [] : ["t"]])
        }
        assert.deepStrictEqual(yield* changes("Basic eDp5", token), [true, [], Forward ? [] : ["t"]])
        assert.deepStrictEqual(
          yield* changes(`Bearer ${token}`, `${forged}%3D`),
          [true, Forward ? [] : ["authorization"], ["t"]]
        )
      }
    }))

  it.effect("tries every key that fits where none is named", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* Tokens.keyPair(), yield* Tokens.keyPair()]
      const { verify } = yield* make(Tokens.entry([first.jwk, second.jwk]))
      assert.isDefined((yield* verify(bearer(yield* second.sign()))).claims)
      assert.isUndefined((yield* verify(bearer(yield* (yield* Tokens.keyPair()).sign()))).claims)
    }))

  /** A server of keys that a test changes: what it publishes, or undefined while it is away. */
  const remote = Effect.fnUntraced(function*(...published: ReadonlyArray<object>) {
    const answer = yield* Ref.make<string | undefined>(Tokens.jwks(...published))
    let asked = 0
    const fetch: JwksFetch.Fetch = () =>
      Effect.flatMap(Ref.get(answer), (text) => {
        asked++
        return text === undefined ? Effect.fail(new JwksFetch.NotFetched({ why: "status 503" })) : Effect.succeed(text)
      })
    const { verify } = yield* TokenVerifier.make(
      Tokens.provider(Tokens.remoteEntry("https://issuer.example/keys")),
      fetch
    )
    return {
      asked: () => asked,
      publish: (...keys: ReadonlyArray<object>) => Ref.set(answer, Tokens.jwks(...keys)),
      goAway: Ref.set(answer, undefined),
      accepts: (pair: Tokens.KeyPair) =>
        Effect.flatMap(
          pair.sign(),
          (token) => Effect.map(verify(bearer(token)), ({ claims }) => claims !== undefined)
        ),
      verify
    }
  })

  it.effect("reads remote keys ahead, again when they are old, and keeps the last ones while there are no others", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* Tokens.keyPair("1"), yield* Tokens.keyPair("2")]
      const { accepts, asked, goAway, publish } = yield* remote(first.jwk)
      assert.strictEqual(asked(), 1)
      assert.isTrue(yield* accepts(first))
      assert.isTrue(yield* accepts(first))
      assert.strictEqual(asked(), 1)
      yield* goAway
      yield* TestClock.adjust("11 minutes")
      assert.isTrue(yield* accepts(first))
      assert.isAbove(asked(), 1)
      // A key that was taken away does not outlive the next reading.
      yield* publish(second.jwk)
      yield* TestClock.adjust("1 minute")
      assert.isFalse(yield* accepts(first))
      assert.isTrue(yield* accepts(second))
    }))

  it.effect("reads again at once for a key that it does not know, but not as often as callers make up names", () =>
    Effect.gen(function*() {
      const [first, second, unknown] = [
        yield* Tokens.keyPair("1"),
        yield* Tokens.keyPair("2"),
        yield* Tokens.keyPair("3")
      ]
      const { accepts, asked, publish } = yield* remote(first.jwk)
      yield* publish(first.jwk, second.jwk)
      assert.isTrue(yield* accepts(second))
      assert.strictEqual(asked(), 2)
      for (let i = 0; i < 10; i++) assert.isFalse(yield* accepts(unknown))
      assert.strictEqual(asked(), 4)
      yield* publish(unknown.jwk)
      assert.isFalse(yield* accepts(unknown))
      yield* TestClock.adjust("31 seconds")
      assert.isTrue(yield* accepts(unknown))
      assert.strictEqual(asked(), 5)
    }))

  it.effect("reads once for all who wait, and lets nobody wait between attempts", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const token = yield* pair.sign()
      const answer = yield* Deferred.make<string, JwksFetch.NotFetched>()
      let asked = 0
      const { verify } = yield* TokenVerifier.make(
        Tokens.provider(Tokens.remoteEntry("https://issuer.example/keys")),
        () => Effect.andThen(Effect.sync(() => asked++), Deferred.await(answer))
      )
      const waiting = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => verify(bearer(token)), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* Deferred.fail(answer, new JwksFetch.NotFetched({ why: "status 503" }))
      assert.deepStrictEqual((yield* Fiber.join(waiting)).map(({ claims }) => claims), [
        undefined,
        undefined,
        undefined
      ])
      assert.isUndefined((yield* verify(bearer(token))).claims)
      assert.strictEqual(asked, 1)
    }))

  it.effect("says that keys can not be had, and counts the token as absent", () =>
    Effect.gen(function*() {
      const { sign } = yield* Tokens.keyPair("a")
      const text = yield* sign()
      const fetch = () => Effect.succeed("no keys")
      const { verify } = yield* TokenVerifier.make(
        Tokens.provider(Tokens.remoteEntry("https://issuer.example/keys")),
        fetch
      )
      const { claims, rejected } = yield* verify(bearer(text))
      assert.isUndefined(claims)
      assert.strictEqual(rejected, "the keys of its provider can not be had at the moment")
    }))

  it.effect("does not wait for keys because of a token of another issuer", () =>
    Effect.gen(function*() {
      const { sign } = yield* Tokens.keyPair("a")
      const { verify } = yield* TokenVerifier.make(
        Tokens.provider(Tokens.remoteEntry("https://issuer.example/keys")),
        () => Effect.never
      )
      const { rejected } = yield* verify(bearer(yield* sign({ iss: "https://other.example" })))
      assert.strictEqual(rejected, "it is of another issuer")
    }))
})
