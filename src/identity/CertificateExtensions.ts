/** The extensions of a certificate that Node does not tell of, or not exactly. RFC 5280, sections 4.1 and 4.2.1. */
import * as Der from "./Der.ts"

export interface CertificateExtensions {
  /** Of the subject alternative name, in order. */
  readonly uris: ReadonlyArray<string>
  /** As the basic constraints say. */
  readonly isCa: boolean
  /** The key usage has `keyCertSign` or `cRLSign`. */
  readonly maySign: boolean
  /** Lower-case hex, without colons. */
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
}

/** 2.5.29.*, in hex. */
const identifiers = {
  subjectKeyId: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyId: "551d23"
} as const

const keyCertSign = 5
const cRLSign = 6

/** Throws where the certificate is malformed, or has an extension twice. */
export const read = (certificate: Uint8Array): CertificateExtensions => {
  const found = find(certificate)
  const names = found.get(identifiers.subjectAltName)
  const usage = found.get(identifiers.keyUsage)
  const constraints = found.get(identifiers.basicConstraints)
  const subjectKeyId = found.get(identifiers.subjectKeyId)
  const authorityKeyId = found.get(identifiers.authorityKeyId)
  const bits = usage && Der.within(usage, Der.tags.bitString)
  return {
    uris: names === undefined ? [] : tagged(names, Der.context(6, false)).map(Der.text),
    isCa: constraints !== undefined && isTrue(Der.parts(Der.within(constraints, Der.tags.sequence))[0]),
    maySign: bits !== undefined && (Der.bit(bits, keyCertSign) || Der.bit(bits, cRLSign)),
    subjectKeyId: subjectKeyId && Der.hex(Der.within(subjectKeyId, Der.tags.octetString)),
    authorityKeyId: authorityKeyId && tagged(authorityKeyId, Der.context(0, false)).map(Der.hex)[0]
  }
}

/** The value of each, by its identifier in hex. */
const find = (certificate: Uint8Array): ReadonlyMap<string, Der.Element> => {
  const found = new Map<string, Der.Element>()
  const [signed] = Der.parts(Der.only(certificate, Der.tags.sequence))
  if (signed === undefined) throw new Error("it is empty")
  for (const part of Der.parts(signed).filter(({ tag }) => tag === Der.context(3, true))) {
    for (const extension of Der.parts(Der.within(part, Der.tags.sequence))) {
      const [id, ...rest] = Der.parts(extension)
      const value = rest.at(-1)
      if (id?.tag !== Der.tags.objectIdentifier || value?.tag !== Der.tags.octetString) {
        throw new Error("an extension is none")
      }
      const name = Der.hex(id)
      if (found.has(name)) throw new Error("an extension is there twice")
      found.set(name, value)
    }
  }
  return found
}

const tagged = (value: Der.Element, tag: number): ReadonlyArray<Der.Element> =>
  Der.parts(Der.within(value, Der.tags.sequence)).filter((part) => part.tag === tag)

const isTrue = (part: Der.Element | undefined): boolean =>
  part?.tag === Der.tags.boolean && Der.contents(part)[0] !== 0 && part.end > part.start
