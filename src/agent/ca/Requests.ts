/** What is asked of an authority: a certificate for a key that it never sees. */
import { Effect } from "effect"
import { KeyObject, randomUUID, type webcrypto } from "node:crypto"
import * as x509 from "../../identity/x509.ts"
import * as Keys from "./Keys.ts"

export interface Request {
  /** PEM. */
  readonly csr: string
  readonly keys: webcrypto.CryptoKeyPair
}

/**
 * Asks for an authority of the trust domain, such as another datacenter needs. Without a name, as Consul's: the keys'
 * identifiers tell them apart.
 */
export const forAuthority = (trustDomain: string, key: Keys.KeyType): Effect.Effect<Request> =>
  make(key, "", [trustDomainName(trustDomain, true)])

/** Asks for a leaf with a key of its own: always EC P-256, whatever signs it. */
export const forLeaf = (uri: string): Effect.Effect<Request> =>
  make({ type: "ec", bits: 256 }, "", [
    // An empty subject makes the alternative name critical (RFC 5280, 4.2.1.6).
    new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }], true)
  ])

const make = (key: Keys.KeyType, name: string, extensions: Array<x509.Extension>): Effect.Effect<Request> =>
  Effect.promise(async () => {
    const keys = await Keys.generate(key)
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({
      name,
      keys,
      signingAlgorithm: Keys.signatureOf(key),
      extensions
    })
    return { csr: `${csr.toString("pem")}\n`, keys }
  })

/** SEC1, as Consul hands it out. */
export const sec1 = ({ keys }: Request): string =>
  KeyObject.from(keys.privateKey).export({ type: "sec1", format: "pem" }).toString()

/** A request that was signed with the key that it is for. Rejects others. */
export const read = async (pem: string) => {
  const csr = new x509.Pkcs10CertificateRequest(pem)
  if (!await csr.verify()) throw new Error("the request is not signed with the key that it is for")
  const names = csr.extensions.find((each) => each instanceof x509.SubjectAlternativeNameExtension)?.names.items ?? []
  return { csr, uris: names.filter(({ type }) => type === "url").map(({ value }) => value) }
}

/** One for an authority, that may be one of this trust domain. Rejects others. */
export const readAuthority = async (pem: string, trustDomain: string): Promise<x509.Pkcs10CertificateRequest> => {
  const { csr, uris: [uri, ...others] } = await read(pem)
  const domain = `spiffe://${trustDomain}`
  if (others.length > 0) throw new Error(`incoming CSR has unexpected number of URIs: ${others.length + 1}`)
  if (uri !== undefined && uri.toLowerCase() !== domain.toLowerCase()) {
    throw new Error(`incoming CSR domain ${JSON.stringify(uri)} is not valid for our domain "${domain}"`)
  }
  return csr
}

/** As Consul names its authorities. */
export const commonName = (role: "pri" | "vault", trustDomain: string): string =>
  `CN=${role}-${randomUUID().slice(0, 8)}.consul.ca.${trustDomain.slice(0, 8)}.consul`

/** What makes an authority one of this trust domain only. Critical where it has no other name (RFC 5280, 4.2.1.6). */
export const trustDomainName = (trustDomain: string, critical = false) =>
  new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }], critical)
