/**
 * Where calls go: the sources of instances that a `MeshDialer` dials and a `MeshHttpClient` calls, each with the identity
 * that it has to present.
 *
 *     Resolver.service("api")                             the discovery chain: redirects, failover, health
 *     Resolver.service("api", { subset: "v2" })
 *     Resolver.query("geo", { interval: "10 seconds" })   a prepared query, executed again and again
 *     Resolver.fixed([{ address: { host: "10.0.0.7", port: 8443 }, expected: "api" }])
 *     Resolver.fromStream("api", changes)                 whatever else knows instances
 *     Resolver.parse("v2.api.service.dc2.consul")         by the names of Consul's DNS: see `MeshUrl`
 *
 * A resolver is a value that does nothing until it is used. Users of equal ones share what they watch.
 */
import { Cause, Clock, Duration, Effect, Equal, Hash, Result, type Scope, Stream } from "effect"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import type * as OutlierDetection from "../balance/OutlierDetection.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as PreparedQueries from "../watch/PreparedQueries.ts"
import * as Watched from "../watch/Watched.ts"
import * as Connect from "./Connect.ts"
import * as DialError from "./DialError.ts"
import * as Listening from "../net/Listening.ts"
import * as MeshUrl from "./MeshUrl.ts"
import * as DestinationWatch from "./DestinationWatch.ts"

/** What resolvers may need. */
export type Sources = DiscoveryChains.DiscoveryChains | Endpoints.Endpoints | PreparedQueries.PreparedQueries

/** Equal where `key` is. */
export class Resolver implements Equal.Equal {
  /** For errors, logs and metrics: `api`, `geo.query`. */
  readonly name: string
  readonly key: string
  /** How long to wait for the first answer. */
  readonly patienceMillis: number
  /** Follows the instances in the scope. */
  readonly follow: Effect.Effect<DestinationWatch.DestinationWatch, never, Sources | Scope.Scope>
  /** Follows the chain of routers and splitters that requests go by. Undefined: they go where connections go. */
  readonly followChain:
    | Effect.Effect<Watched.Watched<DiscoveryChain.Chain> | undefined, never, Sources | Scope.Scope>
    | undefined
  /** When an instance is left out by those who connect. */
  readonly passiveHealthCheck: Partial<OutlierDetection.Options>

  constructor(
    options:
      & Pick<Resolver, "name" | "key" | "patienceMillis" | "follow">
      & Partial<Pick<Resolver, "followChain" | "passiveHealthCheck">>
  ) {
    this.name = options.name
    this.key = options.key
    this.patienceMillis = options.patienceMillis
    this.follow = options.follow
    this.followChain = options.followChain
    this.passiveHealthCheck = options.passiveHealthCheck ?? {}
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Resolver && that.key === this.key
  }
  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

/** A service by its name is a resolver too: `{ service: "api" }`. */
export interface Request extends ServiceOptions {
  readonly service: string
}

export type Input = Resolver | Request

export const from = (input: Input): Resolver => input instanceof Resolver ? input : service(input.service, input)

export interface ServiceOptions {
  /** Where the chain is evaluated. Default: the agent's own datacenter. */
  readonly datacenter?: string | undefined
  /** One of the `Subsets` of its service-resolver. Default: what the chain leads to. */
  readonly subset?: string | undefined
  /** For TCP and TLS. Default: what the service-resolver says. */
  readonly connectTimeoutMillis?: number | undefined
  /** Which mesh gateways lead to other datacenters. Default: what the config entries say. */
  readonly gateway?: TcpRoute.GatewaySetting | undefined
  /** The service is one that this peered cluster exports to ours; a datacenter and subsets it does not have. Default: our own. */
  readonly peer?: string | undefined
  /** For connections. Default: five failures in a row, as Envoy has it. */
  readonly passiveHealthCheck?: Partial<OutlierDetection.Options> | undefined
}

/** For the first answer, and for connecting where no setting says how long that may take. */
const defaultMillis = 5000

export const service = (name: string, options: ServiceOptions = {}): Resolver => {
  const { connectTimeoutMillis, datacenter, gateway, passiveHealthCheck = {}, peer, subset } = options
  const request = { service: name, datacenter, connectTimeoutMillis, gateway, peer }
  return new Resolver({
    name,
    key: keyOf("service", name, datacenter, subset, connectTimeoutMillis, gateway, peer, passiveHealthCheck),
    patienceMillis: connectTimeoutMillis ?? defaultMillis,
    passiveHealthCheck,
    // A subset that the caller names is past all routes.
    followChain: subset !== undefined ? undefined : Effect.gen(function*() {
      const { watchChain } = yield* DiscoveryChains.DiscoveryChains
      return watchChain === undefined ? undefined : yield* watchChain(request)
    }),
    follow: Effect.gen(function*() {
      const chains = yield* DiscoveryChains.DiscoveryChains
      const endpoints = yield* Endpoints.Endpoints
      if (subset === undefined) {
        const chain = yield* chains.watch(request)
        return yield* DestinationWatch.make(name, Watched.map(chain, chain.what, Result.succeed), endpoints)
      }
      return yield* DestinationWatch.make(
        `${subset}.${name}`,
        yield* chains.watchSubset({ ...request, subset }),
        endpoints
      )
    })
  })
}

export interface QueryOptions
  extends Omit<PreparedQueries.Request, "query">, Pick<ServiceOptions, "passiveHealthCheck">
{
  /** For TCP and TLS. Default: 5 seconds. */
  readonly connectTimeoutMillis?: number | undefined
}

/** By name or id. An instance is called only as the service that the query found there. */
export const query = (nameOrId: string, options: QueryOptions = {}): Resolver => {
  const { connectTimeoutMillis = defaultMillis, datacenter, interval, passiveHealthCheck = {} } = options
  const name = `${nameOrId}.query`
  const every = interval === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(interval))
  return new Resolver({
    name,
    key: keyOf("query", nameOrId, datacenter, every, connectTimeoutMillis, passiveHealthCheck),
    patienceMillis: connectTimeoutMillis,
    passiveHealthCheck,
    follow: Effect.gen(function*() {
      const queries = yield* PreparedQueries.PreparedQueries
      const found = yield* queries.watch({ query: nameOrId, datacenter, interval })
      return DestinationWatch.ofInstances(name, "the answer to its query", found, connectTimeoutMillis, {
        onlyHealthy: true
      })
    })
  })
}

/** An instance from another source than Consul. */
export interface Instance {
  readonly address: Connect.Address
  /** The services that may answer there, one of them: by their name in our own datacenter, or by more than that. */
  readonly expected: string | Endpoints.Expected | ReadonlyArray<string | Endpoints.Expected>
  /** Share of the calls; 0: none. Default: 1. */
  readonly weight?: number | undefined
  /** Unique among the instances. Default: the address. */
  readonly id?: string | undefined
}

export interface InstanceOptions {
  /** For TCP and TLS. Default: 5 seconds. */
  readonly connectTimeoutMillis?: number | undefined
}

/** Always the same ones. `name` is for errors and metrics. Default: the first service that is expected. */
export const fixed = (
  instances: ReadonlyArray<Instance>,
  options: InstanceOptions & { readonly name?: string | undefined } = {}
): Resolver => {
  const { connectTimeoutMillis = defaultMillis } = options
  const endpoints = instances.map(toEndpoint)
  const name = options.name ?? endpoints[0]?.expected?.[0]?.service ?? "nobody"
  const what = "its fixed instances"
  return new Resolver({
    name,
    key: keyOf("fixed", name, endpoints, connectTimeoutMillis),
    patienceMillis: connectTimeoutMillis,
    follow: Effect.succeed(
      DestinationWatch.ofInstances(name, what, Watched.constant(what, Result.succeed(endpoints)), connectTimeoutMillis)
    )
  })
}

let streams = 0

/**
 * Each list replaces the one before. When the stream fails or ends, the last list stays in force: let it retry by itself.
 * Equal only to itself: make one and keep it.
 */
export const fromStream = (
  name: string,
  instances: Stream.Stream<ReadonlyArray<Instance>, { readonly message: string }>,
  options: InstanceOptions = {}
): Resolver => {
  const { connectTimeoutMillis = defaultMillis } = options
  return new Resolver({
    name,
    key: keyOf("stream", ++streams),
    patienceMillis: connectTimeoutMillis,
    follow: Effect.map(
      Watched.make({ what: `the instances of ${name}`, watch: "stream", subject: name }, observed(instances)),
      (found) => DestinationWatch.ofInstances(name, "the stream of its instances", found, connectTimeoutMillis)
    )
  })
}

/** By a name as in URLs. */
export const parse = (host: string): Result.Result<Resolver, DialError.UnknownName> =>
  Result.mapBoth(MeshUrl.parse(host), {
    onSuccess: (name) => name._tag === "Query" ? query(name.query, name) : service(name.service, name),
    onFailure: (why) => new DialError.UnknownName({ name: host, why })
  })

const keyOf = (...parts: ReadonlyArray<unknown>): string => JSON.stringify(parts.map((part) => part ?? null))

const toEndpoint = ({ address, expected, id, weight }: Instance): Endpoints.Endpoint => ({
  id: id ?? Listening.format(address),
  address,
  weight: weight ?? 1,
  expected: (isList(expected) ? expected : [expected]).map((of) => typeof of === "string" ? { service: of } : of)
})

/** `Array.isArray` does not tell readonly ones apart. */
const isList = (expected: Instance["expected"]): expected is ReadonlyArray<string | Endpoints.Expected> =>
  Array.isArray(expected)

const observed = (
  instances: Stream.Stream<ReadonlyArray<Instance>, { readonly message: string }>
): Stream.Stream<Watched.Observation<Result.Result<ReadonlyArray<Endpoints.Endpoint>, string>>> =>
  instances.pipe(
    Stream.mapEffect((list) =>
      Effect.map(Clock.currentTimeMillis, (at) => ({
        _tag: "Answer" as const,
        value: Result.succeed(list.map(toEndpoint)),
        at
      }))
    ),
    Stream.catchCause((cause) => {
      const error = Cause.squash(cause)
      const why = typeof error === "object" && error !== null && "message" in error
        ? String(error.message)
        : String(error)
      return Stream.succeed({ _tag: "Failure" as const, error: { message: `the stream has failed: ${why}` } })
    })
  )
