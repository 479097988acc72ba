/**
 * Issues certificates as Consul's built-in certificate authority does (`agent/connect/generate.go`,
 * `agent/connect/ca/provider_consul.go`). No state: authorities are values, their keys included.
 */
import { Effect, Schema } from "effect"
import { createHash, webcrypto } from "node:crypto"
import { colonHex } from "../identity/Certificate.ts"
import * as x509 from "../identity/x509.ts"
import * as Keys from "./ca/Keys.ts"
import * as Requests from "./ca/Requests.ts"

/** A certificate that may sign others, and its key. */
export interface Authority {
  readonly key: Keys.KeyType
  readonly pem: string
  readonly certificate: x509.X509Certificate
  readonly privateKey: webcrypto.CryptoKey
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
  readonly serial: bigint
  readonly key: Keys.KeyType
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<Authority, IssueError> =>
  issue(`a root certificate of ${options.trustDomain}`, async () => {
    const keys = await Keys.generate(options.key)
    const name = Requests.commonName("pri", options.trustDomain)
    const keyId = Keys.identifier(await webcrypto.subtle.exportKey("spki", keys.publicKey))
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: name,
      issuer: name,
      notBefore: seconds(options.now),
      notAfter: seconds(options.now + options.ttl),
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: Keys.signatureOf(options.key),
      extensions: [
        ...authorityExtensions(keyId, undefined),
        new x509.AuthorityKeyIdentifierExtension(keyId),
        Requests.trustDomainName(options.trustDomain)
      ]
    })
    return { key: options.key, pem: pem(certificate), certificate, privateKey: keys.privateKey }
  })

/**
 * Another certificate for the name and the key of `subject`, an authority: those who trust `signer` come to trust it too.
 * All of it is kept but issuer and serial number. Valid for a week, as Consul's.
 */
export const crossSign = (options: {
  readonly signer: Authority
  /** PEM. */
  readonly subject: string
  readonly serial: bigint
  readonly now: number
}): Effect.Effect<string, IssueError> =>
  issue("a cross-signed certificate", async () => {
    const subject = new x509.X509Certificate(options.subject)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: subject.subjectName,
      issuer: options.signer.certificate.subjectName,
      notBefore: seconds(options.now - minute),
      notAfter: within(options.signer, options.now + 7 * 24 * 60 * minute),
      publicKey: subject.publicKey,
      signingKey: options.signer.privateKey,
      signingAlgorithm: Keys.signatureOf(options.signer.key),
      extensions: [
        ...subject.extensions.filter(({ type }) => type !== authorityKeyIdentifier),
        ...issuedBy(options.signer)
      ]
    })
    return pem(certificate)
  })

/** An authority below `signer` that may sign leaves, and no authorities. */
export const signAuthority = (options: {
  readonly signer: Authority
  readonly trustDomain: string
  /** PEM. Its URI, if it has one, has to be the trust domain's. */
  readonly csr: string
  readonly serial: bigint
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<string, IssueError> =>
  issue(`an intermediate certificate of ${options.trustDomain}`, async () => {
    const csr = await Requests.readAuthority(options.csr, options.trustDomain)
    if (!maySignAuthorities(options.signer.certificate)) {
      throw new Error("the certificate of this authority lets it sign leaves only (its path length is 0)")
    }
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: csr.subjectName,
      issuer: options.signer.certificate.subjectName,
      notBefore: seconds(options.now - minute),
      notAfter: within(options.signer, options.now - minute + options.ttl),
      publicKey: csr.publicKey,
      signingKey: options.signer.privateKey,
      signingAlgorithm: Keys.signatureOf(options.signer.key),
      extensions: [
        ...authorityExtensions(Keys.identifier(csr.publicKey.rawData), 0),
        ...issuedBy(options.signer),
        Requests.trustDomainName(options.trustDomain, csr.subject === "")
      ]
    })
    return pem(certificate)
  })

/** A leaf for the one name and the key of a request. */
export const signLeaf = (options: {
  readonly signer: Authority
  /** PEM. */
  readonly csr: string
  readonly serial: bigint
  readonly now: number
  /** Milliseconds. */
  readonly ttl: number
}): Effect.Effect<string, IssueError> =>
  issue("a leaf certificate", async () => {
    const { csr, uris } = await Requests.read(options.csr)
    const [uri, ...others] = uris
    if (uri === undefined || others.length > 0) {
      throw new Error(`CSR SAN contains an invalid number of URIs: ${uris.length}`)
    }
    const notBefore = seconds(options.now - backdate(options.ttl))
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialHex(options.serial),
      subject: "",
      issuer: options.signer.certificate.subjectName,
      notBefore,
      notAfter: within(
        options.signer,
        notBefore.getTime() + options.ttl + (options.ttl < hour ? backdate(options.ttl) + 999 : 0)
      ),
      publicKey: csr.publicKey,
      signingKey: options.signer.privateKey,
      signingAlgorithm: Keys.signatureOf(options.signer.key),
      extensions: [
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment |
            x509.KeyUsageFlags.dataEncipherment | x509.KeyUsageFlags.keyAgreement,
          true
        ),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.SubjectKeyIdentifierExtension(Keys.identifier(csr.publicKey.rawData)),
        ...issuedBy(options.signer),
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }], true)
      ]
    })
    return pem(certificate)
  })

/** Whether what it signs may sign in turn. */
export const maySignAuthorities = (certificate: x509.X509Certificate): boolean => {
  const constraints = certificate.getExtension(x509.BasicConstraintsExtension)
  return constraints?.ca === true && constraints.pathLength !== 0
}

/** The identifier by which those below name its key: colon hex, empty where it has none. */
export const signingKeyId = (certificate: x509.X509Certificate): string =>
  colonHex(certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? "")

/** SHA-1 fingerprint, colon hex: what Consul calls the id of a root. */
export const fingerprint = (certificate: x509.X509Certificate): string =>
  colonHex(createHash("sha1").update(new Uint8Array(certificate.rawData)).digest("hex"))

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

const authorityExtensions = (keyId: string, pathLength: number | undefined) => [
  new x509.KeyUsagesExtension(
    x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
    true
  ),
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.SubjectKeyIdentifierExtension(keyId)
]

/** Empty where the signer's certificate does not say how its key is called. */
const issuedBy = (signer: Authority) => {
  const keyId = signer.certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId
  return keyId === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(keyId)]
}

const authorityKeyIdentifier = "2.5.29.35"

/** Nothing outlives what it was signed by. */
const within = (signer: Authority, notAfter: number): Date =>
  seconds(Math.min(notAfter, signer.certificate.notAfter.getTime()))

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString("pem")}\n`
/** As an ASN.1 integer: a first bit that is set would make it negative. */
const serialHex = (serial: bigint): string => {
  const digits = serial.toString(16)
  const octets = digits.length % 2 === 0 ? digits : `0${digits}`
  return parseInt(octets.slice(0, 2), 16) < 0x80 ? octets : `00${octets}`
}
