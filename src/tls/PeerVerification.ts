/**
 * Whether the other side of a TLS connection is who it should be. OpenSSL builds and checks the path during the handshake
 * (signatures, validity of every certificate of it, roots included, key usage, extended key usage for the peer's role);
 * what it found is judged here, once per connection, together with the identity in the leaf's URI and what SPIFFE asks of
 * the certificates of the path (`SpiffeRules`).
 *
 * Sockets are made with `rejectUnauthorized: false` so that a refusal has a reason and is counted, never so that anything
 * is let through: `acceptor` and `dialler` are the only ways to an admitted peer.
 */
import { X509Certificate } from "node:crypto"
import type { PeerCertificate, TLSSocket } from "node:tls"
import { Result } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as PresentedChain from "./PresentedChain.ts"
import type * as Refusal from "./Refusal.ts"
import type * as SecureContexts from "./SecureContexts.ts"

/** What the handshake established. */
export interface Presented {
  readonly certificate: Pick<X509Certificate, "fingerprint256" | "raw" | "serialNumber"> | undefined
  /** See `Identification`. */
  readonly authorities: () => ReadonlyArray<X509Certificate>
  /** OpenSSL's verdict on the path; undefined: valid. */
  readonly pathError: string | undefined
  readonly resumed: boolean
}

/** By what a peer is judged. */
export type Material = Pick<SecureContexts.Material, "identification" | "subordinateAnchors">

/** By what a caller is judged. */
export type CallerMaterial = Pick<SecureContexts.Material, "callers" | "subordinateAnchors">

/**
 * Reads a socket whose handshake has just ended. The certificate is parsed by the platform, once: `tls.connect` has done so
 * already for `checkServerIdentity`, which is where a dialler has `parsed` from. It is missing where the path is not valid.
 */
export const presented = (socket: TLSSocket, parsed?: PeerCertificate): Presented => {
  const certificate = parsed ?? PresentedChain.certificateOf(socket)
  return {
    certificate,
    authorities: () =>
      PresentedChain.following(
        certificate instanceof X509Certificate ? certificate : PresentedChain.certificateOf(socket)
      ),
    pathError: socket.authorized ? undefined : String(socket.authorizationError ?? "UNVERIFIED"),
    resumed: socket.isSessionReused()
  }
}

/** The same for `checkServerIdentity` alone, where TLS itself refuses what has no valid path and resumes nothing. */
export const presentedTo = (parsed: PeerCertificate): Presented => ({
  certificate: parsed,
  authorities: () => issuersOf(parsed),
  pathError: undefined,
  resumed: false
})

/** The acceptor's side: a valid path, and the identity of a service. Whether it may connect is left to be decided. */
export const acceptor = (
  peer: Presented,
  { callers, subordinateAnchors }: CallerMaterial
): Result.Result<SpiffeId.Service, Refusal.Refusal> =>
  identify(peer, { identification: callers, subordinateAnchors }, subordinateAnchors)

/** The dialler's side: a valid path, and exactly the identity, or one of those, that was meant, trust domain included. */
export const dialler = (
  peer: Presented,
  expected: SpiffeId.Service | ReadonlyArray<SpiffeId.Service>,
  material: Material
): Result.Result<SpiffeId.Service, Refusal.Refusal> =>
  Result.flatMap(identify(peer, material, false), (identity) => {
    const presented = SpiffeId.format(identity)
    const names = "service" in expected ? [SpiffeId.format(expected)] : expected.map(SpiffeId.format)
    return names.includes(presented)
      ? Result.succeed(identity)
      : Result.fail({ _tag: "UnexpectedIdentity", expected: names.join(" or "), presented })
  })

const identify = (
  { authorities, certificate, pathError, resumed }: Presented,
  { identification }: Material,
  subordinateAnchors: boolean
): Result.Result<SpiffeId.Service, Refusal.Refusal> => {
  if (certificate === undefined) return Result.fail({ _tag: "NoCertificate" })
  if (resumed) return Result.fail({ _tag: "Resumed" })
  if (pathError !== undefined && !(subordinateAnchors && pathError === endsAtSubordinate)) {
    return Result.fail(pathRefusal(pathError))
  }
  return identification.identify(certificate, authorities)
}

/** What Node puts together from what was sent, by names alone. It ends with one that issued itself, or with the last known. */
const issuersOf = (leaf: Linked): ReadonlyArray<X509Certificate> => {
  const issuers: Array<X509Certificate> = []
  let at = leaf
  while (at.issuerCertificate !== undefined && at.issuerCertificate !== at) {
    at = at.issuerCertificate
    issuers.push(new X509Certificate(at.raw))
  }
  return issuers
}

interface Linked {
  readonly raw: Buffer
  readonly issuerCertificate?: Linked
}

/**
 * X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT: the path reached one of our anchors, which is not self-signed. OpenSSL says so
 * only then (without an anchor in the path it is UNABLE_TO_GET_ISSUER_CERT_LOCALLY), and before it checks signatures,
 * validity and purposes, each of which would have replaced it.
 */
const endsAtSubordinate = "UNABLE_TO_GET_ISSUER_CERT"

const pathRefusal = (code: string): Refusal.Refusal => {
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return { _tag: "Expired" }
    case "CERT_NOT_YET_VALID":
      return { _tag: "NotYetValid" }
    case "INVALID_PURPOSE":
      return { _tag: "WrongPurpose" }
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "CERT_SIGNATURE_FAILURE":
      return { _tag: "UnknownAuthority" }
    default:
      return { _tag: "InvalidPath", code }
  }
}
