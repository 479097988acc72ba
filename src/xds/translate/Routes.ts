/** Where requests to a service go, from its compiled chain: conditions, rewrites, legs, times, retries, changes of headers. */
import { Duration, Option, Schema } from "effect"
import type * as Common from "../../consul/config/Common.ts"
import type * as ServiceResolver from "../../consul/config/ServiceResolver.ts"
import * as ServiceRouter from "../../consul/config/ServiceRouter.ts"
import * as ServiceSplitter from "../../consul/config/ServiceSplitter.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type { Message } from "../proto/Messages.ts"
import * as UpstreamCluster from "./UpstreamCluster.ts"
import * as Values from "./Values.ts"

type Route = Message<"route.Route">
type Action = Message<"route.RouteAction">

/** Undefined: the chain is one that its listener says itself. */
export const make = (
  chain: DiscoveryChain.Chain,
  name: string
): Message<"route.RouteConfiguration"> | undefined => {
  if (chain.Default || !Values.isHttpLike(chain.Protocol)) return undefined
  const start = chain.Nodes[chain.StartNode]
  const routes = start?.Type === "router" ? start.Routes.map((route) => routed(chain, route)) : [everything(chain)]
  return { name, virtual_hosts: [{ name, domains: ["*"], routes }] }
}

/** A chain without a router. A resolver at its start says how long requests may take. */
const everything = (chain: DiscoveryChain.Chain): Route => ({
  match: { prefix: "/" },
  route: {
    ...destination(chain, chain.StartNode),
    timeout: timeoutOf(chain.Nodes[chain.StartNode]?.Resolver?.RequestTimeout)
  }
})

const decodeRoute = Schema.decodeUnknownOption(Schema.toCodecGoJson(ServiceRouter.Route))
const decodeSplit = Schema.decodeUnknownOption(Schema.toCodecGoJson(ServiceSplitter.Split))

const routed = (chain: DiscoveryChain.Chain, { Definition, NextNode }: DiscoveryChain.Route): Route => {
  const said = decodeRoute(Definition ?? {})
  // Requests that a route is about must not fall to the next one because it can not be read.
  if (Option.isNone(said)) return { match: { prefix: "/" }, direct_response: { status: 503 } }
  const { Destination: to, Match } = said.value
  return {
    match: matching(Match?.HTTP),
    route: {
      ...destination(chain, NextNode),
      prefix_rewrite: to?.PrefixRewrite || undefined,
      timeout: timeoutOf(to?.RequestTimeout),
      idle_timeout: timeoutOf(to?.IdleTimeout),
      retry_policy: to === undefined ? undefined : retry(to)
    },
    ...changes(to)
  }
}

const timeoutOf = (said: Duration.Duration | undefined): string | undefined =>
  said === undefined ? undefined : Values.timeout(Duration.toMillis(said))

const matching = (said: ServiceRouter.HttpMatch | undefined): Message<"route.RouteMatch"> => {
  if (said === undefined) return { prefix: "/" }
  const path = said.PathExact !== ""
    ? { path: said.PathExact }
    : said.PathPrefix !== ""
    ? { prefix: said.PathPrefix }
    : said.PathRegex !== ""
    ? { safe_regex: { regex: said.PathRegex } }
    : { prefix: "/" }
  const headers = [
    ...said.Header.map(header),
    ...(said.Methods.length === 0 ? [] : [Values.onMethods(said.Methods)])
  ]
  return {
    ...path,
    case_sensitive: said.CaseInsensitive ? false : undefined,
    headers: Values.some(headers),
    query_parameters: Values.some(said.QueryParam.map(parameter))
  }
}

const header = (said: ServiceRouter.HttpMatch["Header"][number]): Message<"route.HeaderMatcher"> => {
  const invert_match = said.Invert || undefined
  return said.Present
    ? { name: said.Name, present_match: true, invert_match }
    : { name: said.Name, string_match: text(said), invert_match }
}

const parameter = (said: ServiceRouter.HttpMatch["QueryParam"][number]): Message<"route.QueryParameterMatcher"> =>
  said.Present
    ? { name: said.Name, present_match: true }
    : { name: said.Name, string_match: text({ ...said, Prefix: "", Suffix: "" }) }

const text = (
  { Exact, Prefix, Regex, Suffix }: Readonly<Record<"Exact" | "Prefix" | "Regex" | "Suffix", string>>
): Message<"matcher.StringMatcher"> =>
  Exact !== ""
    ? { exact: Exact }
    : Prefix !== ""
    ? { prefix: Prefix }
    : Suffix !== ""
    ? { suffix: Suffix }
    : { safe_regex: { regex: Regex } }

const destination = (chain: DiscoveryChain.Chain, name: string): Action => {
  const node = chain.Nodes[name]
  if (node?.Type !== "splitter") {
    return { cluster: UpstreamCluster.nameOf(chain, name), hash_policy: hashing(node === undefined ? [] : [node]) }
  }
  return {
    weighted_clusters: {
      clusters: node.Splits.map((split) => ({
        name: UpstreamCluster.nameOf(chain, split.NextNode),
        weight: Math.round(split.Weight * 100),
        ...changes(Option.getOrUndefined(decodeSplit(split.Definition)))
      }))
    },
    hash_policy: hashing(node.Splits.flatMap(({ NextNode }) => chain.Nodes[NextNode] ?? []))
  }
}

/** Of legs, the first that says how requests are told apart says it for all. */
const hashing = (
  nodes: ReadonlyArray<DiscoveryChain.Node>
): ReadonlyArray<Message<"route.RouteAction.HashPolicy">> | undefined => {
  for (const node of nodes) {
    const said = UpstreamCluster.balancer(node)
    if (said === undefined || (said.Policy !== "ring_hash" && said.Policy !== "maglev")) continue
    if (said.HashPolicies.length > 0) return said.HashPolicies.flatMap(hashPolicy)
  }
  return undefined
}

const hashPolicy = (
  { CookieConfig, Field, FieldValue, SourceIP, Terminal }: ServiceResolver.HashPolicy
): ReadonlyArray<Message<"route.RouteAction.HashPolicy">> => {
  const terminal = Terminal || undefined
  if (SourceIP) return [{ connection_properties: { source_ip: true }, terminal }]
  switch (Field) {
    case "header":
      return [{ header: { header_name: FieldValue }, terminal }]
    case "query_parameter":
      return [{ query_parameter: { name: FieldValue }, terminal }]
    case "cookie": {
      const lifetime = CookieConfig?.TTL === undefined ? undefined : timeoutOf(CookieConfig.TTL)
      const ttl = CookieConfig?.Session === true ? "0s" : lifetime
      return [{ cookie: { name: FieldValue, ttl, path: CookieConfig?.Path || undefined }, terminal }]
    }
    default:
      return []
  }
}

const retry = (to: ServiceRouter.Destination): Message<"route.RetryPolicy"> | undefined => {
  const { NumRetries, RetryOn, RetryOnConnectFailure, RetryOnStatusCodes } = to
  if (NumRetries === 0 && !RetryOnConnectFailure && RetryOn.length === 0 && RetryOnStatusCodes.length === 0) {
    return undefined
  }
  const on = [
    ...RetryOn,
    ...(RetryOnConnectFailure ? ["connect-failure"] : []),
    ...(RetryOnStatusCodes.length > 0 ? ["retriable-status-codes"] : [])
  ]
  return {
    retry_on: on.length === 0 ? undefined : on.join(","),
    num_retries: NumRetries || undefined,
    retriable_status_codes: Values.some(RetryOnStatusCodes)
  }
}

type Headers = Pick<
  Route,
  "request_headers_to_add" | "request_headers_to_remove" | "response_headers_to_add" | "response_headers_to_remove"
>

const changes = (
  said: Pick<ServiceRouter.Destination, "RequestHeaders" | "ResponseHeaders"> | undefined
): Headers => ({
  request_headers_to_add: added(said?.RequestHeaders),
  request_headers_to_remove: Values.some(said?.RequestHeaders?.Remove ?? []),
  response_headers_to_add: added(said?.ResponseHeaders),
  response_headers_to_remove: Values.some(said?.ResponseHeaders?.Remove ?? [])
})

const added = (said: Common.HeaderModifiers | undefined): Headers["request_headers_to_add"] =>
  said === undefined ? undefined : Values.some([
    ...Object.entries(said.Add).map(([key, value]) => ({ header: { key, value } })),
    ...Object.entries(said.Set).map(([key, value]) => ({
      header: { key, value },
      append_action: "OVERWRITE_IF_EXISTS_OR_ADD" as const
    }))
  ])
