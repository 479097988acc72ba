/**
 * What a real agent checks before any endpoint sees a request: the path, the method, the token, the parameters that
 * mean the same everywhere. Pure: a request goes in, a refusal comes out, or the leave to go on.
 */
import { Option, SchemaAST } from "effect"
import { HttpApi, type HttpApiEndpoint } from "effect/http-api"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as GoDuration from "../../consul/GoDuration.ts"
import * as WebPages from "../../http/WebPages.ts"
import { DevelopmentApi } from "./DevelopmentApi.ts"

export interface Settings {
  readonly datacenter: string
  /** Those that can be asked besides. Absent: none. */
  readonly others?: (() => ReadonlyArray<string>) | undefined
  /** When there is one, requests without it are denied. */
  readonly requireToken: string | undefined
  /** Names under which it may be asked, besides IP addresses and localhost. */
  readonly allowedHosts: ReadonlyArray<string>
}

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: { readonly [name: string]: string | undefined }
}

export interface Refusal {
  readonly status: number
  readonly body: string
  readonly headers: { readonly [name: string]: string }
}

interface Endpoint {
  readonly method: string
  readonly path: RegExp
  /** How many segments are given, to prefer them to parameters. */
  readonly literals: number
  readonly parameters: ReadonlySet<string>
  /** Those of the parameters that may be given several times. */
  readonly lists: ReadonlySet<string>
  readonly group: string
  readonly name: string
}

const endpoints: ReadonlyArray<Endpoint> = (() => {
  const found: Array<Endpoint> = []
  const add = (endpoint: HttpApiEndpoint.Top, group: string) => {
    const segments = endpoint.path.split("/")
    found.push({
      method: endpoint.method,
      // A parameter may be empty: what is missing is then said by name.
      path: new RegExp(`^${segments.map((segment) => segment.startsWith(":") ? "[^/]*" : segment).join("/")}$`),
      literals: segments.filter((segment) => !segment.startsWith(":")).length,
      ...parametersOf(endpoint),
      group,
      name: `${group}.${endpoint.identifier}`
    })
  }
  for (const api of [ConsulApi, DevelopmentApi]) {
    HttpApi.reflect(api as typeof ConsulApi, {
      onGroup: () => {},
      onEndpoint: ({ endpoint, group }) => add(endpoint, group.identifier)
    })
  }
  return found.sort((a, b) => b.literals - a.literals)
})()

function parametersOf(endpoint: HttpApiEndpoint.Top): Pick<Endpoint, "parameters" | "lists"> {
  const ast = endpoint.query === undefined ? undefined : SchemaAST.toEncoded(endpoint.query.ast)
  const signatures = ast !== undefined && SchemaAST.isObjects(ast) ? ast.propertySignatures : []
  return {
    parameters: new Set(signatures.map(({ name }) => String(name))),
    lists: new Set(signatures.filter(({ type }) => SchemaAST.isArrays(type)).map(({ name }) => String(name)))
  }
}

/** The endpoints whose path this is, one for each method. */
const endpointsAt = (path: string): ReadonlyArray<Endpoint> => {
  const candidates = endpoints.filter((endpoint) => endpoint.path.test(path))
  return candidates.filter(({ literals }) => literals === candidates[0]?.literals)
}

const split = (url: string): readonly [path: string, query: string] => {
  const question = url.indexOf("?")
  return question === -1 ? [url, ""] : [url.slice(0, question), url.slice(question + 1)]
}

const refuse = (status: number, body: string, headers: Refusal["headers"] = {}): Refusal => ({ status, body, headers })

export const check = (request: Request, settings: Settings): Refusal | undefined => {
  const page = WebPages.refusal(request, {
    name: "the development agent",
    allowedHosts: settings.allowedHosts,
    toAllow: "start it with --allow-host"
  })
  if (page !== undefined) return refuse(page.status, page.body)
  const [path, search] = split(request.url)
  const query = new URLSearchParams(search)
  const undecodable = checkPath(path)
  if (undecodable !== undefined) return undecodable
  if (!path.startsWith("/v1/")) {
    return refuse(404, "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'")
  }
  const here = endpointsAt(path)
  if (here.length === 0) return notAnEndpoint
  const malformed = malformation(search)
  if (malformed !== undefined) return refuse(500, malformed)
  const methods = new Set(here.map(({ method }) => method))
  const allow = { allow: ["OPTIONS", ...methods].join(",") }
  if (request.method === "OPTIONS") return refuse(200, "", allow)
  const endpoint = here.find(({ method }) => method === request.method)
  if (endpoint === undefined) return refuse(405, `method ${request.method} not allowed`, allow)
  return checkToken(request, query, endpoint, settings) ?? checkQuery(query, endpoint, settings) ??
    (path.endsWith("/") ? missing(endpoint) : undefined)
}

export const notAnEndpoint: Refusal = refuse(404, "Invalid URL path: not a recognized HTTP API endpoint")

/**
 * Go's server refuses what is no escape, and Consul what can not be printed (Go's `unicode.IsPrint`), without a word.
 * Escapes that are not UTF-8 are refused here only: Go's texts may hold any byte.
 */
const checkPath = (path: string): Refusal | undefined => {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return refuse(400, "400 Bad Request")
  }
  return /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(decoded) ? refuse(400, "") : undefined
}

/** What Go's `url.ParseQuery` has against a query. Consul answers 500 then, and keeps the reason to itself. */
const malformation = (search: string): string | undefined => {
  const escape = /%(?![0-9a-f]{2}).{0,2}/i.exec(search)?.[0]
  return escape !== undefined
    ? `invalid URL escape ${JSON.stringify(escape)}`
    : search.includes(";")
    ? "invalid semicolon separator in query"
    : undefined
}

/** A path that ends where a name should be. */
const missing = ({ group, name }: Endpoint): Refusal => {
  switch (name) {
    case "agent.service":
      return refuse(404, "unknown service ID: ")
    case "agent.deregisterService":
    case "agent.serviceMaintenance":
      return refuse(404, `Unknown service ID "". Ensure that the service ID is passed, not the service name.`)
    case "agent.caLeaf":
      return refuse(500, "URI must be either service, agent, server, or kind")
    case "agent.serviceHealthById":
      return refuse(500, "Missing serviceID")
    case "agent.serviceHealthByName":
      return refuse(500, "Missing service Name")
    case "catalog.node":
    case "catalog.nodeServices":
    case "health.node":
      return refuse(400, "Missing node name")
    case "health.state":
      return refuse(400, "Missing check state")
    case "query.read":
    case "query.update":
    case "query.delete":
      return refuse(500, "failed prepared query lookup: index error: UUID must be 36 characters")
    case "config.delete":
      return refuse(404, "Must provide both a kind and name to delete")
    case "config.list":
    case "config.read":
      return refuse(400, "Missing kind or name: this agent lists one kind at a time")
    default:
      return group === "discoveryChain"
        ? refuse(400, "Missing chain name")
        : group === "agent"
        ? refuse(404, `Unknown check ID "". Ensure that the check ID is passed, not the check name.`)
        : refuse(400, "Missing service name")
  }
}

/** Without ACL rules there is one token, which may do everything. Liveness needs none. */
const checkToken = (
  { headers }: Request,
  query: URLSearchParams,
  endpoint: Endpoint,
  { requireToken }: Settings
): Refusal | undefined => {
  if (requireToken === undefined || endpoint.group === "status") return undefined
  const bearer = /^bearer\s+(\S+)/i.exec(headers["authorization"] ?? "")?.[1]
  const token = query.get("token") ?? headers["x-consul-token"] ?? bearer ?? ""
  if (token === requireToken) return undefined
  return token === ""
    ? refuse(
      403,
      "Permission denied: anonymous token lacks permission 'operator:write'. The anonymous token is used implicitly " +
        "when a request does not specify a token."
    )
    : refuse(403, "ACL not found")
}

const checkQuery = (query: URLSearchParams, endpoint: Endpoint, settings: Settings): Refusal | undefined => {
  const takes = (name: string) => endpoint.parameters.has(name)
  const enterprise = query.get("ns") !== null
    ? ["ns", "Namespaces"]
    : query.get("partition") !== null
    ? ["partition", "Partitions"]
    : undefined
  if (enterprise !== undefined && takes("ns") && query.get(enterprise[0] ?? "") !== "") {
    return refuse(400, `Invalid query parameter: "${enterprise[0]}" - ${enterprise[1]} are a Consul Enterprise feature`)
  }
  if (takes("stale") && query.has("consistent")) {
    for (const other of ["stale", "cached"]) {
      if (query.has(other)) {
        return refuse(400, `Cannot specify ?${other} with ?consistent, conflicting semantics.`)
      }
    }
  }
  const age = query.get("max_stale")
  if (takes("stale") && age !== null && age !== "" && Option.isNone(GoDuration.parse(age))) {
    return refuse(400, `Invalid max_stale value ${JSON.stringify(age)}`)
  }
  const wait = query.get("wait")
  if (takes("wait") && wait !== null && wait !== "" && Option.isNone(GoDuration.parse(wait))) {
    return refuse(400, "Invalid wait time")
  }
  const connect = query.get("connect")
  if (takes("connect") && connect !== null && !isBoolean(connect)) {
    return refuse(
      500,
      `Error parsing 'connect' value: strconv.ParseBool: parsing ${JSON.stringify(connect)}: invalid syntax`
    )
  }
  const index = query.get("index")
  if (takes("index") && index !== null && index !== "" && !isUint64(index)) return refuse(400, "Invalid index")
  const passing = query.get("passing")
  if (takes("passing") && passing !== null && !isBoolean(passing)) return refuse(400, "Invalid value for ?passing")
  if (takes("enable")) {
    const enable = query.get("enable")
    if (enable === null || enable === "") return refuse(400, "Missing value for enable")
    if (!isBoolean(enable)) return refuse(400, `Invalid value for enable: ${JSON.stringify(enable)}`)
  }
  const cas = query.get("cas")
  if (takes("cas") && cas !== null && !isUint64(cas)) {
    return refuse(500, `strconv.ParseUint: parsing ${JSON.stringify(cas)}: invalid syntax`)
  }
  for (const name of ["by", "source", "destination"]) {
    if (takes(name) && query.getAll(name).length > 1) return refuse(500, `required query parameter '${name}' not set`)
  }
  const datacenter = asked(endpoint, query) ?? settings.datacenter
  return datacenter === settings.datacenter || settings.others?.().includes(datacenter) === true
    ? undefined
    : noPath
}

export const noPath: Refusal = refuse(500, "No path to datacenter")

/** Written in the primary datacenter, whatever the request says, and copied from there to all. */
const writtenInPrimary: ReadonlySet<string> = new Set([
  "config.write",
  "config.delete",
  "connect.createIntention",
  "connect.setIntention",
  "connect.deleteIntention"
])

/** The datacenter that a request names. What is about the agent itself, or about all datacenters, is never somewhere else. */
const asked = (endpoint: Endpoint, query: URLSearchParams): string | undefined =>
  endpoint.group === "agent" || !endpoint.parameters.has("dc") || writtenInPrimary.has(endpoint.name)
    ? undefined
    : query.get("dc") || undefined

/** Which datacenter answers a request that `check` lets go on. Undefined: the agent's own. */
export const datacenterOf = (
  { method, url }: Pick<Request, "method" | "url">,
  primary: string
): string | undefined => {
  const [path, search] = split(url)
  const endpoint = endpointsAt(path).find((endpoint) => endpoint.method === method)
  if (endpoint === undefined) return undefined
  return writtenInPrimary.has(endpoint.name) ? primary : asked(endpoint, new URLSearchParams(search))
}

/**
 * The URL as the schemas of the API read it: of what is given twice the first counts, as everywhere in Consul, what is empty
 * is not there, and booleans are spelled one way. A semicolon in the path is part of a name, not the start of a query.
 */
export const normalizeUrl = ({ method, url }: Pick<Request, "method" | "url">): string => {
  const [path, search] = split(url)
  const lists = endpointsAt(path).find((endpoint) => endpoint.method === method)?.lists
  const query = new URLSearchParams(search)
  for (const name of new Set(query.keys())) {
    if (lists?.has(name) !== true) query.set(name, query.get(name) ?? "")
  }
  for (const name of ["index", "wait", "cas"]) if (query.get(name) === "") query.delete(name)
  const enable = query.get("enable")
  if (enable !== null) query.set("enable", /^[1tT]/.test(enable) ? "true" : "false")
  return path.replaceAll(";", "%3B") + (query.size === 0 ? "" : `?${query}`)
}

const isUint64 = (text: string): boolean => /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n
const isBoolean = (text: string): boolean => /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)?$/.test(text)
