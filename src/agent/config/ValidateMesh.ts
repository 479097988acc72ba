/** `mesh`. */
import { Result } from "effect"
import type { Mesh } from "../../consul/config/Mesh.ts"
import * as ValidateTls from "./ValidateTls.ts"

export const validate = (entry: Mesh): Result.Result<Mesh, string> => {
  const problem = tlsProblem("incoming", entry.TLS?.Incoming) ?? tlsProblem("outgoing", entry.TLS?.Outgoing) ??
    normalizationProblem(entry)
  return problem === undefined ? Result.succeed(entry) : Result.fail(problem)
}

type Tls = NonNullable<NonNullable<Mesh["TLS"]>["Incoming"]>

const tlsProblem = (direction: string, tls: Tls | undefined): string | undefined => {
  const problem = tls === undefined
    ? undefined
    : ValidateTls.problem({ versions: [tls.TLSMinVersion, tls.TLSMaxVersion], cipherSuites: tls.CipherSuites })
  return problem === undefined ? undefined : `error in ${direction} TLS configuration: ${problem}`
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
