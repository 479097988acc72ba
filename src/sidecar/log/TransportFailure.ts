/** Why there is no connection, as access logs have it: `UPSTREAM_TRANSPORT_FAILURE_REASON` of Envoy, which has no blanks. */
import type * as DialError from "../../outbound/DialError.ts"

/** `code` is Node's. Undefined: it is none. */
export const ofCode = (code: string): string | undefined =>
  /^[A-Z\d_]+$/.test(code) ? `delayed_connect_error:_${(words[code] ?? code).replaceAll(" ", "_")}` : undefined

/** Undefined: none that is one of transports. */
export const ofReason = (reason: DialError.Reason): string | undefined => {
  switch (reason._tag) {
    case "ConnectFailed":
      return ofCode(reason.code)
    case "HandshakeFailed":
      return `TLS_error:_${reason.reason}`
    case "UnexpectedIdentity":
      return "TLS_error:_unexpected_identity"
    default:
      return undefined
  }
}

/** Of the C library, on Linux. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  ETIMEDOUT: "Connection timed out"
}
