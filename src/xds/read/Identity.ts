/** Who this proxy is and whom it trusts: the certificates of its public listener. */
import { createHash, X509Certificate } from "node:crypto"
import { Result } from "effect"
import type * as TrustBundle from "../../identity/TrustBundle.ts"
import * as Certificate from "../../identity/Certificate.ts"
import * as LeafCertificate from "../../watch/LeafCertificate.ts"
import type * as TlsContext from "./TlsContext.ts"

export interface Identity {
  readonly leaf: LeafCertificate.Leaf
  readonly roots: TrustBundle.TrustBundle
}

/** Fails with a sentence. */
export const of = ({ authorities, certificate, key }: TlsContext.TlsContext): Result.Result<Identity, string> =>
  Result.gen(function*() {
    const leaf = yield* LeafCertificate.toLeaf({ CertPEM: certificate, PrivateKeyPEM: key })
    const { trustDomain } = leaf.identity
    const pem = authorities.get("") ?? authorities.get(trustDomain)
    if (pem === undefined) return yield* Result.fail(`it has no authorities of ${trustDomain}`)
    return { leaf, roots: yield* bundle(pem, leaf, trustDomain) }
  })

const bundle = (
  pem: string,
  leaf: LeafCertificate.Leaf,
  trustDomain: string
): Result.Result<TrustBundle.TrustBundle, string> =>
  Result.flatMap(
    Result.mapError(Certificate.parseAll(pem, "the authorities"), (error) => error.message),
    (certificates) =>
      // OpenSSL may refuse what another reader takes.
      Result.try({
        try: () => {
          const chain = pemBlocks(leaf.chainPem).map((pem) => new X509Certificate(pem))
          // Where a root vouches for a newer one, that certificate comes with the leaf as well: the first link counts.
          const issued = chain.find((each) => certificates.some((root) => signs(root, each)))
          const [first, ...rest] = certificates.map((certificate) => rootOf(certificate, issued))
          return { trustDomain, roots: [first!, ...rest] as const }
        },
        catch: (cause) => `certificates can not be read: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  )

/** `issued`: what the root has issued that signs now. */
const rootOf = (certificate: Certificate.Certificate, issued: X509Certificate | undefined): TrustBundle.Root => ({
  id: fingerprint(new X509Certificate(certificate.pem)),
  name: certificate.subject,
  certificate,
  intermediates: [],
  active: issued !== undefined && signs(certificate, issued)
})

const signs = ({ pem }: Certificate.Certificate, certificate: X509Certificate): boolean => {
  const root = new X509Certificate(pem)
  return certificate.checkIssued(root) && certificate.verify(root.publicKey)
}

/** As Consul names roots: SHA-1, in hexadecimal pairs. */
const fingerprint = ({ raw }: X509Certificate): string =>
  createHash("sha1").update(raw).digest("hex").replaceAll(/..(?!$)/g, "$&:")

const pemBlocks = (pem: string): ReadonlyArray<string> =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
