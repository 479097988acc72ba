import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as JwtProvider from "../../src/watch/JwtProvider.ts"
import * as Tokens from "../support/tokens.ts"

describe("JwtProvider", () => {
  it("reads durations in both spellings, and fills in what is left out", () => {
    const { clockSkewSeconds, forwardToken, keys } = Tokens.provider({
      Kind: "jwt-provider",
      Name: "okta",
      JSONWebKeySet: { Remote: { URI: "https://x", CacheDuration: 60_000_000_000, RetryPolicy: { NumRetries: 2 } } },
      Locations: null
    })
    assert.deepStrictEqual(keys, {
      _tag: "Remote",
      uri: "https://x",
      timeoutMilliseconds: 5000,
      connectTimeoutMilliseconds: 5000,
      cacheMilliseconds: 60_000,
      retries: 2,
      retryMilliseconds: 1000,
      ca: undefined
    })
    assert.deepStrictEqual([clockSkewSeconds, forwardToken], [30, false])
    const { keys: spelled } = Tokens.provider(Tokens.remoteEntry("https://x"))
    assert.strictEqual(spelled._tag === "Remote" && spelled.cacheMilliseconds, 600_000)
  })

  it.each([
    [{ InlineString: "pem" }, { _tag: "Inline", pem: "pem" }],
    [{ InlineBytes: Buffer.from("pem").toString("base64") }, { _tag: "Inline", pem: "pem" }],
    [{ Filename: "/ca.pem" }, { _tag: "File", path: "/ca.pem" }],
    [{ EnvironmentVariable: "CA" }, { _tag: "Variable", name: "CA" }]
  ])("reads who vouches for the server of the keys from %o", (TrustedCA, expected) => {
    const { keys } = Tokens.provider(
      Tokens.remoteEntry("https://x", { JWKSCluster: { TLSCertificates: { TrustedCA } } })
    )
    assert.deepStrictEqual(keys._tag === "Remote" ? keys.ca : undefined, expected)
  })

  it("refuses an entry without keys", () => {
    const entry = { Kind: "jwt-provider", Name: "okta" }
    assert.match(Result.getOrThrow(Result.flip(JwtProvider.fromEntry(entry))), /okta has no keys/)
  })
})
