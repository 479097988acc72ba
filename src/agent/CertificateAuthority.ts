/**
 * Issues certificates as Consul's built-in certificate authority does (`agent/connect/generate.go`,
 * `agent/connect/ca/provider_consul.go`). No state: roots are values, their keys included.
 */
import { Effect, Schema } from "effect"
import { createHash, KeyObject, randomUUID, webcrypto } from "node:crypto"
import * as x509 from "../identity/x509.ts"

export type KeyType =
  | { readonly type: "ec"; readonly bits: 256 | 384 | 521 }
  | { readonly type: "rsa"; readonly bits: 2048 | 4096 }

export interface Authority {
  /** SHA-1 fingerprint, colon hex: what Consul calls the id of a root. */
  readonly id: string
  readonly serial: number
  /** The key's identifier, colon hex. */
  readonly keyId: string
  readonly key: KeyType
  readonly notBefore: Date
  readonly notAfter: Date
  readonly pem: string
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

export interface Leaf {
  readonly serial: string
  /** The leaf alone. */
  readonly certificatePem: string
  /** SEC1. */
  readonly privateKeyPem: string
  readonly notBefore: Date
  readonly notAfter: Date
}

/** A certificate could not be made. */
export class IssueError extends Schema.TaggedError<IssueError>()("IssueError", {
  what: Schema.String,
  cause: Schema.Defect()
}) {
  override readonly message = `could not issue ${this.what}: ${String(this.cause)}`
}

/** A self-signed root of the trust domain. `now` is in milliseconds. */
export const makeRoot = (options: {
  readonly trustDomain: string
  readonly serial: number
  readonly key: KeyType
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<Authority, IssueError> =>
  issue(`a root certificate of ${options.trustDomain}`, async () => {
    const keys = await generateKeys(options.key)
    const name = `CN=pri-${randomUUID().slice(0, 8)}.consul.ca.${options.trustDomain.slice(0, 8)}.consul`
    const keyId = await identifierOf(keys.publicKey)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: name,
      issuer: name,
      notBefore: seconds(options.now),
      notAfter: seconds(options.now + options.ttl),
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: signatureOf(options.key),
      extensions: authorityExtensions(options.trustDomain, keyId, keyId)
    })
    return authority(certificate, keys, options.key, options.serial, keyId)
  })

/** The certificate by which those who trust `signer` can come to trust `subject`. Valid for a week, as Consul's. */
export const crossSign = (options: {
  readonly trustDomain: string
  readonly signer: Authority
  readonly subject: Authority
  readonly serial: number
  readonly now: number
}): Effect.Effect<string, IssueError> =>
  issue("a cross-signed certificate", async () => {
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: options.subject.certificate.subjectName,
      issuer: options.signer.certificate.subjectName,
      notBefore: seconds(options.now - minute),
      notAfter: seconds(options.now + 7 * 24 * 60 * minute),
      publicKey: options.subject.keys.publicKey,
      signingKey: options.signer.keys.privateKey,
      signingAlgorithm: signatureOf(options.signer.key),
      extensions: authorityExtensions(options.trustDomain, bytes(options.subject.keyId), bytes(options.signer.keyId))
    })
    return pem(certificate)
  })

/** An authority under `signer`, for another datacenter. Without a name, as Consul's: the keys' identifiers tell them apart. */
export const makeIntermediate = (options: {
  readonly trustDomain: string
  readonly signer: Authority
  readonly serial: number
  readonly key: KeyType
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<Authority, IssueError> =>
  issue(`an intermediate certificate of ${options.trustDomain}`, async () => {
    const keys = await generateKeys(options.key)
    const keyId = await identifierOf(keys.publicKey)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: "",
      issuer: options.signer.certificate.subjectName,
      notBefore: seconds(options.now - minute),
      notAfter: seconds(Math.min(options.now - minute + options.ttl, options.signer.notAfter.getTime())),
      publicKey: keys.publicKey,
      signingKey: options.signer.keys.privateKey,
      signingAlgorithm: signatureOf(options.signer.key),
      extensions: authorityExtensions(options.trustDomain, keyId, bytes(options.signer.keyId), 0)
    })
    return authority(certificate, keys, options.key, options.serial, keyId)
  })

/** A leaf with a key of its own: always EC P-256, whatever signs it. */
export const issueLeaf = (options: {
  readonly signer: Authority
  readonly uri: string
  readonly serial: number
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<Leaf, IssueError> =>
  issue(`a certificate for ${options.uri}`, async () => {
    const keys = await generateKeys({ type: "ec", bits: 256 })
    const notBefore = seconds(options.now - backdate(options.ttl))
    const notAfter = seconds(notBefore.getTime() + options.ttl + (options.ttl < hour ? backdate(options.ttl) + 999 : 0))
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      // An empty subject makes the alternative name critical (RFC 5280, 4.2.1.6).
      subject: "",
      issuer: options.signer.certificate.subjectName,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey: options.signer.keys.privateKey,
      signingAlgorithm: signatureOf(options.signer.key),
      extensions: [
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment |
            x509.KeyUsageFlags.dataEncipherment | x509.KeyUsageFlags.keyAgreement,
          true
        ),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.SubjectKeyIdentifierExtension(hex(await identifierOf(keys.publicKey))),
        new x509.AuthorityKeyIdentifierExtension(hex(bytes(options.signer.keyId))),
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: options.uri }], true)
      ]
    })
    return {
      serial: colons(serialBytes(options.serial)),
      certificatePem: pem(certificate),
      privateKeyPem: KeyObject.from(keys.privateKey).export({ type: "sec1", format: "pem" })
        .toString(),
      notBefore,
      notAfter
    }
  })

const minute = 60_000
const hour = 60 * minute

/**
 * Consul sets the start a minute back, for clocks that differ. A leaf that lives for seconds would then be born expired:
 * under an hour, below which Consul issues none, the start is a tenth of the life back and the life begins now.
 */
const backdate = (ttl: number): number => ttl < hour ? Math.min(minute, ttl / 10) : minute

/** Certificates count in whole seconds. */
const seconds = (millis: number): Date => new Date(Math.floor(millis / 1000) * 1000)

const issue = <A>(what: string, make: () => Promise<A>): Effect.Effect<A, IssueError> =>
  Effect.tryPromise({ try: make, catch: (cause) => new IssueError({ what, cause }) })

const generateKeys = (key: KeyType): Promise<webcrypto.CryptoKeyPair> =>
  key.type === "ec"
    ? webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: `P-${key.bits}` }, true, ["sign", "verify"])
    : webcrypto.subtle.generateKey(
      {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: key.bits,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: "SHA-256"
      },
      true,
      ["sign", "verify"]
    )

const signatureOf = (key: KeyType) =>
  key.type === "ec"
    ? { name: "ECDSA", hash: key.bits === 256 ? "SHA-256" : key.bits === 384 ? "SHA-384" : "SHA-512" }
    : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }

const authorityExtensions = (
  trustDomain: string,
  keyId: Uint8Array,
  signerKeyId: Uint8Array,
  pathLength?: number
) => [
  new x509.KeyUsagesExtension(
    x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
    true
  ),
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.SubjectKeyIdentifierExtension(hex(keyId)),
  new x509.AuthorityKeyIdentifierExtension(hex(signerKeyId)),
  new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }])
]

/** SHA-256 of the subject public key info, which is longer than the SHA-1 that RFC 5280 suggests. */
const identifierOf = async (key: webcrypto.CryptoKey): Promise<Uint8Array> =>
  createHash("sha256").update(new Uint8Array(await webcrypto.subtle.exportKey("spki", key))).digest()

const authority = (
  certificate: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  key: KeyType,
  serial: number,
  keyId: Uint8Array
): Authority => ({
  id: colons(createHash("sha1").update(new Uint8Array(certificate.rawData)).digest("hex")),
  serial,
  keyId: colons(hex(keyId)),
  key,
  notBefore: certificate.notBefore,
  notAfter: certificate.notAfter,
  pem: pem(certificate),
  certificate,
  keys
})

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString("pem")}\n`
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex")
const bytes = (colonHex: string): Uint8Array => Buffer.from(colonHex.replaceAll(":", ""), "hex")
const colons = (value: string): string => value.replace(/..(?!$)/g, "$&:")
const serialBytes = (serial: number): string => {
  const digits = serial.toString(16)
  return digits.length % 2 === 0 ? digits : `0${digits}`
}
/** As an ASN.1 integer: a first bit that is set would make it negative. */
const serialHex = (serial: number): string => {
  const octets = serialBytes(serial)
  return parseInt(octets.slice(0, 2), 16) < 0x80 ? octets : `00${octets}`
}
