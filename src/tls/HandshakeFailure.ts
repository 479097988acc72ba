/** What Node and OpenSSL say about a handshake that failed, as a refusal. */
import * as OrderlyEnd from "./OrderlyEnd.ts"
import type * as Refusal from "./Refusal.ts"

/** `millis` is the time that the handshake was given. */
export const toRefusal = (error: Error, millis: number): Refusal.Refusal => {
  const code = "code" in error ? String(error.code) : error.message
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return { _tag: "HandshakeTimedOut", millis }
  if (notTls.has(code)) return { _tag: "NotTls" }
  if (disconnected.has(code)) return { _tag: "Disconnected" }
  const alert = /^ERR_SSL_(?:TLSV1|TLSV13|SSLV3)_ALERT_(.+)$/.exec(code)?.[1]
  if (alert !== undefined) return { _tag: "RefusedByPeer", alert: alert.toLowerCase().replaceAll("_", " ") }
  return { _tag: "ProtocolError", code }
}

/** The first bytes were no TLS record, or named a version that never was. */
const notTls = new Set([
  "ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_HTTPS_PROXY_REQUEST",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_RECORD_LAYER_FAILURE",
  "ERR_SSL_UNKNOWN_PROTOCOL"
])

const disconnected = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT", OrderlyEnd.truncatedCode])
