/**
 * Whether the other side of a TLS connection is who it should be. OpenSSL builds and checks the path during the handshake
 * (signatures, validity of every certificate of it, roots included, key usage, extended key usage for the peer's role);
 * what it found is judged here, once per connection, together with the identity in the leaf's first URI.
 *
 * Sockets are made with `rejectUnauthorized: false` so that a refusal has a reason and is counted, never so that anything
 * is let through: `acceptor` and `dialler` are the only ways to an admitted peer.
 */
import type { X509Certificate } from "node:crypto"
import type { PeerCertificate, TLSSocket } from "node:tls"
import { Result } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as Refusal from "./Refusal.ts"

/** What the handshake established. */
export interface Presented {
  readonly certificate: Pick<X509Certificate, "subjectAltName"> | undefined
  /** OpenSSL's verdict on the path; undefined: valid. */
  readonly pathError: string | undefined
  readonly resumed: boolean
}

/**
 * Reads a socket whose handshake has just ended. The certificate is parsed by the platform, once: `tls.connect` has done so
 * already for `checkServerIdentity`, which is where a dialler has `parsed` from. It is missing where the path is not valid.
 */
export const presented = (socket: TLSSocket, parsed?: PeerCertificate): Presented => ({
  certificate: parsed === undefined ? socket.getPeerX509Certificate() : { subjectAltName: parsed.subjectaltname },
  pathError: socket.authorized ? undefined : String(socket.authorizationError ?? "UNVERIFIED"),
  resumed: socket.isSessionReused()
})

/** A caller that has been let in, and why. */
export interface Admitted {
  readonly caller: SpiffeId.Service
  readonly decision: Decision.Decision
}

/**
 * The acceptor's side: a valid path, the identity of a service, and leave to connect.
 * `subordinateAnchors`: see `SecureContexts.Material`.
 */
export const acceptor = (
  peer: Presented,
  authorizer: Authorizer.Authorizer,
  subordinateAnchors: boolean
): Result.Result<Admitted, Refusal.Refusal> =>
  Result.flatMap(identify(peer, subordinateAnchors), (caller) => {
    const decision = authorizer.connection(caller)
    return decision.allowed ? Result.succeed({ caller, decision }) : Result.fail({ _tag: "Denied", caller, decision })
  })

/** The dialler's side: a valid path, and exactly the identity that was meant, trust domain included. */
export const dialler = (
  peer: Presented,
  expected: SpiffeId.Service
): Result.Result<SpiffeId.Service, Refusal.Refusal> =>
  Result.flatMap(identify(peer, false), (identity) => {
    const names = { expected: SpiffeId.format(expected), presented: SpiffeId.format(identity) }
    return names.presented === names.expected
      ? Result.succeed(identity)
      : Result.fail({ _tag: "UnexpectedIdentity", ...names })
  })

/**
 * The first URI of a subject alternative name as Node prints it: `DNS:a, URI:spiffe://…`, where a name with a comma or
 * a quote in it is a JSON string, so that no name can pretend to be another. Undefined where none is readable.
 */
export const firstUri = (subjectAltName: string | undefined): string | undefined => {
  if (subjectAltName === undefined) return undefined
  const name = /([A-Za-z][A-Za-z0-9 ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
  while (name.lastIndex < subjectAltName.length) {
    const match = name.exec(subjectAltName)
    if (match === null) return undefined
    if (match[1] === "URI") return unquoted(match[2]!)
  }
  return undefined
}

const unquoted = (text: string): string | undefined => {
  if (!text.startsWith("\"")) return text
  try {
    return String(JSON.parse(text))
  } catch {
    return undefined
  }
}

const identify = (
  { certificate, pathError, resumed }: Presented,
  subordinateAnchors: boolean
): Result.Result<SpiffeId.Service, Refusal.Refusal> => {
  if (certificate === undefined) return Result.fail({ _tag: "NoCertificate" })
  if (resumed) return Result.fail({ _tag: "Resumed" })
  if (pathError !== undefined && !(subordinateAnchors && pathError === endsAtSubordinate)) {
    return Result.fail(pathRefusal(pathError))
  }
  const uri = firstUri(certificate.subjectAltName)
  if (uri === undefined) return Result.fail({ _tag: "NoIdentity" })
  const identity = parseId(uri)
  if (Result.isFailure(identity)) {
    const { uri, why } = identity.failure
    return Result.fail({ _tag: "InvalidIdentity", uri, why })
  }
  return identity.success._tag === "Service"
    ? Result.succeed(identity.success)
    : Result.fail({ _tag: "NotAService", identity: identity.success })
}

/** The same peers come again and again. Forgets them all when there are too many, so that strangers can not fill it. */
const parseId = (uri: string): ReturnType<typeof SpiffeId.parse> => {
  let parsed = ids.get(uri)
  if (parsed === undefined) {
    parsed = SpiffeId.parse(uri)
    if (ids.size >= 1024) ids.clear()
    ids.set(uri, parsed)
  }
  return parsed
}

const ids = new Map<string, ReturnType<typeof SpiffeId.parse>>()

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
