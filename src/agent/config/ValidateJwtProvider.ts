/** What a real agent checks about a `jwt-provider` (`agent/structs/config_entry_jwt_provider.go`), in its words and order. */
import { Duration, Result } from "effect"
import type { JwtProvider } from "../../consul/config/JwtProvider.ts"
import * as DecodeEntry from "./DecodeEntry.ts"

export const validate = (entry: JwtProvider): Result.Result<JwtProvider, string> => {
  const problem = keys(entry.JSONWebKeySet) ?? locations(entry.Locations) ?? forwarding(entry.Forwarding)
  if (entry.Name === "") return Result.fail("Name is required")
  return problem !== undefined
    ? Result.fail(problem)
    : Result.succeed({ ...entry, ClockSkewSeconds: entry.ClockSkewSeconds === 0 ? 30 : entry.ClockSkewSeconds })
}

type KeySet = NonNullable<JwtProvider["JSONWebKeySet"]>
type Remote = NonNullable<KeySet["Remote"]>

const keys = (set: JwtProvider["JSONWebKeySet"]): string | undefined => {
  if (set === undefined) return "JSONWebKeySet is required"
  const { Local, Remote } = set
  if ((Local === undefined) === (Remote === undefined)) {
    return "must specify exactly one of Local or Remote JSON Web key set"
  }
  if (Remote !== undefined) return remote(Remote)
  const { Filename = "", JWKS = "" } = Local ?? {}
  if ((JWKS === "") === (Filename === "")) return "must specify exactly one of String or filename for local keyset"
  return base64.test(JWKS.replace(/[\r\n]/g, "")) ? undefined : "JWKS must be valid base64 encoded string"
}

const base64 = /^(?:[a-z\d+/]{4})*(?:[a-z\d+/]{2}==|[a-z\d+/]{3}=)?$/i

/** Of all that Go takes for no URI, what happens: without a scheme. */
const remote = ({ JWKSCluster, RetryPolicy, URI }: Remote): string | undefined => {
  if (URI === "") return "Remote JWKS URI is required"
  if (!/^(?:\/|[a-z][a-z0-9+.-]*:)/i.test(URI)) {
    return `Remote JWKS URI is invalid: parse ${JSON.stringify(URI)}: invalid URI for request, uri: ${URI}`
  }
  const { BaseInterval = Duration.zero, MaxInterval = Duration.zero } = RetryPolicy?.RetryPolicyBackOff ?? {}
  if (Duration.toMillis(MaxInterval) !== 0 && Duration.isLessThan(MaxInterval, BaseInterval)) {
    return "retry policy backoff's MaxInterval should be greater or equal to BaseInterval"
  }
  return JWKSCluster === undefined ? undefined : cluster(JWKSCluster)
}

const discoveryTypes = ["", "STRICT_DNS", "STATIC", "LOGICAL_DNS", "EDS", "ORIGINAL_DST"]

const cluster = ({ DiscoveryType, TLSCertificates }: NonNullable<Remote["JWKSCluster"]>): string | undefined => {
  if (!discoveryTypes.includes(DiscoveryType)) {
    return `unsupported jwks cluster discovery type: ${JSON.stringify(DiscoveryType)}`
  }
  if (TLSCertificates === undefined) return undefined
  const { CaCertificateProviderInstance, TrustedCA } = TLSCertificates
  if ((CaCertificateProviderInstance === undefined) === (TrustedCA === undefined)) {
    return "must specify exactly one of: CaCertificateProviderInstance or TrustedCA for JKWS' TLSCertificates"
  }
  return TrustedCA === undefined || Object.values(TrustedCA).filter((value) => value !== "").length === 1
    ? undefined
    : "must specify exactly one of: Filename, EnvironmentVariable, InlineString or InlineBytes for JWKS' TrustedCA"
}

const locations = (list: JwtProvider["Locations"]): string | undefined => {
  const problems = list.flatMap(({ Cookie, Header, QueryParam }) => {
    if ([Header, QueryParam, Cookie].filter((one) => one !== undefined).length !== 1) {
      return ["must set exactly one of: JWT location header, query param or cookie"]
    }
    return [
      ...(Header?.Name === "" ? ["JWT location header name must be specified"] : []),
      ...(QueryParam?.Name === "" ? ["JWT location query param name must be specified"] : []),
      ...(Cookie?.Name === "" ? ["JWT location cookie name must be specified"] : [])
    ]
  })
  return problems.length === 0 ? undefined : DecodeEntry.errors(problems)
}

const forwarding = (to: JwtProvider["Forwarding"]): string | undefined =>
  to?.HeaderName === "" ? "Header name required for forwarding config" : undefined
