/** The answers of the proxy itself, in the words, flags and details of Envoy: people look for them. */
import type * as Exchange from "./Exchange.ts"
import * as OwnAnswer from "./OwnAnswer.ts"

export const timedOut = OwnAnswer.make(504, "upstream request timeout", "UT", "response_timeout")

/** Neither side was heard. */
export const idle = OwnAnswer.make(504, "stream timeout", "SI", "stream_idle_timeout")

/** The client did not finish its request. */
export const slowRequest = OwnAnswer.make(408, "stream timeout", "SI", "stream_idle_timeout")

export const noRoute = OwnAnswer.make(404, "", "NR", "route_not_found")

/** Nobody is connected to anything here. */
export const noTunnel: OwnAnswer.OwnAnswer = { ...noRoute, closes: true }

export const noHealthyInstance = OwnAnswer.make(503, "no healthy upstream", "UH", "no_healthy_upstream")

export const upgradeRefused = OwnAnswer.make(403, "", "-", "upgrade_failed")

export const underscore = OwnAnswer.make(400, "Bad Request", "-", "unexpected_underscore")

export const malformed = (details: string): OwnAnswer.OwnAnswer => OwnAnswer.make(400, "", "-", details)

export const denied = OwnAnswer.make(403, "RBAC: access denied", "-", "rbac_access_denied_matched_policy[none]")

/** Two slashes at the start would lead to another host (RFC 3986, 4.2), and so do backslashes with many a client. */
export const redirected = (path: string): OwnAnswer.OwnAnswer =>
  OwnAnswer.make(
    307,
    "",
    "-",
    "path_normalization_redirect",
    `location: ${/^\/[/\\]/.test(path) ? `/.${path}` : path}\r\n`
  )

/** An attempt has failed, and there is no other one. */
export const failed = (failure: Exchange.Failure): OwnAnswer.OwnAnswer => {
  switch (failure._tag) {
    case "NotConnected":
      return failure.timedOut
        ? reset(503, "connection timeout", "UF", "connection_timeout")
        : reset(503, "remote connection failure", "UF", "remote_connection_failure")
    case "Refused":
      return reset(503, "remote refused stream reset", "UR", "remote_refused_stream_reset")
    case "Overflow":
      return reset(503, "overflow", "UO", "overflow", "x-envoy-overloaded: true\r\n")
    case "Malformed":
      return reset(502, "protocol error", "UPE", "protocol_error")
    case "Reset":
      return failure.why === "connection"
        ? reset(503, "connection termination", "UC", "connection_termination")
        : reset(503, "remote reset", "UR", "remote_reset")
  }
}

const reset = (status: number, reason: string, flags: string, details: string, more = ""): OwnAnswer.OwnAnswer =>
  OwnAnswer.make(
    status,
    `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`,
    flags,
    `upstream_reset_before_response_started{${details}}`,
    more
  )
