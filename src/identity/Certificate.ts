/** X.509 certificates as values, for everything that is not once per connection. */
import { Result, Schema } from "effect"
import * as SpiffeId from "./SpiffeId.ts"
import * as x509 from "./x509.ts"

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
      certificates.push(read(new x509.X509Certificate(block), block))
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
    const certificate = new x509.X509Certificate(Uint8Array.from(der))
    return Result.succeed(read(certificate, certificate.toString("pem")))
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

const read = (certificate: x509.X509Certificate, pem: string): Certificate => {
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? []
  return {
    pem: `${pem}\n`,
    serial: colonHex(certificate.serialNumber),
    subject: certificate.subject,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    uris: names.filter((name) => name.type === "url").map((name) => name.value),
    isCa: certificate.getExtension(x509.BasicConstraintsExtension)?.ca ?? false,
    maySign: ((certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0) & signing) !== 0,
    key: keyKind(certificate.publicKey.algorithm),
    subjectKeyId: hexOf(certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId),
    authorityKeyId: hexOf(certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId)
  }
}

const signing = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign

const hexOf = (text: string | undefined): string | undefined => text === undefined ? undefined : normalHex(text)

const keyKind = (algorithm: { readonly name: string }): KeyKind => {
  if ("namedCurve" in algorithm) return { _tag: "Ec", curve: String(algorithm.namedCurve) }
  if ("modulusLength" in algorithm) return { _tag: "Rsa", bits: Number(algorithm.modulusLength) }
  return { _tag: "Other", name: algorithm.name }
}
