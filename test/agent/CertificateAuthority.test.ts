import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as Keys from "../../src/agent/ca/Keys.ts"
import * as Requests from "../../src/agent/ca/Requests.ts"
import * as CertificateAuthority from "../../src/agent/CertificateAuthority.ts"
import * as Certificate from "../../src/identity/Certificate.ts"
import * as x509 from "../../src/identity/x509.ts"

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"
const uri = `spiffe://${trustDomain}/ns/default/dc/dc1/svc/web`
const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const hour = 3_600_000

const root = (serial: bigint, key: Keys.KeyType = { type: "ec", bits: 256 }) =>
  CertificateAuthority.makeRoot({ trustDomain, serial, key, now, ttl: 87_600 * hour })
const leafOf = (signer: CertificateAuthority.Authority, ttl = 72 * hour, serial = 300n) =>
  Effect.gen(function*() {
    const request = yield* Requests.forLeaf(uri)
    const pem = yield* CertificateAuthority.signLeaf({ signer, csr: request.csr, serial, now, ttl })
    return { certificate: new X509Certificate(pem), privateKey: Requests.sec1(request) }
  })
const below = (signer: CertificateAuthority.Authority, csr: string, ttl = 8760 * hour) =>
  CertificateAuthority.signAuthority({ signer, trustDomain, csr, serial: 9n, now, ttl })

describe("CertificateAuthority", () => {
  it.effect("issues leaves as Consul does", () =>
    Effect.gen(function*() {
      const signer = yield* root(7n)
      const { certificate, privateKey } = yield* leafOf(signer)
      assert.isTrue(certificate.verify(new X509Certificate(signer.pem).publicKey))
      assert.strictEqual(certificate.subject ?? "", "")
      assert.strictEqual(certificate.subjectAltName, `URI:${uri}`)
      assert.isFalse(certificate.ca)
      assert.deepStrictEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"])
      assert.strictEqual(certificate.serialNumber, "012C")
      assert.match(privateKey, /^-----BEGIN EC PRIVATE KEY-----\n/)
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(privateKey)))
      assert.strictEqual(certificate.validFromDate.toISOString(), "2026-01-02T03:03:05.000Z")
      assert.strictEqual(certificate.validToDate.toISOString(), "2026-01-05T03:03:05.000Z")
      const parsed = Result.getOrThrow(Certificate.parse(certificate.toString(), "leaf"))
      assert.strictEqual(Result.getOrThrow(Certificate.identity(parsed))._tag, "Service")
    }))

  it.effect("marks the alternative name critical, as the subject is empty", () =>
    Effect.gen(function*() {
      const der = (yield* leafOf(yield* root(7n))).certificate.raw
      // The object identifier of the extension, then TRUE.
      assert.isTrue(der.includes(Buffer.from("0603551d110101ff", "hex")))
    }))

  it.effect("names roots by fingerprint and keys by what they are", () =>
    Effect.gen(function*() {
      const authority = yield* root(7n)
      const certificate = new X509Certificate(authority.pem)
      assert.strictEqual(CertificateAuthority.fingerprint(authority.certificate), certificate.fingerprint.toLowerCase())
      assert.match(CertificateAuthority.signingKeyId(authority.certificate), /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/)
      assert.strictEqual(certificate.subjectAltName, `URI:spiffe://${trustDomain}`)
      assert.isTrue(certificate.ca)
    }))

  it.effect("lives from now on when it lives for seconds only", () =>
    Effect.gen(function*() {
      const { certificate } = yield* leafOf(yield* root(7n), 5_000)
      const [from, until] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()]
      assert.isAtMost(from, now)
      assert.isAtLeast(until, now + 5_000)
      assert.isAtMost(until - from, 7_000)
    }))

  it.effect.each([{ type: "ec", bits: 384 }, { type: "ec", bits: 521 }, { type: "rsa", bits: 2048 }] as const)(
    "signs with $type $bits too",
    (key) =>
      Effect.gen(function*() {
        const signer = yield* root(8n, key)
        const { certificate: leaf } = yield* leafOf(signer)
        assert.isTrue(leaf.verify(new X509Certificate(signer.pem).publicKey))
        assert.strictEqual(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1")
      })
  )

  it.effect("vouches for the next root with the former one", () =>
    Effect.gen(function*() {
      const former = yield* root(7n)
      const next = yield* root(8n)
      const pem = yield* CertificateAuthority.crossSign({ signer: former, subject: next.pem, serial: 9n, now })
      const cross = new X509Certificate(pem)
      const { certificate: leaf } = yield* leafOf(next)
      assert.isTrue(cross.verify(new X509Certificate(former.pem).publicKey))
      assert.isTrue(leaf.verify(cross.publicKey))
      assert.isTrue(leaf.checkIssued(cross))
      assert.isTrue(cross.checkIssued(new X509Certificate(former.pem)))
    }))

  it.effect("signs authorities that may sign leaves and no authorities", () =>
    Effect.gen(function*() {
      const signer = yield* root(7n)
      const request = yield* Requests.forAuthority(trustDomain, { type: "ec", bits: 384 })
      const pem = yield* below(signer, request.csr)
      const certificate = new x509.X509Certificate(pem)
      assert.isTrue(new X509Certificate(pem).verify(new X509Certificate(signer.pem).publicKey))
      assert.strictEqual(new X509Certificate(pem).subjectAltName, `URI:spiffe://${trustDomain}`)
      const key = { type: "ec", bits: 384 } as const
      const authority = { key, pem, certificate, privateKey: request.keys.privateKey }
      const { certificate: leaf } = yield* leafOf(authority)
      assert.isTrue(leaf.verify(new X509Certificate(pem).publicKey))
      const refusal = yield* Effect.flip(below(authority, request.csr))
      assert.include(refusal.message, "lets it sign leaves only")
    }))

  it.effect("signs no authority of another trust domain, and none whose key the request does not show", () =>
    Effect.gen(function*() {
      const signer = yield* root(7n)
      const foreign = yield* Requests.forAuthority("22222222-2222-3333-4444-555555555555.consul", signer.key)
      assert.include((yield* Effect.flip(below(signer, foreign.csr))).message, "is not valid for our domain")
      const request = yield* Requests.forAuthority(trustDomain, signer.key)
      const der = new Uint8Array(new x509.Pkcs10CertificateRequest(request.csr).rawData)
      // The last byte is one of the signature.
      der[der.length - 1]! ^= 1
      const forged = new x509.Pkcs10CertificateRequest(der).toString("pem")
      assert.include((yield* Effect.flip(below(signer, forged))).message, "not signed with the key that it is for")
    }))

  it.effect("signs nothing that outlives it", () =>
    Effect.gen(function*() {
      const signer = yield* CertificateAuthority.makeRoot({
        trustDomain,
        serial: 7n,
        key: { type: "ec", bits: 256 },
        now,
        ttl: 2 * hour
      })
      const until = signer.certificate.notAfter.getTime()
      assert.strictEqual((yield* leafOf(signer)).certificate.validToDate.getTime(), until)
      const request = yield* Requests.forAuthority(trustDomain, signer.key)
      assert.strictEqual(new X509Certificate(yield* below(signer, request.csr)).validToDate.getTime(), until)
    }))

  it.effect("signs a leaf for exactly one name", () =>
    Effect.gen(function*() {
      const signer = yield* root(7n)
      const keys = yield* Effect.promise(() => Keys.generate({ type: "ec", bits: 256 }))
      const csr = (yield* Effect.promise(() =>
        x509.Pkcs10CertificateRequestGenerator.create({
          keys,
          signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
          extensions: [
            new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }, { type: "url", value: `${uri}2` }])
          ]
        })
      )).toString("pem")
      const sign = (csr: string) => CertificateAuthority.signLeaf({ signer, csr, serial: 3n, now, ttl: hour })
      assert.include((yield* Effect.flip(sign(csr))).message, "invalid number of URIs: 2")
    }))
})
