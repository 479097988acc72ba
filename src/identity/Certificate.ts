/** X.509 certificates as values, for everything that is not once per connection. */
import { X509Certificate } from "node:crypto"
import { Result, Schema } from "effect"
import * as CertificateExtensions from "./CertificateExtensions.ts"
import * as SpiffeId from "./SpiffeId.ts"

export interface Certificate {
  readonly pem: string
  /** Lower-case hex in pairs, separated by colons, as Consul writes it. */
  readonly serial: string
  readonly subject: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** Every URI of the subject alternative name, in order. Only the first one counts as identity. */
  readonly uris: ReadonlyArray<string>
  readonly isCa: boolean
  /** Its key usage has `keyCertSign` or `cRLSign`. */
  readonly maySign: boolean
  readonly key: KeyKind
  /** Lower-case hex, without colons; absent where the certificate does not carry the extension. */
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
}

export type KeyKind =
  | { readonly _tag: "Ec"; readonly curve: string }
  | { readonly _tag: "Rsa"; readonly bits: number }
  | { readonly _tag: "Other"; readonly name: string }

/** The text contains no readable certificate. */
export class InvalidCertificate extends Schema.TaggedError<InvalidCertificate>()("InvalidCertificate", {
  what: Schema.String,
  why: Schema.String
}) {
  override readonly message = `cannot read ${this.what}: ${this.why}`
}

/** The certificates of a PEM text in order; text between them is ignored. Fails on none and on a broken one. */
export const parseAll = (
  pem: string,
  what: string
): Result.Result<readonly [Certificate, ...Array<Certificate>], InvalidCertificate> => {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const certificates: Array<Certificate> = []
  for (const block of blocks) {
    try {
      certificates.push(read(new X509Certificate(block), block))
    } catch {
      return Result.fail(new InvalidCertificate({ what, why: `certificate ${certificates.length + 1} is malformed` }))
    }
  }
  const [first, ...rest] = certificates
  return first === undefined
    ? Result.fail(new InvalidCertificate({ what, why: "it contains no PEM block of type CERTIFICATE" }))
    : Result.succeed([first, ...rest])
}

/** The first certificate of a PEM text. */
export const parse = (pem: string, what: string): Result.Result<Certificate, InvalidCertificate> =>
  Result.map(parseAll(pem, what), (all) => all[0])

/** One certificate as it comes in a handshake. */
export const fromDer = (der: Uint8Array, what: string): Result.Result<Certificate, InvalidCertificate> => {
  try {
    const certificate = new X509Certificate(der)
    return Result.succeed(read(certificate, certificate.toString().trimEnd()))
  } catch {
    return Result.fail(new InvalidCertificate({ what, why: "it is malformed" }))
  }
}

/** The identity that it claims: the first URI, which must be a SPIFFE id. */
export const identity = (self: Certificate): Result.Result<SpiffeId.SpiffeId, SpiffeId.InvalidSpiffeId> =>
  SpiffeId.parse(self.uris[0] ?? "")

/** `now` in milliseconds. Both ends belong to the validity. */
export const isValidAt = (self: Certificate, now: number): boolean =>
  self.notBefore.getTime() <= now && now <= self.notAfter.getTime()

/** Lower-case hex in pairs with colons between them, as Consul writes serial numbers. */
export const colonHex = (hex: string): string => hex.replace(/(..)(?!$)/g, "$1:").toLowerCase()

/** Lower-case hex without separators, because both `0A:1B` and `0a1b` occur in practice. */
export const normalHex = (text: string): string => text.replaceAll(":", "").toLowerCase()

/** OpenSSL has read all of it before, as it will in handshakes. */
const read = (certificate: X509Certificate, pem: string): Certificate => ({
  pem: `${pem}\n`,
  serial: colonHex(certificate.serialNumber),
  subject: (certificate.subject ?? "").replaceAll("\n", ", "),
  notBefore: certificate.validFromDate,
  notAfter: certificate.validToDate,
  key: keyKind(certificate),
  ...CertificateExtensions.read(certificate.raw)
})

/** Curves by the names that people know, and Web Crypto has. */
const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }

const keyKind = (certificate: X509Certificate): KeyKind => {
  const { asymmetricKeyDetails: { modulusLength, namedCurve } = {}, asymmetricKeyType = "unknown" } =
    certificate.publicKey
  if (namedCurve !== undefined) return { _tag: "Ec", curve: curves[namedCurve] ?? namedCurve }
  if (modulusLength !== undefined) return { _tag: "Rsa", bits: modulusLength }
  return { _tag: "Other", name: asymmetricKeyType }
}
