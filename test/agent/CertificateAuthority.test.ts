import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as CertificateAuthority from "../../src/agent/CertificateAuthority.ts"
import * as Certificate from "../../src/identity/Certificate.ts"

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"
const uri = `spiffe://${trustDomain}/ns/default/dc/dc1/svc/web`
const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const hour = 3_600_000

const root = (serial: number, key: CertificateAuthority.KeyType = { type: "ec", bits: 256 }) =>
  CertificateAuthority.makeRoot({ trustDomain, serial, key, now, ttl: 87_600 * hour })
const leafOf = (signer: CertificateAuthority.Authority, ttl = 72 * hour, serial = 300) =>
  CertificateAuthority.issueLeaf({ signer, uri, serial, now, ttl })

describe("CertificateAuthority", () => {
  it.effect("issues leaves as Consul does", () =>
    Effect.gen(function*() {
      const signer = yield* root(7)
      const leaf = yield* leafOf(signer)
      const certificate = new X509Certificate(leaf.certificatePem)
      assert.isTrue(certificate.verify(new X509Certificate(signer.pem).publicKey))
      assert.strictEqual(certificate.subject ?? "", "")
      assert.strictEqual(certificate.subjectAltName, `URI:${uri}`)
      assert.isFalse(certificate.ca)
      assert.deepStrictEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"])
      assert.strictEqual(leaf.serial, "01:2c")
      assert.match(leaf.privateKeyPem, /^-----BEGIN EC PRIVATE KEY-----\n/)
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(leaf.privateKeyPem)))
      assert.strictEqual(leaf.notBefore.toISOString(), "2026-01-02T03:03:05.000Z")
      assert.strictEqual(leaf.notAfter.toISOString(), "2026-01-05T03:03:05.000Z")
      const parsed = Result.getOrThrow(Certificate.parse(leaf.certificatePem, "leaf"))
      assert.strictEqual(Result.getOrThrow(Certificate.identity(parsed))._tag, "Service")
    }))

  it.effect("marks the alternative name critical, as the subject is empty", () =>
    Effect.gen(function*() {
      const der = new X509Certificate((yield* leafOf(yield* root(7))).certificatePem).raw
      // The object identifier of the extension, then TRUE.
      assert.isTrue(der.includes(Buffer.from("0603551d110101ff", "hex")))
    }))

  it.effect("names roots by fingerprint and keys by what they are", () =>
    Effect.gen(function*() {
      const authority = yield* root(7)
      const certificate = new X509Certificate(authority.pem)
      assert.strictEqual(authority.id, certificate.fingerprint.toLowerCase())
      assert.match(authority.keyId, /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/)
      assert.strictEqual(certificate.subjectAltName, `URI:spiffe://${trustDomain}`)
      assert.isTrue(certificate.ca)
    }))

  it.effect("lives from now on when it lives for seconds only", () =>
    Effect.gen(function*() {
      const leaf = yield* leafOf(yield* root(7), 5_000)
      assert.isAtMost(leaf.notBefore.getTime(), now)
      assert.isAtLeast(leaf.notAfter.getTime(), now + 5_000)
      assert.isAtMost(leaf.notAfter.getTime() - leaf.notBefore.getTime(), 7_000)
    }))

  it.effect.each([{ type: "ec", bits: 384 }, { type: "ec", bits: 521 }, { type: "rsa", bits: 2048 }] as const)(
    "signs with $type $bits too",
    (key) =>
      Effect.gen(function*() {
        const signer = yield* root(8, key)
        const leaf = new X509Certificate((yield* leafOf(signer)).certificatePem)
        assert.isTrue(leaf.verify(new X509Certificate(signer.pem).publicKey))
        assert.strictEqual(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1")
      })
  )

  it.effect("vouches for the next root with the former one", () =>
    Effect.gen(function*() {
      const former = yield* root(7)
      const next = yield* root(8)
      const pem = yield* CertificateAuthority.crossSign({ trustDomain, signer: former, subject: next, serial: 9, now })
      const cross = new X509Certificate(pem)
      const leaf = new X509Certificate((yield* leafOf(next)).certificatePem)
      assert.isTrue(cross.verify(new X509Certificate(former.pem).publicKey))
      assert.isTrue(leaf.verify(cross.publicKey))
      assert.isTrue(leaf.checkIssued(cross))
      assert.isTrue(cross.checkIssued(new X509Certificate(former.pem)))
    }))
})
