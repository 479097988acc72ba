/** Versions and cipher suites of TLS, by the names that config entries have for them (`validateTLSConfig`). */

const known = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"]

/** Those of TLS 1.2 and before that Envoy has. */
const cipherSuites = new Set([
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
  "TLS_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_RSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
  "TLS_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_RSA_WITH_AES_256_CBC_SHA"
])

export interface Settings {
  /** The least and the greatest; empty: not said. */
  readonly versions: ReadonlyArray<string>
  readonly cipherSuites: ReadonlyArray<string>
}

/** What is wrong with them, if anything is. */
export const problem = (settings: Settings): string | undefined => {
  const version = settings.versions.find((name) => name !== "" && !known.includes(name))
  if (version !== undefined) {
    return `no matching TLS version found for ${version}, please specify one of [${known.join(", ")}]`
  }
  const suite = settings.cipherSuites.find((name) => !cipherSuites.has(name))
  return suite === undefined ? undefined : `no matching Envoy TLS cipher suite found for ${suite}`
}
