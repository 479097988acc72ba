/**
 * What is checked about `api-gateway`, `http-route`, `tcp-route` and `inline-certificate` entries, and how they are normalised
 * (`agent/structs/config_entry_gateways.go`, `config_entry_routes.go`, `config_entry_inline_certificate.go`).
 */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { Result } from "effect"
import type * as ApiGateway from "../../consul/config/ApiGateway.ts"

export const gateway = (entry: ApiGateway.ApiGateway): Result.Result<ApiGateway.ApiGateway, string> => {
  const Listeners = entry.Listeners.map((each) => ({ ...each, Protocol: each.Protocol.toLowerCase() }))
  const names = new Set<string>()
  const problem = Listeners.map((listener) => {
    if (names.has(listener.Name)) return `multiple listeners with the name ${JSON.stringify(listener.Name)}`
    names.add(listener.Name)
    return listenerProblem(listener) ?? portProblem(Listeners, listener)
  }).find((each) => each !== undefined)
  return settled(entry.Name, problem, { ...entry, Listeners })
}

const listenerProblem = ({ Hostname, Name, Port, Protocol, TLS }: ApiGateway.Listener): string | undefined => {
  const of = `listener ${JSON.stringify(Name)}: `
  if (Name === "" || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(Name)) {
    return `${of}listener name can only have lowercase alphanumeric characters and dashes, and must not be empty`
  }
  if (Protocol !== "http" && Protocol !== "tcp") {
    return `${of}unsupported listener protocol ${JSON.stringify(Protocol)}, must be one of 'tcp', or 'http'`
  }
  if (Protocol === "tcp" && Hostname !== "") return `${of}hostname specification is not supported when using TCP`
  if (!Number.isInteger(Port) || Port <= 0 || Port > 65_535) {
    return `${of}listener port ${Port} not in the range 1-65535`
  }
  if (Hostname !== "" && !isHostname(Hostname)) {
    return `${of}host ${JSON.stringify(Hostname)} must be a valid DNS hostname`
  }
  for (const certificate of TLS.Certificates) {
    if (certificate.Kind !== "inline-certificate" && certificate.Kind !== "file-system-certificate") {
      return `${of}unsupported certificate kind: ${
        JSON.stringify(certificate.Kind)
      }, must be 'inline-certificate' or 'file-system-certificate'`
    }
    if (certificate.Name === "") return `${of}certificate reference must have a name`
  }
  return undefined
}

/** Of one port there is one protocol, and each host once. */
const portProblem = (
  all: ReadonlyArray<ApiGateway.Listener>,
  { Hostname, Name, Port, Protocol }: ApiGateway.Listener
) => {
  const other = all.find((each) =>
    each.Name !== Name && each.Port === Port && (each.Protocol !== Protocol || each.Hostname === Hostname)
  )
  return other === undefined
    ? undefined
    : `listeners ${JSON.stringify(other.Name)} and ${
      JSON.stringify(Name)
    } cannot be merged: they share the port ${Port}`
}

/** With a wildcard for the first label, if any. */
const isHostname = (text: string): boolean =>
  text === "*" || /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(text)

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
  const problem = parentProblem(entry.Parents) ??
    entry.Hostnames.map((host) =>
      isHostname(host) && host !== "*" ? undefined : `host ${JSON.stringify(host)} must be a valid DNS hostname`
    ).find((each) => each !== undefined) ??
    Rules.map((rule, index) => ruleProblem(rule, index)).find((each) => each !== undefined)
  return settled(entry.Name, problem, { ...entry, Parents: parents(entry.Parents), Rules })
}

const everything: ApiGateway.HttpMatch = { Headers: [], Method: "", Path: { Match: "prefix", Value: "/" }, Query: [] }

const ruleProblem = ({ Filters, Matches, Services }: ApiGateway.HttpRule, index: number): string | undefined => {
  if (Services.length === 0) return `Rule[${index}], must have at least one service`
  if (Services.some(({ Name }) => Name === "")) return `Rule[${index}], service name cannot be empty`
  if (Filters.URLRewrite !== undefined && !Filters.URLRewrite.Path.startsWith("/")) {
    return `Rule[${index}], URLRewrite path must begin with '/'`
  }
  for (const [at, { Headers, Method, Path, Query }] of Matches.entries()) {
    const of = `Rule[${index}], Match[${at}]`
    if (Method !== "" && !methods.includes(Method)) return `${of}, unsupported HTTP method ${JSON.stringify(Method)}`
    if (!pathMatches.includes(Path.Match)) return `${of}, unsupported path match type ${JSON.stringify(Path.Match)}`
    if (Path.Match !== "regex" && !Path.Value.startsWith("/")) return `${of}, path must begin with '/'`
    for (const { Match, Name } of Headers) {
      if (!headerMatches.includes(Match) || Name === "") {
        return `${of}, unsupported header match ${JSON.stringify(Match)}`
      }
    }
    for (const { Match, Name } of Query) {
      if (!queryMatches.includes(Match) || Name === "") return `${of}, unsupported query match ${JSON.stringify(Match)}`
    }
  }
  return undefined
}

export const tcpRoute = (entry: ApiGateway.TcpRoute): Result.Result<ApiGateway.TcpRoute, string> =>
  settled(
    entry.Name,
    entry.Services.length > 1
      ? "tcp-route currently only supports one service"
      : parentProblem(entry.Parents) ??
        (entry.Services.some(({ Name }) => Name === "") ? "service name cannot be empty" : undefined),
    { ...entry, Parents: parents(entry.Parents) }
  )

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

/** A parent is a gateway unless it says otherwise. */
const parents = (all: ReadonlyArray<ApiGateway.Reference>): ReadonlyArray<ApiGateway.Reference> =>
  all.map((parent) => ({ ...parent, Kind: parent.Kind || "api-gateway" }))

const parentProblem = (all: ReadonlyArray<ApiGateway.Reference>): string | undefined => {
  const seen = new Set<string>()
  for (const { Kind, Name, SectionName } of all) {
    if (Kind !== "" && Kind !== "api-gateway") {
      return `unsupported parent kind: ${JSON.stringify(Kind)}, must be 'api-gateway'`
    }
    if (Name === "") return "parent name cannot be empty"
    const key = JSON.stringify([Name, SectionName])
    if (seen.has(key)) return `route parents must be unique: ${Name} ${SectionName}`
    seen.add(key)
  }
  return undefined
}

const settled = <A>(name: string, problem: string | undefined, entry: A): Result.Result<A, string> =>
  name === "" ? Result.fail("Name is required") : problem === undefined ? Result.succeed(entry) : Result.fail(problem)
