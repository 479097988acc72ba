/** A mesh of values that a test changes by hand: roots, a leaf, intentions, chains and instances. */
import { Effect, Layer, Result, Stream, SubscriptionRef } from "effect"
import type * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"
import type * as TcpRoute from "../../src/route/TcpRoute.ts"
import type * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import type * as Refusal from "../../src/tls/Refusal.ts"
import type * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as Endpoints from "../../src/watch/Endpoints.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as JwtProviders from "../../src/watch/JwtProviders.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as MeshDefaults from "../../src/watch/MeshDefaults.ts"
import * as PreparedQueries from "../../src/watch/PreparedQueries.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Certificates from "./certificates.ts"

/** `web=allow` per source; everybody else gets `fallback`. */
export const policy = (
  destination: string,
  sources: Readonly<Record<string, "allow" | "deny">>,
  fallback: Authorizer.DefaultPolicy = "deny"
): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { service: destination },
    trustDomain: Certificates.trustDomain,
    intentions: Object.entries(sources).map(([source, action]) => Intention.make(source, destination, action)),
    defaultPolicy: fallback
  })

/** The same for requests, by whole intentions. */
export const requestPolicy = (
  destination: string,
  ...intentions: ReadonlyArray<Intention.Intention>
): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { service: destination, protocol: "http" },
    trustDomain: Certificates.trustDomain,
    intentions,
    defaultPolicy: "deny"
  })

/** What a listener makes of a caller: its identity, or why it is refused. */
export const admit = (
  peer: PeerVerification.Presented,
  authorizer: Authorizer.Authorizer,
  material: PeerVerification.CallerMaterial
): Result.Result<SpiffeId.Service, Refusal.Refusal> =>
  Result.flatMap(PeerVerification.acceptor(peer, material), (caller) => {
    const decision = authorizer.connection(caller)
    return decision.allowed ? Result.succeed(caller) : Result.fail({ _tag: "Denied", caller, decision })
  })

/** What one service knows, each part of it settable. Lets `web` in and nobody else. */
export const member = (name: string, authority: Certificates.Authority) =>
  Effect.flatMap(
    Effect.promise(() => Certificates.leafOf(authority, name)),
    (leaf) => memberWith(name, Certificates.bundle(authority), leaf)
  )

/** The same with a leaf and roots that were made elsewhere. */
export const memberWith = Effect.fnUntraced(function*(
  name: string,
  bundle: TrustBundle.TrustBundle,
  certificate: LeafCertificate.Leaf
) {
  const roots = yield* SubscriptionRef.make(bundle)
  const leaf = yield* SubscriptionRef.make(certificate)
  const intentions = yield* SubscriptionRef.make(policy(name, { web: "allow" }))
  const providers = yield* SubscriptionRef.make<JwtProviders.Providers>(new Map())
  const defaults = yield* SubscriptionRef.make(MeshDefaults.defaults)
  return {
    defaults,
    roots,
    leaf,
    intentions,
    providers,
    layer: SecureContexts.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(
        CaRoots.layerFrom(roots),
        LeafCertificate.layerFrom(leaf),
        Intentions.layerFrom(intentions),
        JwtProviders.layerFrom(providers),
        MeshDefaults.layerFrom(defaults)
      ))
    )
  }
})

export type Member = Effect.Success<ReturnType<typeof member>>

export const target = (service: string, datacenter = "dc1"): TcpRoute.Target => ({
  id: `${service}.default.default.${datacenter}`,
  service,
  partition: "default",
  namespace: "default",
  datacenter,
  filter: "",
  onlyPassing: false,
  sni: `${service}.default.${datacenter}.internal.${Certificates.trustDomain}`
})

export const endpoint = (port: number, weight = 1): Endpoints.Endpoint => ({
  id: `node/${port}`,
  address: { host: "127.0.0.1", port },
  weight
})

/** Chains of one target each, with these instances by the target's id. Both can be changed, and queries be added. */
export const discovery = Effect.fnUntraced(function*(
  instances: Readonly<Record<string, ReadonlyArray<Endpoints.Endpoint>>>
) {
  const routes = new Map<string, SubscriptionRef.SubscriptionRef<TcpRoute.TcpRoute>>()
  const lists = new Map<string, SubscriptionRef.SubscriptionRef<ReadonlyArray<Endpoints.Endpoint>>>()
  const chains = new Map<string, SubscriptionRef.SubscriptionRef<DiscoveryChain.Chain>>()
  const setChain = (service: string, chain: DiscoveryChain.Chain) =>
    Effect.gen(function*() {
      const known = chains.get(service)
      if (known === undefined) chains.set(service, yield* SubscriptionRef.make(chain))
      else yield* SubscriptionRef.set(known, chain)
    })
  const queries = new Map<string, SubscriptionRef.SubscriptionRef<PreparedQueries.Found>>()
  const setQuery = (query: string, list: ReadonlyArray<Endpoints.Endpoint>) =>
    Effect.gen(function*() {
      const known = queries.get(query)
      if (known === undefined) {
        queries.set(query, yield* SubscriptionRef.make<PreparedQueries.Found>(Result.succeed(list)))
      } else yield* SubscriptionRef.set(known, Result.succeed(list))
    })
  const setRoute = (service: string, route: TcpRoute.TcpRoute) =>
    Effect.gen(function*() {
      const known = routes.get(service)
      if (known === undefined) routes.set(service, yield* SubscriptionRef.make(route))
      else yield* SubscriptionRef.set(known, route)
    })
  const setInstances = (id: string, list: ReadonlyArray<Endpoints.Endpoint>) =>
    Effect.gen(function*() {
      const known = lists.get(id)
      if (known === undefined) lists.set(id, yield* SubscriptionRef.make(list))
      else yield* SubscriptionRef.set(known, list)
    })
  for (const [id, list] of Object.entries(instances)) {
    const service = id.split(".")[0]!
    yield* setRoute(service, { targets: [target(service)], connectTimeoutMillis: 2000 })
    yield* setInstances(target(service).id, list)
  }
  return {
    setRoute,
    /** From then on requests for the service go by its routes. */
    setChain,
    setInstances,
    setQuery,
    layer: Layer.mergeAll(
      DiscoveryChains.layerStatic(
        ({ service }) => {
          const ref = routes.get(service)
          return ref === undefined ? never("the chain") : Watched.fromRef("the chain", ref)
        },
        undefined,
        ({ service }) => {
          const ref = chains.get(service)
          return ref === undefined ? undefined : Watched.fromRef("the chain", ref)
        }
      ),
      Endpoints.layerStatic(({ id }) => {
        const ref = lists.get(id)
        return ref === undefined ? never("the instances") : Watched.fromRef("the instances", ref)
      }),
      PreparedQueries.layerStatic(({ query }) => {
        const ref = queries.get(query)
        return ref === undefined
          ? Watched.constant("the query", Result.fail(`there is no prepared query ${query}`))
          : Watched.fromRef("the query", ref)
      })
    )
  }
})

/** A value that does not arrive. */
const never = <A>(what: string): Watched.Watched<A> => ({
  what,
  get: Effect.never,
  latest: () => undefined,
  changes: Stream.never,
  freshness: () => ({ answeredAt: undefined, failures: 0, lastError: undefined })
})
