/** `mesh`. */
import { Result } from "effect"
import type { Mesh } from "../../consul/config/Mesh.ts"

export const validate = (entry: Mesh): Result.Result<Mesh, string> => {
  const problem = tlsProblem("incoming", entry.TLS?.Incoming) ?? tlsProblem("outgoing", entry.TLS?.Outgoing) ??
    normalizationProblem(entry)
  return problem === undefined ? Result.succeed(entry) : Result.fail(problem)
}

const versions = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"]

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

type Tls = NonNullable<NonNullable<Mesh["TLS"]>["Incoming"]>

const tlsProblem = (direction: string, tls: Tls | undefined): string | undefined => {
  const version = [tls?.TLSMinVersion ?? "", tls?.TLSMaxVersion ?? ""].find((name) =>
    name !== "" && !versions.includes(name)
  )
  if (version !== undefined) {
    return `error in ${direction} TLS configuration: no matching TLS version found for ${version}, please specify one ` +
      `of [${versions.join(", ")}]`
  }
  const suite = tls?.CipherSuites.find((name) => !cipherSuites.has(name))
  return suite === undefined
    ? undefined
    : `error in ${direction} TLS configuration: no matching Envoy TLS cipher suite found for ${suite}`
}

const actions = {
  PathWithEscapedSlashesAction: [
    "IMPLEMENTATION_SPECIFIC_DEFAULT",
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD"
  ],
  HeadersWithUnderscoresAction: ["ALLOW", "REJECT_REQUEST", "DROP_HEADER"]
} as const

const normalizationProblem = ({ HTTP }: Mesh): string | undefined => {
  const normalization = HTTP?.Incoming?.RequestNormalization
  if (normalization === undefined) return undefined
  for (const field of ["PathWithEscapedSlashesAction", "HeadersWithUnderscoresAction"] as const) {
    const value = normalization[field]
    if (value !== "" && !actions[field].some((action) => action === value)) {
      return `error in HTTP incoming request normalization configuration: no matching ${field} value found for ` +
        `${value}, please specify one of [${actions[field].join(", ")}]`
    }
  }
  return undefined
}
