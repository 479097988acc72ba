/** Why a connection to an agent failed, in words, and what to do about it. */
import * as Settings from "./Settings.ts"

export interface Explanation {
  readonly why: string
  /** Absent: to look after the agent and its address. */
  readonly remedy?: string
}

/** Codes of Node and of OpenSSL for a chain that leads to no authority that is trusted. */
const unknownAuthority = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/** What an agent that wants a certificate answers those who show none, or one of another authority. */
const refusedCertificate = new Set([
  "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
  "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
  "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"
])

/** What OpenSSL calls an answer that is not TLS, by its version. */
const noTls = new Set(["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"])

export const explain = (cause: unknown, settings: Settings.Settings): Explanation => {
  const code = codeOf(cause)
  const nameOf = (setting: Settings.Named) => Settings.nameOf(settings, setting)
  if (code !== undefined && noTls.has(code)) {
    return {
      why: "the answer is not TLS",
      remedy: "It does not speak TLS there: write http://, or name its HTTPS port"
    }
  }
  if (code !== undefined && unknownAuthority.has(code)) {
    return {
      why: `its certificate is of an authority that is not trusted: ${code}`,
      remedy: `Name the file of that authority with ${nameOf("caFile")}`
    }
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return {
      why: reasonOf(cause),
      remedy: `Ask it by a name that its certificate has, or give that name with ${nameOf("tlsServerName")}`
    }
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return { why: `its certificate is not valid now: ${code}`, remedy: "Renew it, and check the clocks" }
  }
  if (code !== undefined && refusedCertificate.has(code)) {
    return {
      why: `it refused the handshake: ${code}`,
      remedy: `Show a certificate that it accepts, with ${nameOf("clientCertFile")} and ${nameOf("clientKeyFile")}`
    }
  }
  return { why: reasonOf(cause) }
}

/** The code of a Node or undici error, or of what caused it. */
export const codeOf = (cause: unknown): string | undefined =>
  typeof cause !== "object" || cause === null
    ? undefined
    : "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "cause" in cause
    ? codeOf(cause.cause)
    : undefined

export const reasonOf = (cause: unknown): string =>
  cause instanceof AggregateError && cause.errors.length > 0
    ? reasonOf(cause.errors[0])
    : cause instanceof Error
    ? cause.message || codeOf(cause) || cause.name
    : "the connection failed"
