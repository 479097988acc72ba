/**
 * A service in the mesh that hears everything from Consul's servers, as Envoy does. The values are the same ones as those of an agent,
 * behind the same services: what is built on a `Mesh` does not notice the difference.
 */
import { type Duration, Effect, Layer, Result, type Scope } from "effect"
import * as Audit from "../intention/Audit.ts"
import * as MeshDialer from "../outbound/MeshDialer.ts"
import * as Tunnels from "../outbound/tunnel/Tunnels.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as ResolverNode from "../route/ResolverNode.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as SpiffeRules from "../tls/SpiffeRules.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as JwtProviders from "../watch/JwtProviders.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as MeshDefaults from "../watch/MeshDefaults.ts"
import * as PeerBundles from "../watch/PeerBundles.ts"
import * as PreparedQueries from "../watch/PreparedQueries.ts"
import * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Watched from "../watch/Watched.ts"
import * as Reading from "../xds/read/Reading.ts"
import * as Mesh from "./Mesh.ts"

export interface Options {
  /** Where refusals are only recorded. Default: nowhere. */
  readonly audit?: Audit.Scope | undefined
  /** As in `Mesh.layer`. */
  readonly spiffe?: SpiffeRules.Extent | undefined
  readonly tunnels?: boolean | undefined
  /** How long to wait for the servers. Default: 30 seconds. */
  readonly readyWithin?: Duration.Input | undefined
  /** Who is asked, for the error: `the servers at 10.0.0.1:8502`. */
  readonly asked?: string | undefined
}

export type Fed = Watched.Watched<Reading.Reading>

/** Fails when something has not arrived in time, saying what and why. */
export const layer = (fed: Fed, options: Options = {}): Layer.Layer<Mesh.Mesh, Watched.NotReady> =>
  MeshDialer.layer.pipe(
    Layer.provideMerge(options.tunnels === true ? Tunnels.layer : Layer.empty),
    Layer.provideMerge(
      Layer.mergeAll(SecureContexts.layerWith(options), discovery(fed), instances(fed), queries(fed))
    ),
    Layer.provideMerge(Mesh.arrival(options.readyWithin, options.asked)),
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.succeed(CaRoots.CaRoots, Watched.map(fed, "the CA roots", ({ identity }) => identity.roots)),
        Layer.succeed(
          LeafCertificate.LeafCertificate,
          Watched.map(fed, "the leaf certificate", ({ identity }) => identity.leaf)
        ),
        intentions(fed, options.audit ?? Audit.nowhere),
        Layer.succeed(
          JwtProviders.JwtProviders,
          Watched.map(fed, "the token providers", ({ policy }) => policy.providers)
        ),
        Layer.succeed(PeerBundles.PeerBundles, {
          bundles: Watched.map(fed, "the trust bundles of peers", ({ peers }) => peers),
          latest: () => fed.latest()?.peers ?? new Map(),
          want: Effect.void
        }),
        Layer.succeed(MeshDefaults.MeshDefaults, Watched.map(fed, "the mesh entry", ({ defaults }) => defaults))
      )
    ),
    Layer.fresh
  )

export const registration = (fed: Fed): Layer.Layer<ProxyRegistration.ProxyRegistration> =>
  Layer.succeed(
    ProxyRegistration.ProxyRegistration,
    Watched.map(fed, "the proxy registration", ({ registration }) => registration)
  )

const intentions = (fed: Fed, audit: Audit.Scope) =>
  Layer.effect(
    Intentions.Intentions,
    Effect.gen(function*() {
      const authorizers = Watched.map(fed, "the intentions", ({ policy }) => policy.authorizer)
      const { destination } = yield* authorizers.get
      yield* Intentions.warnOfAudit(audit, destination.service)
      return yield* Watched.shared(
        Watched.map(authorizers, "the intentions", (authorizer) => Audit.authorizer(audit, authorizer))
      )
    })
  )

const discovery = (fed: Fed): Layer.Layer<DiscoveryChains.DiscoveryChains> =>
  Layer.succeed(
    DiscoveryChains.DiscoveryChains,
    DiscoveryChains.DiscoveryChains.of({
      watch: (request) =>
        Effect.succeed(
          Watched.mapSome(
            chainOf(fed, request),
            `the discovery chain of ${request.service}`,
            (chain) => Result.getOrUndefined(ofConnections(chain))
          )
        ),
      watchChain: (request) => Effect.succeed(chainOf(fed, request)),
      watchSubset: ({ service, subset }) =>
        Effect.succeed(
          Watched.constant("the subset", Result.fail(`the servers tell of no subset ${subset} of ${service}`))
        )
    })
  )

const chainOf = (fed: Fed, request: DiscoveryChains.Request) =>
  Watched.mapSome(
    fed,
    `the discovery chain of ${request.service}`,
    ({ chains }) => chains.get(Reading.keyOf(request))
  )

type Chain = Reading.Reading["chains"] extends ReadonlyMap<string, infer C> ? C : never

/** Where connections go: to whatever takes the requests that no route is about. */
const ofConnections = (chain: Chain): Result.Result<TcpRoute.TcpRoute, string> => {
  let name = chain.StartNode
  for (let node = chain.Nodes[name]; node !== undefined && node.Type !== "resolver"; node = chain.Nodes[name]) {
    name = (node.Type === "router" ? node.Routes.at(-1) : node.Splits[0])?.NextNode ?? ""
  }
  return ResolverNode.compile(chain, name)
}

const instances = (fed: Fed): Layer.Layer<Endpoints.Endpoints> =>
  Layer.succeed(
    Endpoints.Endpoints,
    Endpoints.Endpoints.of({
      watch: ({ id }) =>
        Effect.succeed(
          Watched.mapSome(fed, `the instances of ${id}`, ({ instances }) => instances(id).instances)
        )
    })
  )

const queries = (fed: Fed): Layer.Layer<PreparedQueries.PreparedQueries> =>
  Layer.succeed(
    PreparedQueries.PreparedQueries,
    PreparedQueries.PreparedQueries.of({
      watch: ({ datacenter, query }): Effect.Effect<Watched.Watched<PreparedQueries.Found>, never, Scope.Scope> =>
        Effect.succeed(
          Watched.mapSome(fed, `the instances of the prepared query ${query}`, ({ chains, instances }) => {
            const chain = chains.get(Reading.keyOf({ service: query, datacenter, query: true }))
            const route = chain === undefined ? undefined : Result.getOrUndefined(ofConnections(chain))
            const found = route === undefined ? undefined : instances(route.targets[0].id).instances
            return found === undefined ? undefined : Result.succeed(found)
          })
        )
    })
  )
