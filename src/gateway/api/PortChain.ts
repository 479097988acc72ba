/**
 * The routes of a port of an API gateway as a discovery chain, so that requests go by them as they go by those of a service: a router
 * with a route for each match of each host, a splitter where a rule names several services, and below that the chains of these.
 */
import { Duration } from "effect"
import type * as ApiGateway from "../../consul/config/ApiGateway.ts"
import * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type { Schema } from "effect"
import type * as Ports from "./Ports.ts"

/** By service. */
export type Chains = ReadonlyMap<string, DiscoveryChain.Chain>

/** `name` is for logs and metrics. */
export const make = (name: string, { rules }: Ports.Port, chains: Chains): DiscoveryChain.Chain => {
  const nodes: Record<string, DiscoveryChain.Node> = {}
  const targets: Record<string, DiscoveryChain.Target> = {}
  for (const chain of chains.values()) {
    Object.assign(nodes, chain.Nodes)
    Object.assign(targets, chain.Targets)
  }
  const routes: Array<DiscoveryChain.Route> = []
  const known = rules.flatMap(({ rule }) => legsOf(rule, chains))[0]
  /** Answered 404. */
  const nowhere = `splitter:${name} nowhere`
  if (known !== undefined) {
    const none = { ...known, weight: 0, definition: undefined }
    nodes[nowhere] = splitterOf(nowhere, [none, none])
  }
  for (const [index, { host, match, rule }] of rules.entries()) {
    const legs = legsOf(rule, chains)
    const first = legs[0]
    if (first !== undefined) {
      const splitter = `splitter:${name} ${index}`
      const alone = legs.length === 1 && first.definition === undefined
      if (!alone) nodes[splitter] = splitterOf(splitter, legs)
      routes.push({ Definition: definitionOf(host, match, rule), NextNode: alone ? first.node : splitter })
    }
    if (known === undefined) continue
    // A rule that leads to no service leaves its requests to no other rule either.
    if (first === undefined) routes.push({ Definition: definitionOf(host, match, rule), NextNode: nowhere })
    // Whatever a host has no route for does not go to those of other hosts.
    if (host !== "*" && rules[index + 1]?.host !== host) {
      routes.push({ Definition: { Match: { HTTP: { PathPrefix: "/", Header: hostMatch(host) } } }, NextNode: nowhere })
    }
  }
  const router = `router:${name}`
  nodes[router] = DiscoveryChain.Node.make({ Type: "router", Name: name, Routes: routes })
  const protocols = new Set([...chains.values()].map(({ Protocol }) => Protocol))
  return DiscoveryChain.Chain.make({
    ServiceName: name,
    Namespace: "default",
    Datacenter: "",
    // A sidecar takes either version of HTTP, and gRPC needs the newer one.
    Protocol: protocols.has("grpc") || protocols.has("http2") ? "http2" : "http",
    StartNode: router,
    Nodes: nodes,
    Targets: targets
  })
}

interface Leg {
  readonly node: string
  /** Of all together. */
  readonly weight: number
  readonly definition: Schema.JsonObject | undefined
}

/** A service that splits its requests has them split here; one that routes them gets them where its last route leads. */
const legsOf = ({ Services }: ApiGateway.HttpRule, chains: Chains): ReadonlyArray<Leg> => {
  const sum = Services.reduce((sum, { Weight }) => sum + (Weight || 1), 0)
  return Services.flatMap((service): ReadonlyArray<Leg> => {
    const chain = chains.get(service.Name)
    if (chain === undefined) return []
    const weight = (service.Weight || 1) / sum * 100
    const definition = changesOf(service.Filters, service.ResponseFilters)
    const start = chain.Nodes[chain.StartNode]
    const name = start?.Type === "router" ? start.Routes.at(-1)?.NextNode ?? "" : chain.StartNode
    const node = chain.Nodes[name]
    return node?.Type === "splitter"
      ? node.Splits.map((split) => ({
        node: split.NextNode,
        weight: weight * split.Weight / 100,
        definition: { ...split.Definition, ...definition }
      }))
      : [{ node: name, weight, definition }]
  })
}

const splitterOf = (name: string, legs: ReadonlyArray<Leg>): DiscoveryChain.Node =>
  DiscoveryChain.Node.make({
    Type: "splitter",
    Name: name,
    Splits: legs.map(({ definition, node, weight }) => ({
      ...(definition === undefined ? {} : { Definition: definition }),
      Weight: weight,
      NextNode: node
    }))
  })

/** As a route of a service-router says it. */
const definitionOf = (host: string, match: ApiGateway.HttpMatch, rule: ApiGateway.HttpRule): Schema.JsonObject => {
  const { Filters: { RetryFilter, TimeoutFilter, URLRewrite }, Filters, ResponseFilters } = rule
  return {
    Match: { HTTP: matchOf(host, match) },
    Destination: {
      ...changesOf(Filters, ResponseFilters),
      ...(URLRewrite === undefined ? {} : { PrefixRewrite: URLRewrite.Path }),
      ...(RetryFilter === undefined ? {} : {
        NumRetries: RetryFilter.NumRetries,
        RetryOn: RetryFilter.RetryOn,
        RetryOnStatusCodes: RetryFilter.RetryOnStatusCodes,
        RetryOnConnectFailure: RetryFilter.RetryOnConnectFailure
      }),
      ...(TimeoutFilter?.RequestTimeout === undefined
        ? {}
        : { RequestTimeout: goDuration(TimeoutFilter.RequestTimeout) }),
      ...(TimeoutFilter?.IdleTimeout === undefined ? {} : { IdleTimeout: goDuration(TimeoutFilter.IdleTimeout) })
    }
  }
}

const goDuration = (duration: Duration.Duration): string => `${Math.round(Duration.toMillis(duration))}ms`

const matchOf = (host: string, { Headers, Method, Path, Query }: ApiGateway.HttpMatch): Schema.JsonObject => ({
  ...(Path.Match === "exact"
    ? { PathExact: Path.Value }
    : Path.Match === "regex"
    ? { PathRegex: Path.Value }
    : { PathPrefix: Path.Value }),
  ...(Method === "" ? {} : { Methods: [Method] }),
  Header: [
    ...hostMatch(host),
    ...Headers.map(({ Match, Name, Value }) => ({
      Name,
      ...(Match === "present" ? { Present: true } : { [fieldOf(Match)]: Value })
    }))
  ],
  QueryParam: Query.map(({ Match, Name, Value }) => ({
    Name,
    ...(Match === "present" ? { Present: true } : { [fieldOf(Match)]: Value })
  }))
})

/** `exact` → `Exact`. */
const fieldOf = (match: string): string => match.slice(0, 1).toUpperCase() + match.slice(1)

/** Whatever its case, and with any port. */
const hostMatch = (host: string): ReadonlyArray<Schema.JsonObject> =>
  host === "*" ? [] : [{
    Name: "host",
    Regex: `(?i)${host.startsWith("*.") ? `[^:]+${escaped(host.slice(1))}` : escaped(host)}(:[0-9]+)?`
  }]

const escaped = (text: string): string => text.replaceAll(".", "\\.")

/** Undefined: nothing changes. */
const changesOf = (
  { Headers }: ApiGateway.Filters,
  response: ApiGateway.ResponseFilters
): Schema.JsonObject | undefined =>
  Headers.length === 0 && response.Headers.length === 0
    ? undefined
    : { RequestHeaders: modifiersOf(Headers), ResponseHeaders: modifiersOf(response.Headers) }

const modifiersOf = (all: ApiGateway.Filters["Headers"]): Schema.JsonObject => ({
  Add: Object.assign({}, ...all.map(({ Add }) => Add)),
  Set: Object.assign({}, ...all.map(({ Set }) => Set)),
  Remove: all.flatMap(({ Remove }) => Remove)
})
