import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import * as TlsFront from "../../src/gateway/api/TlsFront.ts"
import * as Certificates from "../support/certificates.ts"

/** Two pairs of one authority. */
const pairs = Effect.promise(async () => {
  const authority = await Certificates.root("public")
  const [own, other] = [await Certificates.issue(authority), await Certificates.issue(authority)]
  return { own: { cert: own.certPem, key: own.keyPem }, other: { cert: other.certPem, key: other.keyPem } }
})

const tls = (...certificates: ReadonlyArray<{ readonly cert: string; readonly key: string }>) => ({
  certificates: certificates.map((pair, index) => ({ ...pair, name: `shop-${index}`, listener: "web" })) as never,
  minVersion: "TLSv1.2" as const,
  maxVersion: "TLSv1.3" as const
})

type Pairs = Effect.Success<typeof pairs>

describe("TlsFront", () => {
  it.effect.each<readonly [string, (pairs: Pairs) => { readonly cert: string; readonly key: string }, RegExp]>([
    ["that is none", ({ own }) => ({ ...own, cert: "shop.example" }), /its Certificate is none in PEM/],
    ["that is missing", ({ own }) => ({ ...own, cert: "" }), /its Certificate is none in PEM/],
    [
      "whose key is none",
      ({ own }) => ({ ...own, key: own.cert }),
      /its PrivateKey is none in PEM, or has a passphrase/
    ],
    [
      "whose key has a passphrase",
      ({ own }) => ({
        ...own,
        key: createPrivateKey(own.key).export({
          format: "pem",
          type: "pkcs8",
          cipher: "aes-256-cbc",
          passphrase: "x"
        }) as string
      }),
      /its PrivateKey is none in PEM, or has a passphrase/
    ],
    [
      "with the key of another one",
      ({ other, own }) => ({ ...own, key: other.key }),
      /its PrivateKey is that of another certificate/
    ],
    [
      "that is followed by something else",
      ({ own }) => ({ ...own, cert: `${own.cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n` }),
      /OpenSSL refuses it \(.+\)/
    ]
  ])(
    "fails with the names of the listener and of the entry of a certificate %s",
    ([, broken, why]) =>
      Effect.gen(function*() {
        const both = yield* pairs
        const wanted = tls(both.own, broken(both))
        const failed = yield* Effect.flip(TlsFront.make(wanted, "http", 1000))
        assert.strictEqual(failed._tag, "CertificateUnusable")
        assert.deepInclude(failed, { listener: "web", entry: "shop-1" })
        assert.match(failed.why, why)
        assert.match(
          failed.message,
          /^the listener web can not use the inline-certificate shop-1: .*\. Write that entry/
        )
        assert.isFalse(TlsFront.isUsable(wanted))
        // And a front that is there keeps what it has.
        const front = yield* TlsFront.make(tls(both.own), "http", 1000)
        assert.strictEqual((yield* Effect.flip(front.update(wanted))).message, failed.message)
        yield* front.update(tls(both.other))
      })
  )

  it.effect("says nothing of a key", () =>
    Effect.gen(function*() {
      const { own } = yield* pairs
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
      const key = privateKey.export({ format: "pem", type: "pkcs8" }) as string
      const failed = yield* Effect.flip(TlsFront.make(tls({ ...own, key }), "http", 1000))
      const secret = key.split("\n")[1]!
      assert.notInclude(JSON.stringify(failed) + String(failed) + failed.stack, secret)
    }))
})
