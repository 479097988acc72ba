/** Where calls to a service go: its discovery chain, resolved for opaque byte streams. */
import { Context, Duration, Effect, Layer, Result, type Scope } from "effect"
import * as HttpRoutes from "../route/HttpRoutes.ts"
import * as ResolverNode from "../route/ResolverNode.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import * as PeeredChain from "./PeeredChain.ts"
import * as SubsetRoute from "./SubsetRoute.ts"
import * as Watched from "./Watched.ts"

/** Two requests with equal fields share one watch. */
export interface Request {
  readonly service: string
  /** Where the chain is evaluated; absent: the agent's own datacenter. */
  readonly datacenter?: string | undefined
  /** Overrides what the service's resolver says. */
  readonly connectTimeoutMillis?: number | undefined
  /** Overrides what the defaults of the service and of the mesh say. */
  readonly gateway?: TcpRoute.GatewaySetting | undefined
  /** The service is one of this peer. Absent: of our own cluster. */
  readonly peer?: string | undefined
}

export type Subset = Result.Result<TcpRoute.TcpRoute, string>

export class DiscoveryChains extends Context.Service<DiscoveryChains, {
  /** Shared and reference-counted: the watch ends when the last scope that asked for it closes. */
  readonly watch: (request: Request) => Effect.Effect<Watched.Watched<TcpRoute.TcpRoute>, never, Scope.Scope>
  /** The same for a subset that the caller names; a failure says why there is none. All subsets share one watch. */
  readonly watchSubset: (request: SubsetRoute.Request) => Effect.Effect<Watched.Watched<Subset>, never, Scope.Scope>
  /**
   * The chain as it is for HTTP: routers and splitters too, which `HttpRoutes` compiles. Absent or undefined: it is known for byte
   * streams only.
   */
  readonly watchChain?:
    | ((request: Request) => Effect.Effect<Watched.Watched<DiscoveryChain.Chain> | undefined, never, Scope.Scope>)
    | undefined
}>()("effect-mesh/watch/DiscoveryChains") {}

/** Serves what `resolve` says. */
export const layerStatic = (
  resolve: (request: Request) => Watched.Watched<TcpRoute.TcpRoute>,
  resolveSubset: (request: SubsetRoute.Request) => Watched.Watched<Subset> = ({ service, subset }) =>
    Watched.constant("the subset", Result.fail(`${service} has no subset ${subset}`)),
  resolveChain?: (request: Request) => Watched.Watched<DiscoveryChain.Chain> | undefined
): Layer.Layer<DiscoveryChains> =>
  Layer.succeed(DiscoveryChains, {
    watch: (request) => Effect.sync(() => resolve(request)),
    watchSubset: (request) => Effect.sync(() => resolveSubset(request)),
    watchChain: resolveChain === undefined ? undefined : (request) => Effect.sync(() => resolveChain(request))
  })

/** Watches the Consul agent: one watch for each different request, as long as it is used. */
export const layer: Layer.Layer<DiscoveryChains, never, ConsulClient.ConsulClient> = Layer.effect(
  DiscoveryChains,
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    return DiscoveryChains.of({
      watch: (request) =>
        request.peer === undefined
          ? watchAs(consul, request, "tcp", toRoute)
          : watchPeered(consul, { ...request, peer: request.peer }, toRoute, "bytes"),
      // One that can not be followed is none: the last one stays in force.
      watchChain: (request) => {
        const followed = (chain: DiscoveryChain.Chain) => Result.map(HttpRoutes.compile(chain), () => chain)
        return request.peer === undefined
          ? watchAs(consul, request, undefined, followed)
          : watchPeered(consul, { ...request, peer: request.peer }, followed, "requests")
      },
      watchSubset: (request) =>
        Effect.map(
          watchResolvers(consul),
          (all) =>
            Watched.map(all, `the subset ${request.subset} of ${request.service}`, (all) =>
              SubsetRoute.of(all, { ...request, datacenter: request.datacenter ?? consul.datacenter }))
        )
    })
  })
)

/** With `protocol` instead of the one that the service has. */
const watchAs = <A>(
  consul: ConsulClient.ConsulClient["Service"],
  { connectTimeoutMillis, datacenter, gateway, service }: Request,
  protocol: "tcp" | undefined,
  decode: (chain: DiscoveryChain.Chain) => Result.Result<A, string>
): Effect.Effect<Watched.Watched<A>, never, Scope.Scope> => {
  const name = `POST /v1/discovery-chain/${service}`
  return consul.share(
    `${name} ${protocol ?? ""} ${datacenter ?? ""} ${connectTimeoutMillis ?? ""} ${gateway ?? ""}`,
    Watched.make(
      { what: `the discovery chain of ${service}`, watch: "chain", subject: service },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) =>
          api.discoveryChain.compile({
            params: { service },
            query: { ...blocking, ...(datacenter === undefined ? {} : { "compile-dc": datacenter }) },
            payload: {
              ...(protocol === undefined ? {} : { OverrideProtocol: protocol }),
              ...(connectTimeoutMillis === undefined
                ? {}
                : { OverrideConnectTimeout: Duration.millis(connectTimeoutMillis) }),
              ...(gateway === undefined ? {} : { OverrideMeshGateway: { Mode: gateway } })
            }
          }),
        decode: ({ Chain }) => decode(Chain)
      })
    )
  )
}

const watchPeered = <A>(
  consul: ConsulClient.ConsulClient["Service"],
  request: PeeredChain.Request,
  decode: (chain: DiscoveryChain.Chain) => Result.Result<A, string>,
  reading: "bytes" | "requests"
): Effect.Effect<Watched.Watched<A>, never, Scope.Scope> => {
  const { connectTimeoutMillis, peer, service } = request
  const name = `GET /v1/health/connect/${service}`
  return consul.share(
    `${name} for ${reading} ${peer} ${connectTimeoutMillis ?? ""}`,
    Watched.make(
      { what: `what the peer ${peer} shows of ${service}`, watch: "chain", subject: service },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) => api.health.connect({ params: { service }, query: { ...blocking, peer } }),
        decode: (found) => decode(PeeredChain.of(request, found))
      })
    )
  )
}

/** All of them, as redirects and failover lead from one to others. */
export const watchResolvers = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<SubsetRoute.Resolvers>, never, Scope.Scope> => {
  const name = "GET /v1/config/service-resolver"
  return consul.share(
    name,
    Watched.make(
      { what: "the service-resolvers", watch: "resolvers", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) => api.config.list({ params: { kind: "service-resolver" }, query: blocking }),
        decode: (entries) => Result.succeed(SubsetRoute.resolvers(entries))
      })
    )
  )
}

/** For opaque byte streams: such a chain starts at a resolver. */
export const toRoute = (chain: DiscoveryChain.Chain): Result.Result<TcpRoute.TcpRoute, string> =>
  chain.Nodes[chain.StartNode]?.Resolver === undefined
    ? Result.fail(
      `the chain of ${chain.ServiceName} starts at ${JSON.stringify(chain.StartNode)}, which is no resolver`
    )
    : ResolverNode.compile(chain, chain.StartNode)
