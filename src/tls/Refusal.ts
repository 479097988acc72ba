/**
 * Why a peer was turned away, on either side of a connection. Every refusal is a value, counted under its reason and
 * logged with it, so that the log, the metric and the test all say the same.
 */
import { type Context, Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Decision from "../intention/Decision.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"

export type Refusal =
  /** The peer speaks no TLS: mostly a client that does not know of the mesh. */
  | {
    readonly _tag: "NotTls"
    /** It came to a port for those who know nothing of the mesh. */
    readonly outside?: boolean
  }
  | { readonly _tag: "HandshakeTimedOut"; readonly millis: number }
  /** The peer went away before the handshake was over: also what a health check by TCP looks like. */
  | { readonly _tag: "Disconnected" }
  /** The peer did not accept us. `alert` is what it said. */
  | { readonly _tag: "RefusedByPeer"; readonly alert: string }
  /** Any other failure of the handshake; `code` is OpenSSL's. */
  | { readonly _tag: "ProtocolError"; readonly code: string }
  | { readonly _tag: "NoCertificate" }
  /** Some certificate of the path is past its validity. */
  | { readonly _tag: "Expired" }
  | { readonly _tag: "NotYetValid" }
  /** The path ends at none of the current roots. */
  | { readonly _tag: "UnknownAuthority" }
  /** Key usage or extended key usage of some certificate of the path forbid it. */
  | { readonly _tag: "WrongPurpose" }
  /** Another fault of the path; `code` is OpenSSL's. */
  | { readonly _tag: "InvalidPath"; readonly code: string }
  /** Never happens, as no tickets are issued; refused should it happen all the same. */
  | { readonly _tag: "Resumed" }
  | { readonly _tag: "NoIdentity" }
  | { readonly _tag: "SeveralIdentities"; readonly count: number }
  /** The certificate belongs to an authority, or may sign: it identifies no caller. */
  | { readonly _tag: "AuthorityAsLeaf" }
  /** By SPIFFE's rules no authority between the certificate and a root may speak for its trust domain. */
  | { readonly _tag: "ForeignAuthority"; readonly why: string }
  | { readonly _tag: "InvalidIdentity"; readonly uri: string; readonly why: string }
  /** A valid identity of another form: an agent, a gateway, a server. */
  | { readonly _tag: "NotAService"; readonly identity: SpiffeId.SpiffeId }
  | { readonly _tag: "UnexpectedIdentity"; readonly expected: string; readonly presented: string }
  | { readonly _tag: "Denied"; readonly caller: SpiffeId.Service; readonly decision: Decision.Decision }
  /** Only where the agent is asked, which does not look at it: intentions say so themselves. */
  | { readonly _tag: "ForeignTrustDomain"; readonly presented: string; readonly expected: string }
  /** The agent was to be asked, and could not. */
  | { readonly _tag: "AuthorizationUnavailable"; readonly caller: string; readonly why: string }
  | { readonly _tag: "TooManyConnections"; readonly limit: number }
  /** Of those whose handshake is under way. */
  | { readonly _tag: "TooManyHandshakes"; readonly limit: number }
  | { readonly _tag: "TooFast"; readonly perSecond: number }

/** The attribute `reason` of `mesh_refusals_total`. Stable: dashboards are built on it. */
export type Reason = (typeof reasons)[Refusal["_tag"]]

/** By tag. */
export const reasons = {
  NotTls: "not_tls",
  HandshakeTimedOut: "handshake_timeout",
  Disconnected: "disconnected",
  RefusedByPeer: "refused_by_peer",
  ProtocolError: "protocol_error",
  NoCertificate: "no_certificate",
  Expired: "certificate_expired",
  NotYetValid: "certificate_not_yet_valid",
  UnknownAuthority: "unknown_authority",
  WrongPurpose: "wrong_purpose",
  InvalidPath: "invalid_path",
  Resumed: "resumed",
  NoIdentity: "no_identity",
  SeveralIdentities: "several_identities",
  AuthorityAsLeaf: "authority_as_leaf",
  ForeignAuthority: "foreign_authority",
  InvalidIdentity: "invalid_identity",
  NotAService: "not_a_service",
  UnexpectedIdentity: "unexpected_identity",
  Denied: "denied",
  ForeignTrustDomain: "foreign_trust_domain",
  AuthorizationUnavailable: "authorization_unavailable",
  TooManyConnections: "too_many_connections",
  TooManyHandshakes: "too_many_handshakes",
  TooFast: "connection_rate"
} as const

export const reason = (self: Refusal): Reason => reasons[self._tag]

/** One clause for a log or an error: what is wrong with the peer, and what to do where that is not plain. */
export const explain = (self: Refusal): string => {
  switch (self._tag) {
    case "NotTls":
      return self.outside === true
        ? "it does not speak TLS, and this port takes nothing else"
        : "it does not speak TLS: callers need a sidecar or a native integration"
    case "HandshakeTimedOut":
      return `the TLS handshake was not over within ${self.millis} ms`
    case "Disconnected":
      return "it went away during the TLS handshake"
    case "RefusedByPeer":
      return `it did not accept our certificate: ${self.alert}`
    case "ProtocolError":
      return `the TLS handshake failed: ${self.code}`
    case "NoCertificate":
      return "it presented no certificate"
    case "Expired":
      return "its certificate, or one that leads to a root, has expired"
    case "NotYetValid":
      return "its certificate, or one that leads to a root, is not valid yet: compare the clocks"
    case "UnknownAuthority":
      return "its certificate was issued by none of the current CA roots, or an intermediate was not sent"
    case "WrongPurpose":
      return "its certificate may not be used for this side of a connection"
    case "InvalidPath":
      return `its certificate is not acceptable: ${self.code}`
    case "Resumed":
      return "it resumed a TLS session, which this mesh never offers"
    case "NoIdentity":
      return "its certificate has no URI, hence no identity"
    case "SeveralIdentities":
      return `its certificate has ${self.count} URIs, and one is all that SPIFFE allows`
    case "AuthorityAsLeaf":
      return "its certificate is one that signs others, and stands for nobody"
    case "ForeignAuthority":
      return `${self.why}. Where the authorities of this mesh can not follow SPIFFE, set spiffe to "leaf"`
    case "InvalidIdentity":
      return `${JSON.stringify(self.uri)} is no identity of a mesh: ${self.why}`
    case "NotAService":
      return `${SpiffeId.format(self.identity)} is no service`
    case "UnexpectedIdentity":
      return `it is ${self.presented}, and ${self.expected} was expected`
    case "Denied":
      return `${SpiffeId.display(self.caller)} ${Decision.explain(self.decision)}`
    case "ForeignTrustDomain":
      return `${self.presented} is of another trust domain than ${self.expected}`
    case "AuthorizationUnavailable":
      return `the agent can not be asked about ${self.caller}, and nobody is let in until it can: ${self.why}`
    case "TooManyConnections":
      return `the limit of ${self.limit} connections is reached`
    case "TooManyHandshakes":
      return `the limit of ${self.limit} handshakes at a time is reached`
    case "TooFast":
      return `the limit of ${self.perSecond} new connections a second is reached`
  }
}

/** From the peer's point of view: `inbound` connected to us, `outbound` was dialled. */
export type Direction = MetricCatalogue.Direction

/** Counts one refusal. Synchronous, for socket callbacks. */
export const count = (self: Refusal, direction: Direction, context: Context.Context<never>): void => {
  Meter.count(MetricCatalogue.refusals, { direction, reason: reason(self) }, context).value++
}

/** Who the peer is, where it has shown that before it was refused. */
const proven = (self: Refusal): { readonly peer?: string } => {
  switch (self._tag) {
    case "Denied":
      return { peer: SpiffeId.format(self.caller) }
    case "NotAService":
      return { peer: SpiffeId.format(self.identity) }
    case "UnexpectedIdentity":
      return { peer: self.presented }
    default:
      return {}
  }
}

/**
 * One line, for `leftOut` more that had none. A peer that merely went away is not worth a warning: health checks do so every
 * few seconds.
 */
export const log = (self: Refusal, direction: Direction, remote: string, leftOut = 0): Effect.Effect<void> => {
  const line = `${direction === "inbound" ? "refused" : "gave up on"} ${remote}: ${explain(self)}${
    LineLimit.suffix(leftOut)
  }`
  const logged = self._tag === "Disconnected" ? Effect.logDebug(line) : Effect.logWarning(line)
  return Effect.annotateLogs(logged, { reason: reason(self), direction, remote, ...proven(self) })
}
