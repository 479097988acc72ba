/**
 * Where the requests for a service go: its discovery chain, compiled once for each update. A request takes the first route whose
 * conditions hold, one of its legs by their weights, and then the targets of that leg, as TCP does.
 *
 *     request ──▶ Route (conditions) ──▶ Leg (weight) ──▶ targets: the first one with a healthy instance
 *
 * The last route is the service itself: it takes every path that begins with a slash. Times and retries are Envoy's where the
 * chain leaves them open, as Consul's sidecars run by them.
 */
import { Duration, Option, Result, Schema } from "effect"
import * as ServiceRouter from "../consul/config/ServiceRouter.ts"
import * as ServiceSplitter from "../consul/config/ServiceSplitter.ts"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import * as Bytes from "../intention/Bytes.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as RequestMatch from "./RequestMatch.ts"
import * as RequestPath from "./RequestPath.ts"
import * as HeaderRules from "./HeaderRules.ts"
import * as ResolverNode from "./ResolverNode.ts"
import type * as Retry from "./Retry.ts"
import * as RouteIndex from "./RouteIndex.ts"
import type * as TcpRoute from "./TcpRoute.ts"
import * as TimerLimit from "./TimerLimit.ts"

export interface HttpRoutes {
  readonly service: string
  /** `http`, `http2` or `grpc`. */
  readonly protocol: string
  /** In their order. */
  readonly routes: ReadonlyArray<Route>
  /** The first route whose conditions hold. Undefined: the request asks for no path, as `OPTIONS *` does. */
  readonly find: (request: HttpRequest.HttpRequest) => Route | undefined
}

export interface Route {
  /** From 0. */
  readonly position: number
  /** Whether a service-router says it. Otherwise it is the route of everything else. */
  readonly written: boolean
  readonly conditions: ReadonlyArray<RequestMatch.Condition>
  /** How `find` looks it up. */
  readonly key: RouteIndex.Key
  /** What the matched part of the path, or all of an exact one, is replaced by. */
  readonly prefixRewrite: PrefixRewrite | undefined
  /** For the whole answer, retries included. Undefined: as long as it takes. */
  readonly requestTimeoutMillis: number | undefined
  /** Without a byte in either direction. Undefined: as long as it takes. */
  readonly idleTimeoutMillis: number | undefined
  /** The times that the chain itself has: what it leaves open is undefined here, as what may take as long as it takes. */
  readonly said: Times
  readonly retry: Retry.Retry | undefined
  readonly changes: HeaderChanges
  readonly legs: readonly [Leg, ...Array<Leg>]
  /** How requests are told apart where instances are chosen by that: the first leg that says so says it for all. */
  readonly hashBy: ReadonlyArray<TcpRoute.HashBy>
}

export interface Times {
  readonly requestTimeoutMillis: number | undefined
  readonly idleTimeoutMillis: number | undefined
}

export interface PrefixRewrite {
  /** How many bytes of the path are replaced. */
  readonly length: number
  readonly by: string
}

export interface Leg {
  /** In hundredths of a percent, as it is drawn. */
  readonly weight: number
  readonly changes: HeaderChanges
  /** The resolver's name in the chain: legs with the same one share their instances. */
  readonly node: string
  readonly to: TcpRoute.TcpRoute
}

/** Undefined: nothing changes. */
export interface HeaderChanges {
  readonly request: HeaderRules.HeaderRules | undefined
  readonly response: HeaderRules.HeaderRules | undefined
}

/** Envoy's, where the chain leaves it open. */
const requestTimeoutMillis = 15_000
const idleTimeoutMillis = 300_000

/** Fails with what is wrong with the chain. */
export const compile = (chain: DiscoveryChain.Chain): Result.Result<HttpRoutes, string> =>
  Result.gen(function*() {
    const start = chain.Nodes[chain.StartNode]
    const routes = start?.Type === "router"
      // The agent ends each router with the route of everything else.
      ? yield* Result.all(
        start.Routes.map((route, position) => compileRoute(chain, route, position, position < start.Routes.length - 1))
      )
      : [yield* everything(chain)]
    return { service: chain.ServiceName, protocol: chain.Protocol, routes, find: finder(routes) }
  })

const finder = (routes: ReadonlyArray<Route>): HttpRoutes["find"] => {
  const [only, ...others] = routes
  // Most services have no routes of their own.
  if (only !== undefined && others.length === 0) {
    return (request) => RequestMatch.unmet(only.conditions, request) === undefined ? only : undefined
  }
  const index = RouteIndex.make(routes.map(({ key }) => key))
  return (request) => {
    const takes = (position: number) => RequestMatch.unmet(routes[position]!.conditions, request) === undefined
    const lines = (name: string) => RequestMatch.linesOf(request, name)
    const position = index.first({ path: RequestPath.withoutQuery(request.path), lines }, takes)
    return position === undefined ? undefined : routes[position]
  }
}

const decodeRoute = Schema.decodeUnknownResult(Schema.toCodecGoJson(ServiceRouter.Route))

const compileRoute = (
  chain: DiscoveryChain.Chain,
  { Definition, NextNode }: DiscoveryChain.Route,
  position: number,
  written: boolean
): Result.Result<Route, string> =>
  Result.gen(function*() {
    const { Destination: to, Match } = yield* Result.mapError(
      decodeRoute(Definition ?? {}),
      (error) => `route ${position + 1} of ${chain.ServiceName} can not be understood: ${error.message}`
    )
    const match = Match?.HTTP
    const conditions = yield* Result.mapError(
      RequestMatch.compile(match),
      (why) => `route ${position + 1} of ${chain.ServiceName}: ${why}`
    )
    const legs = yield* legsOf(chain, NextNode)
    const changes = yield* Result.mapError(
      changesOf(to),
      (why) => `route ${position + 1} of ${chain.ServiceName}: ${why}`
    )
    return {
      position,
      written,
      conditions,
      key: RouteIndex.keyOf(match),
      prefixRewrite: rewriteOf(match, to?.PrefixRewrite ?? ""),
      requestTimeoutMillis: timeoutOf(to?.RequestTimeout, requestTimeoutMillis),
      idleTimeoutMillis: timeoutOf(to?.IdleTimeout, idleTimeoutMillis),
      said: {
        requestTimeoutMillis: timeoutOf(to?.RequestTimeout, undefined),
        idleTimeoutMillis: timeoutOf(to?.IdleTimeout, undefined)
      },
      retry: to === undefined ? undefined : retryOf(to),
      changes,
      legs,
      hashBy: hashOf(legs)
    }
  })

/** What a chain without a router amounts to. A resolver at its start says how long requests may take. */
const everything = (chain: DiscoveryChain.Chain): Result.Result<Route, string> => {
  const resolver = chain.Nodes[chain.StartNode]?.Resolver
  const requestTimeout = resolver?.Default === true ? undefined : resolver?.RequestTimeout
  const definition = { Match: { HTTP: { PathPrefix: "/" } } }
  return Result.map(
    compileRoute(chain, { Definition: definition, NextNode: chain.StartNode }, 0, false),
    (route) => ({
      ...route,
      requestTimeoutMillis: timeoutOf(requestTimeout, requestTimeoutMillis),
      said: { ...route.said, requestTimeoutMillis: timeoutOf(requestTimeout, undefined) }
    })
  )
}

const decodeSplit = Schema.decodeUnknownOption(Schema.toCodecGoJson(ServiceSplitter.Split))

/** The legs of a splitter; a resolver is one that gets everything. */
const legsOf = (chain: DiscoveryChain.Chain, name: string): Result.Result<Route["legs"], string> =>
  Result.gen(function*() {
    const node = chain.Nodes[name]
    if (node?.Type !== "splitter") {
      return [{ weight: whole, changes: unchanged, node: name, to: yield* ResolverNode.compile(chain, name) }]
    }
    const legs = yield* Result.all(node.Splits.map((split) => legOf(chain, split)))
    const [first, ...rest] = legs
    return first === undefined
      ? yield* Result.fail(`the splitter ${name} of ${chain.ServiceName} has no legs`)
      : [first, ...rest]
  })

const legOf = (chain: DiscoveryChain.Chain, split: DiscoveryChain.Split): Result.Result<Leg, string> =>
  Result.gen(function*() {
    const to = yield* ResolverNode.compile(chain, split.NextNode)
    const changes = yield* Result.mapError(
      changesOf(Option.getOrUndefined(decodeSplit(split.Definition))),
      (why) => `a leg of ${chain.ServiceName}: ${why}`
    )
    return { weight: Math.round(split.Weight * 100), changes, node: split.NextNode, to }
  })

const whole = 10_000
const unchanged: HeaderChanges = { request: undefined, response: undefined }

const changesOf = (
  said: Pick<ServiceRouter.Destination, "RequestHeaders" | "ResponseHeaders"> | undefined
): Result.Result<HeaderChanges, string> => {
  const rules = (modifiers: ServiceRouter.Destination["RequestHeaders"]) =>
    modifiers === undefined ? Result.succeed(undefined) : HeaderRules.compile(modifiers)
  return Result.all({ request: rules(said?.RequestHeaders), response: rules(said?.ResponseHeaders) })
}

const hashOf = (legs: ReadonlyArray<Leg>): ReadonlyArray<TcpRoute.HashBy> =>
  legs.map(({ to }) => to.balancing?.hashBy ?? []).find((hashBy) => hashBy.length > 0) ?? []

const rewriteOf = (match: ServiceRouter.HttpMatch | undefined, by: string): PrefixRewrite | undefined => {
  const replaced = match?.PathExact || match?.PathPrefix || ""
  return by === "" || replaced === ""
    ? undefined
    : { length: Bytes.fromText(replaced).length, by: escaped(Bytes.fromText(by)) }
}

/** What a request line can not say. */
const escaped = (path: string): string =>
  path.replace(/[^\x21-\x7e]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

/** Zero leaves it open, less than zero means as long as it takes. */
const timeoutOf = (given: Duration.Duration | undefined, open: number | undefined): number | undefined => {
  const millis = given === undefined ? 0 : Duration.toMillis(given)
  return millis === 0 ? open : millis < 0 ? undefined : TimerLimit.clamp(millis)
}

/** A number of attempts without a condition is none. */
const retryOf = (to: ServiceRouter.Destination): Retry.Retry | undefined => {
  const on = new Set([...to.RetryOn, ...(to.RetryOnConnectFailure ? ["connect-failure"] : [])])
  return on.size === 0 && to.RetryOnStatusCodes.length === 0
    ? undefined
    : { times: to.NumRetries || 1, on, onStatus: new Set(to.RetryOnStatusCodes) }
}

/** The path as it is sent on: the query stays. */
export const rewritten = ({ prefixRewrite }: Route, path: string): string =>
  prefixRewrite === undefined ? path : prefixRewrite.by + path.slice(prefixRewrite.length)

/** A leg by chance, in proportion to the weights. Undefined: all weights are zero, and requests go nowhere. */
export const draw = ({ legs }: Route, random: () => number): Leg | undefined =>
  legs.length === 1 ? legs[0] : drawFrom(legs, random)

export const drawFrom = <L extends { readonly weight: number }>(
  legs: ReadonlyArray<L>,
  random: () => number
): L | undefined => {
  let left = Math.floor(random() * legs.reduce((sum, { weight }) => sum + weight, 0))
  for (const leg of legs) {
    if (left < leg.weight) return leg
    left -= leg.weight
  }
  return undefined
}
