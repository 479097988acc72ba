import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import { webcrypto } from "node:crypto"
import * as Certificate from "../../src/identity/Certificate.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as x509 from "../../src/identity/x509.ts"

/** Answers of a real agent. */
const recorded = JSON.parse(
  readFileSync(new URL("../fixtures/consul-1.10/ca.json", import.meta.url), "utf8")
) as { exchanges: ReadonlyArray<{ body: Record<string, unknown> }> }
interface Json {
  readonly [key: string]: string
}
const rootJson = (recorded.exchanges[0]!.body["Roots"] as ReadonlyArray<Json>)[0]!
const leafJson = recorded.exchanges[3]!.body as Record<string, string>

describe("Certificate", () => {
  it("reads a leaf that a real agent issued", () => {
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.strictEqual(leaf.serial, leafJson["SerialNumber"])
    assert.strictEqual(leaf.uris.join(), leafJson["ServiceURI"])
    assert.strictEqual(SpiffeId.format(Result.getOrThrow(Certificate.identity(leaf))), leafJson["ServiceURI"])
    assert.strictEqual(leaf.notBefore.toISOString().replace(".000", ""), leafJson["ValidAfter"])
    assert.strictEqual(leaf.notAfter.toISOString().replace(".000", ""), leafJson["ValidBefore"])
    assert.deepStrictEqual(leaf.key, { _tag: "Ec", curve: "P-256" })
    assert.isFalse(leaf.isCa)
  })

  it("reads a root, and finds that it signed the leaf by their key ids", () => {
    const root = Result.getOrThrow(Certificate.parse(rootJson["RootCert"]!, "the root"))
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.isTrue(root.isCa)
    assert.strictEqual(root.subjectKeyId, Certificate.normalHex(rootJson["SigningKeyID"]!))
    assert.strictEqual(leaf.authorityKeyId, root.subjectKeyId)
    assert.strictEqual(Result.getOrThrow(Certificate.identity(root))._tag, "Signing")
  })

  it("is valid from its first to its last moment", () => {
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.isTrue(Certificate.isValidAt(leaf, leaf.notBefore.getTime()))
    assert.isTrue(Certificate.isValidAt(leaf, leaf.notAfter.getTime()))
    assert.isFalse(Certificate.isValidAt(leaf, leaf.notBefore.getTime() - 1))
    assert.isFalse(Certificate.isValidAt(leaf, leaf.notAfter.getTime() + 1))
  })

  it.each([
    ["", "it contains no PEM block of type CERTIFICATE"],
    ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate 1 is malformed"],
    [
      `${rootJson["RootCert"]}\n-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----`,
      "certificate 2 is malformed"
    ]
  ])("says what is wrong with a text that cannot be read", (pem, why) => {
    const result = Certificate.parseAll(pem, "the bundle")
    assert.strictEqual(Result.isFailure(result) && result.failure.message, `cannot read the bundle: ${why}`)
  })
})

/** What another implementation reads of it. */
const byOthers = (pem: string) => {
  const certificate = new x509.X509Certificate(pem)
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0
  return {
    pem: `${certificate.toString("pem")}\n`,
    serial: Certificate.colonHex(certificate.serialNumber),
    subject: certificate.subject,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    uris: (certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [])
      .filter(({ type }) => type === "url").map(({ value }) => value),
    isCa: certificate.getExtension(x509.BasicConstraintsExtension)?.ca ?? false,
    maySign: (usages & (x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign)) !== 0,
    subjectKeyId: certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    authorityKeyId: certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId
  }
}

const withoutKey = (certificate: Certificate.Certificate) => {
  const { key, ...rest } = certificate
  assert.isDefined(key)
  return rest
}

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const issued = async (
  extensions: ReadonlyArray<x509.Extension>,
  algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | webcrypto.Algorithm = ecdsa
) => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as webcrypto.CryptoKeyPair
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "0102030405",
    name: "CN=an authority, O=Somebody",
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2062-01-01T00:00:00Z"),
    signingAlgorithm: algorithm,
    keys,
    extensions: [...extensions]
  })
  return certificate
}

const uri = Schema.String.check(Schema.isPattern(/^spiffe:\/\/[a-z0-9./-]{0,200}$/))
const keyId = Schema.String.check(Schema.isPattern(/^([0-9a-f]{2}){1,40}$/))
const shape = Schema.Struct({
  uris: Schema.Array(uri),
  dns: Schema.Array(Schema.Literals(["a.example", "b.example"])),
  usages: Schema.UndefinedOr(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 511 }))),
  isCa: Schema.UndefinedOr(Schema.Boolean),
  subjectKeyId: Schema.UndefinedOr(keyId),
  authorityKeyId: Schema.UndefinedOr(keyId)
})

describe("reading a certificate", () => {
  it.effect.prop(
    "finds what another implementation finds",
    { shape: Arbitrary.schema(shape) },
    ({ shape }) =>
      Effect.gen(function*() {
        const { authorityKeyId, dns, isCa, subjectKeyId, uris, usages } = shape
        const names = [
          ...dns.map((value) => ({ type: "dns" as const, value })),
          ...uris.map((value) => ({ type: "url" as const, value }))
        ]
        const { ...certificate } = yield* Effect.promise(async () => {
          const made = await issued([
            ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
            ...(usages === undefined ? [] : [new x509.KeyUsagesExtension(usages, true)]),
            ...(isCa === undefined ? [] : [new x509.BasicConstraintsExtension(isCa, isCa ? 3 : undefined, true)]),
            ...(subjectKeyId === undefined ? [] : [new x509.SubjectKeyIdentifierExtension(subjectKeyId)]),
            ...(authorityKeyId === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(authorityKeyId)])
          ])
          return { pem: made.toString("pem"), der: new Uint8Array(made.rawData) }
        })
        const read = yield* Effect.fromResult(Certificate.parse(certificate.pem, "it"))
        assert.deepStrictEqual(withoutKey(read), byOthers(certificate.pem))
        assert.deepStrictEqual(yield* Effect.fromResult(Certificate.fromDer(certificate.der, "it")), read)
      }),
    { arbitrary: { runs: 60 } }
  )

  it.each([leafJson["CertPEM"]!, rootJson["RootCert"]!])("finds it in what a real agent issued", (pem) => {
    assert.deepStrictEqual(withoutKey(Result.getOrThrow(Certificate.parse(pem, "it"))), byOthers(pem))
  })

  it.effect.each(
    [
      [ecdsa, { _tag: "Ec", curve: "P-256" }],
      [{ ...ecdsa, namedCurve: "P-384" }, { _tag: "Ec", curve: "P-384" }],
      [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }, {
        _tag: "Rsa",
        bits: 2048
      }],
      [{ name: "Ed25519" }, { _tag: "Other", name: "ed25519" }]
    ] as const
  )("knows the kind of its key", ([algorithm, key]) =>
    Effect.gen(function*() {
      const certificate = yield* Effect.promise(() => issued([], algorithm))
      const read = yield* Effect.fromResult(Certificate.parse(certificate.toString("pem"), "it"))
      assert.deepStrictEqual(read.key, key)
    }))

  it.effect("takes no extension that is there twice: which one would count?", () =>
    Effect.gen(function*() {
      const names = (value: string) => new x509.SubjectAlternativeNameExtension([{ type: "url", value }])
      const certificate = yield* Effect.promise(() => issued([names("spiffe://a"), names("spiffe://b")]))
      assert.isTrue(Result.isFailure(Certificate.parse(certificate.toString("pem"), "it")))
    }))

  const leafDer = new Uint8Array(new x509.X509Certificate(leafJson["CertPEM"]!).rawData)

  it.prop(
    "answers, whatever is changed in it",
    {
      at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })),
      to: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
      cut: Schema.Boolean
    },
    ({ at, cut, to }) => {
      const changed = Uint8Array.from(leafDer)
      const index = at % changed.length
      changed[index] = to
      const result = Certificate.fromDer(cut ? changed.subarray(0, index) : changed, "it")
      if (Result.isFailure(result)) assert.strictEqual(result.failure.why, "it is malformed")
    },
    { arbitrary: { runs: 2000 } }
  )
})

describe("TrustBundle", () => {
  it("names the root that cannot be read", () => {
    const result = TrustBundle.root({ id: "c7", name: "East", rootCert: "", intermediateCerts: [], active: true })
    assert.match(Result.isFailure(result) ? result.failure.message : "", /the CA root East/)
  })
})
