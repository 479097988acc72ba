/**
 * What is checked about `api-gateway`, `http-route`, `tcp-route` and `inline-certificate` entries, and how they are normalised
 * (`agent/structs/config_entry_gateways.go`, `config_entry_routes.go`, `config_entry_inline_certificate.go`).
 */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { Result } from "effect"
import type * as ApiGateway from "../../consul/config/ApiGateway.ts"
import * as ValidateTls from "./ValidateTls.ts"

export const gateway = (entry: ApiGateway.ApiGateway): Result.Result<ApiGateway.ApiGateway, string> => {
  const Listeners = entry.Listeners.map((each) => ({
    ...each,
    Protocol: each.Protocol.toLowerCase(),
    TLS: { ...each.TLS, Certificates: each.TLS.Certificates.map(withKind("inline-certificate")) }
  }))
  const problem = Listeners.length === 0
    ? "api gateway must have at least one listener"
    : first(Listeners, nameProblem) ?? first(Listeners, portProblem) ?? first(Listeners, listenerProblem)
  return settled(entry.Name, problem, { ...entry, Listeners })
}

type Each = (
  listener: ApiGateway.Listener,
  index: number,
  all: ReadonlyArray<ApiGateway.Listener>
) => string | undefined

const nameProblem: Each = ({ Name }, index, all) => {
  const name = JSON.stringify(Name)
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(Name)) {
    return `listener name ${name} is invalid, must be at least 1 character and contain only letters, numbers, or dashes`
  }
  return all.findIndex((each) => each.Name === Name) < index
    ? `found multiple listeners with the name ${name}`
    : undefined
}

/** Listeners of one port have the same protocol and host. */
const portProblem: Each = ({ Hostname, Name, Port, Protocol }, index, all) => {
  const other = all.slice(0, index).findLast((each) => each.Port === Port)
  return other === undefined || (other.Hostname === Hostname && other.Protocol === Protocol)
    ? undefined
    : `listeners ${JSON.stringify(other.Name)} and ${JSON.stringify(Name)} cannot be merged`
}

const listenerProblem: Each = ({ Hostname, Port, Protocol, TLS }) => {
  if (Protocol !== "http" && Protocol !== "tcp") {
    return `unsupported listener protocol ${JSON.stringify(Protocol)}, must be one of 'tcp', or 'http'`
  }
  if (Protocol === "tcp" && Hostname !== "") return "hostname specification is not supported when using TCP"
  if (!Number.isInteger(Port) || Port <= 0 || Port > 65_535) return `listener port ${Port} not in the range 1-65535`
  if (Hostname.replace(/^\*\./, "").includes("*")) {
    return `host ${JSON.stringify(Hostname)} is not valid, a wildcard specifier is only allowed as the left-most label`
  }
  for (const certificate of TLS.Certificates) {
    if (certificate.Kind !== "inline-certificate" && certificate.Kind !== "file-system-certificate") {
      return `unsupported certificate kind: ${JSON.stringify(certificate.Kind)}, must be 'inline-certificate'`
    }
    if (certificate.Name === "") return "certificate reference must have a name"
  }
  return ValidateTls.problem({ versions: [TLS.MinVersion, TLS.MaxVersion], cipherSuites: TLS.CipherSuites })
}

/** Labels of up to 63 characters, whatever these are. */
const isDomainName = (text: string): boolean =>
  text.length < 255 && text.replace(/\.$/, "").split(".").every(({ length }) => length > 0 && length < 64)

const first = <A>(
  all: ReadonlyArray<A>,
  problem: (each: A, index: number, all: ReadonlyArray<A>) => string | undefined
): string | undefined => {
  for (const [index, each] of all.entries()) {
    const found = problem(each, index, all)
    if (found !== undefined) return found
  }
  return undefined
}

const pathMatches = ["exact", "prefix", "regex"]
const headerMatches = ["exact", "prefix", "present", "regex", "suffix"]
const queryMatches = ["exact", "present", "regex"]
const methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]

/** Without a path, every path is meant; without a weight, 1. */
export const httpRoute = (entry: ApiGateway.HttpRoute): Result.Result<ApiGateway.HttpRoute, string> => {
  const Rules = entry.Rules.map((rule) => ({
    ...rule,
    Matches: (rule.Matches.length === 0 ? [everything] : rule.Matches).map((match) => ({
      ...match,
      Method: match.Method.toUpperCase(),
      Path: match.Path.Match === "" ? everything.Path : match.Path
    })),
    Services: rule.Services.map((service) => ({ ...service, Weight: service.Weight <= 0 ? 1 : service.Weight }))
  }))
  const Parents = entry.Parents.map(withKind("api-gateway"))
  const problem = first(entry.Hostnames, hostProblem) ?? first(Parents, parentProblem) ?? first(Rules, ruleProblem)
  return settled(entry.Name, problem, { ...entry, Parents, Rules })
}

const everything: ApiGateway.HttpMatch = { Headers: [], Method: "", Path: { Match: "prefix", Value: "/" }, Query: [] }

const hostProblem = (host: string): string | undefined =>
  !isDomainName(host)
    ? `host ${JSON.stringify(host)} must be a valid DNS hostname`
    : host.includes("*")
    ? `host ${JSON.stringify(host)} must not be a wildcard`
    : undefined

const ruleProblem = ({ Matches }: ApiGateway.HttpRule, index: number): string | undefined => {
  const problem = first(Matches, matchProblem)
  return problem === undefined ? undefined : `Rule[${index}], ${problem}`
}

const matchProblem = ({ Headers, Method, Path, Query }: ApiGateway.HttpMatch, index: number): string | undefined => {
  const of = `Match[${index}], `
  if (Method !== "" && !methods.includes(Method)) {
    return `${of}Method contains an invalid method ${JSON.stringify(Method)}`
  }
  const named = first(Query, namedProblem("Query", queryMatches, "present, exact, or regex")) ??
    first(Headers, namedProblem("Headers", headerMatches, "present, exact, prefix, suffix, or regex"))
  if (named !== undefined) return `${of}${named}`
  if (!pathMatches.includes(Path.Match)) return `${of}Path, match type should be one of exact, prefix, or regex`
  return Path.Match !== "regex" && !Path.Value.startsWith("/")
    ? `${of}Path, ${Path.Match} type match doesn't start with '/': ${JSON.stringify(Path.Value)}`
    : undefined
}

const namedProblem =
  (what: string, kinds: ReadonlyArray<string>, said: string) =>
  ({ Match, Name }: { readonly Match: string; readonly Name: string }, index: number): string | undefined =>
    Name === ""
      ? `${what}[${index}], missing required Name field`
      : kinds.includes(Match)
      ? undefined
      : `${what}[${index}], match type should be one of ${said}`

export const tcpRoute = (entry: ApiGateway.TcpRoute): Result.Result<ApiGateway.TcpRoute, string> => {
  const Parents = entry.Parents.map(withKind("api-gateway"))
  const problem = entry.Services.length > 1
    ? "tcp-route currently only supports one service"
    : first(Parents, parentProblem)
  return settled(entry.Name, problem, { ...entry, Parents })
}

export const certificate = (entry: ApiGateway.InlineCertificate): Result.Result<ApiGateway.InlineCertificate, string> =>
  settled(entry.Name, certificateProblem(entry), entry)

const certificateProblem = ({ Certificate, PrivateKey }: ApiGateway.InlineCertificate): string | undefined => {
  try {
    const key = createPrivateKey(PrivateKey)
    if ((key.asymmetricKeyDetails?.modulusLength ?? 2048) < 2048) return "key length must be at least 2048 bits"
    try {
      return new X509Certificate(Certificate).checkPrivateKey(key)
        ? undefined
        : "private key does not match certificate"
    } catch {
      return "failed to parse certificate PEM"
    }
  } catch {
    return "failed to parse private key PEM"
  }
}

const withKind = (kind: string) => (reference: ApiGateway.Reference): ApiGateway.Reference => ({
  ...reference,
  Kind: reference.Kind || kind
})

const parentProblem = (
  { Kind, Name, SectionName }: ApiGateway.Reference,
  index: number,
  all: ReadonlyArray<ApiGateway.Reference>
): string | undefined =>
  Kind !== "api-gateway"
    ? `unsupported parent kind: ${JSON.stringify(Kind)}, must be 'api-gateway'`
    : all.findIndex((each) => each.Name === Name && each.SectionName === SectionName) < index
    ? "route parents must be unique"
    : undefined

const settled = <A>(name: string, problem: string | undefined, entry: A): Result.Result<A, string> =>
  name === "" ? Result.fail("Name is required") : problem === undefined ? Result.succeed(entry) : Result.fail(problem)
