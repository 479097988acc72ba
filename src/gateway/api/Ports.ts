/** What an API gateway does at each of its ports, as its config entries say. Pure. */
import type * as ApiGateway from "../../consul/config/ApiGateway.ts"

/** The entries that belong to a gateway, and others of their kinds. */
export interface Entries {
  /** Undefined: nobody has written it, and nothing is open. */
  readonly gateway: ApiGateway.ApiGateway | undefined
  readonly httpRoutes: ReadonlyArray<ApiGateway.HttpRoute>
  readonly tcpRoutes: ReadonlyArray<ApiGateway.TcpRoute>
  readonly certificates: ReadonlyArray<ApiGateway.InlineCertificate>
}

export interface Port {
  readonly port: number
  readonly protocol: "http" | "tcp"
  readonly tls: Tls | undefined
  /** Of `http`: the best first. */
  readonly rules: ReadonlyArray<Rule>
  /** Of `tcp`: the service. Undefined: it has no route. */
  readonly service: string | undefined
}

export interface Tls {
  /** The first one is for names that no other is for. */
  readonly certificates: readonly [Pair, ...Array<Pair>]
  readonly minVersion: "TLSv1.2" | "TLSv1.3"
  readonly maxVersion: "TLSv1.2" | "TLSv1.3"
}

export interface Pair {
  /** Of its entry. */
  readonly name: string
  /** The first of those that show it. */
  readonly listener: string
  readonly cert: string
  readonly key: string
}

/** One match of one rule, for one host. */
export interface Rule {
  /** `*`: every one. */
  readonly host: string
  readonly match: ApiGateway.HttpMatch
  readonly rule: ApiGateway.HttpRule
}

export interface Planned {
  readonly ports: ReadonlyArray<Port>
  /** What can not be served, a phrase for each. It is closed rather than half open. */
  readonly problems: ReadonlyArray<string>
}

export const plan = ({ certificates, gateway, httpRoutes, tcpRoutes }: Entries): Planned => {
  const problems: Array<string> = []
  const known = new Map(certificates.map((entry) => [entry.Name, entry]))
  const ports = [...new Set(gateway?.Listeners.map(({ Port }) => Port))].flatMap((port): ReadonlyArray<Port> => {
    const listeners = gateway!.Listeners.filter(({ Port }) => Port === port)
    const tls = policyOf(listeners) ?? tlsOf(listeners, known)
    if (typeof tls === "string") {
      problems.push(`port ${port} stays closed: ${tls}`)
      return []
    }
    const [{ Protocol }] = listeners as [ApiGateway.Listener]
    const name = gateway!.Name
    return [
      Protocol === "tcp"
        ? { port, protocol: "tcp", tls, rules: [], service: tcpService(name, listeners[0]!, tcpRoutes) }
        : { port, protocol: "http", tls, rules: rulesOf(name, listeners, httpRoutes, problems), service: undefined }
    ]
  })
  return { ports, problems: [...new Set(problems)] }
}

/** Why what a listener requires of every request can not be held. Without it the port would let in whoever has no token. */
const policyOf = (listeners: ReadonlyArray<ApiGateway.Listener>): string | undefined => {
  const required = listeners.find(({ Default, Override }) =>
    [Default, Override].some((policy) => Object.keys(policy ?? {}).length > 0)
  )
  return required === undefined
    ? undefined
    : `its listener ${required.Name} has a policy of its own (Override, Default), such as tokens, which is not supported`
}

const tlsOf = (
  listeners: ReadonlyArray<ApiGateway.Listener>,
  known: ReadonlyMap<string, ApiGateway.InlineCertificate>
): Tls | undefined | string => {
  const references = listeners.flatMap(({ Name: listener, TLS }) =>
    TLS.Certificates.map((each) => ({ ...each, listener }))
  )
  if (references.length === 0) return undefined
  if (listeners.some(({ TLS }) => TLS.Certificates.length === 0)) return "not all of its listeners have certificates"
  const found = new Map<string, Pair>()
  for (const { Kind, Name, listener } of references) {
    const entry = known.get(Name)
    if (Kind !== "inline-certificate") return `certificates of the kind ${Kind} are not supported`
    if (entry === undefined) return `there is no inline-certificate ${Name}, or the token may not read it`
    if (!found.has(Name)) found.set(Name, { name: Name, listener, cert: entry.Certificate, key: entry.PrivateKey })
  }
  const versions = listeners.flatMap(({ TLS }) => [TLS.MinVersion, TLS.MaxVersion]).filter((version) => version !== "")
  const unknown = versions.find((version) =>
    !["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"].includes(version)
  )
  if (unknown !== undefined) return `${unknown} is no version of TLS`
  const only3 = listeners.some(({ TLS }) => TLS.MinVersion === "TLSv1_3")
  const only2 = listeners.some(({ TLS }) => /^TLSv1_[012]$/.test(TLS.MaxVersion))
  return {
    certificates: [...found.values()] as [Pair, ...Array<Pair>],
    minVersion: only3 ? "TLSv1.3" : "TLSv1.2",
    maxVersion: only2 ? "TLSv1.2" : "TLSv1.3"
  }
}

const belongs = (
  gateway: string,
  listener: ApiGateway.Listener,
  parents: ReadonlyArray<ApiGateway.Reference>
): boolean =>
  parents.some(({ Kind, Name, SectionName }) =>
    (Kind === "" || Kind === "api-gateway") && Name === gateway && (SectionName === "" || SectionName === listener.Name)
  )

const tcpService = (
  gateway: string,
  listener: ApiGateway.Listener,
  routes: ReadonlyArray<ApiGateway.TcpRoute>
): string | undefined => routes.find(({ Parents }) => belongs(gateway, listener, Parents))?.Services[0]?.Name

const rulesOf = (
  gateway: string,
  listeners: ReadonlyArray<ApiGateway.Listener>,
  routes: ReadonlyArray<ApiGateway.HttpRoute>,
  problems: Array<string>
): ReadonlyArray<Rule> => {
  const rules: Array<Rule> = []
  for (const listener of listeners) {
    for (const route of routes) {
      if (!belongs(gateway, listener, route.Parents)) continue
      if (
        route.Rules.some(({ Filters, Services }) =>
          [Filters, ...Services.map((each) => each.Filters)].some(({ JWT }) => JWT !== undefined)
        )
      ) {
        problems.push(`the http-route ${route.Name} is not served: it requires tokens, which is not supported`)
        continue
      }
      for (const host of hostsOf(listener.Hostname || "*", route.Hostnames)) {
        for (const rule of route.Rules) for (const match of rule.Matches) rules.push({ host, match, rule })
      }
    }
  }
  return rules.toSorted((a, b) => byHost(a.host, b.host) || byMatch(a.match, b.match))
}

/** Those of a route that a listener is for; a route without any is for those of the listener. */
export const hostsOf = (listener: string, hosts: ReadonlyArray<string>): ReadonlyArray<string> =>
  hosts.length === 0
    ? [listener.toLowerCase()]
    : hosts.map((host) => host.toLowerCase()).flatMap((host) =>
      covers(listener.toLowerCase(), host)
        ? [host]
        : covers(host, listener.toLowerCase())
        ? [listener.toLowerCase()]
        : []
    )

const covers = (pattern: string, host: string): boolean =>
  pattern === "*" || pattern === host ||
  (pattern.startsWith("*.") && host !== "*" && host.endsWith(pattern.slice(1)) && host.length >= pattern.length)

/** Names before patterns, and longer patterns before shorter ones. */
const byHost = (a: string, b: string): number =>
  rankOf(b) - rankOf(a) || b.length - a.length || (a < b ? -1 : a > b ? 1 : 0)

const rankOf = (host: string): number => host === "*" ? 0 : host.startsWith("*") ? 1 : 2

/** As the Gateway API orders them: exact paths, then longer prefixes, then methods, headers and parameters. */
const byMatch = (a: ApiGateway.HttpMatch, b: ApiGateway.HttpMatch): number =>
  pathRank(b) - pathRank(a) || b.Path.Value.length - a.Path.Value.length ||
  Number(b.Method !== "") - Number(a.Method !== "") || b.Headers.length - a.Headers.length ||
  b.Query.length - a.Query.length

const pathRank = ({ Path }: ApiGateway.HttpMatch): number =>
  Path.Match === "exact" ? 2 : Path.Match === "prefix" ? 1 : 0

/** Every service that is named. */
export const servicesOf = ({ rules, service }: Port): ReadonlyArray<string> =>
  [
    ...new Set([
      ...(service === undefined ? [] : [service]),
      ...rules.flatMap(({ rule }) => rule.Services.map(({ Name }) => Name))
    ])
  ].toSorted()
