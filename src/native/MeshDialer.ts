/**
 * Connects to services of the mesh: discovery chain → targets → a healthy instance → mutual TLS with exactly the identity
 * of that target.
 *
 * What is tried: of the targets in order, the first one with a healthy instance; of its instances, drawn by weight, up to
 * three. All attempts share the connect timeout of the chain; while another instance stands by, an attempt may use half
 * of what is left, so that one that does not answer leaves time for the next. A failing target is not left for the next
 * one while its instances count as healthy: Consul's failover goes by health alone.
 */
import { Context, Effect, Layer, Option, RcMap, Result, Scope } from "effect"
import type * as TcpRoute from "../chain/TcpRoute.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Connect from "./Connect.ts"
import * as DialError from "./DialError.ts"
import * as InstanceChoice from "./InstanceChoice.ts"
import * as RouteInstances from "./RouteInstances.ts"

/** Attempts to connect before giving up. */
const maxAttempts = 3

/** How long nobody has to ask for a service until its watches end. */
const idleTimeToLive = "1 minute"

/** For the chain to arrive, unless the request brings a connect timeout of its own. */
const chainTimeoutMillis = 5000

/** A service whose chain and instances are being watched. */
export interface Route {
  /** A new connection, closed with its scope. Waits for chain and instances at most as long as the connect timeout. */
  readonly connect: Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
  /** What is known of the way there now. Undefined until the chain has arrived. */
  readonly current: () => RouteInstances.Current | undefined
}

export class MeshDialer extends Context.Service<MeshDialer, {
  /** Watches a service for as long as the scope is open. For those who dial often. */
  readonly route: (request: DiscoveryChains.Request) => Effect.Effect<Route, never, Scope.Scope>
  /** One connection, closed with the scope. The watches stay for a minute in case of another. */
  readonly dial: (
    request: DiscoveryChains.Request
  ) => Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
  /** One connection to a known address, where `expected` must answer. No discovery, one attempt. */
  readonly dialAddress: (
    options: Connect.Options
  ) => Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
}>()("effect-mesh/native/MeshDialer") {}

export const layer: Layer.Layer<
  MeshDialer,
  never,
  SecureContexts.SecureContexts | DiscoveryChains.DiscoveryChains | Endpoints.Endpoints
> = Layer.effect(
  MeshDialer,
  Effect.gen(function*() {
    const contexts = yield* SecureContexts.SecureContexts
    const chains = yield* DiscoveryChains.DiscoveryChains
    const endpoints = yield* Endpoints.Endpoints
    const context = yield* Effect.context<never>()
    const open = (options: Connect.Options) => Connect.open(options, contexts.current(), context)

    const follow = Effect.fnUntraced(function*(request: DiscoveryChains.Request) {
      const instances = yield* RouteInstances.make(yield* chains.watch(request), endpoints)
      const route: Route = {
        current: instances.latest,
        connect: connect(request, instances, (target, endpoint, timeoutMillis) =>
          open({
            address: endpoint.address,
            expected: SpiffeId.service({ ...target, trustDomain: contexts.current().roots.trustDomain }),
            sni: target.sni === "" ? undefined : target.sni,
            timeoutMillis
          }))
      }
      return route
    })

    const routes = yield* RcMap.make({ lookup: (key: string) => follow(JSON.parse(key)), idleTimeToLive })
    const route = ({ connectTimeoutMillis, datacenter, service }: DiscoveryChains.Request) =>
      RcMap.get(routes, JSON.stringify({ service, datacenter, connectTimeoutMillis }))
    return MeshDialer.of({
      route,
      dial: (request) =>
        Effect.scopedWith((held) => Effect.flatMap(Scope.provide(route(request), held), ({ connect }) => connect)),
      dialAddress: (options) =>
        Effect.mapError(
          open(options),
          (reason) => new DialError.DialError({ service: SpiffeId.display(options.expected), attempts: 1, reason })
        )
    })
  })
)

type Open = (
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  timeoutMillis: number
) => Effect.Effect<Connect.Connection, DialError.Reason, Scope.Scope>

const connect = (request: DiscoveryChains.Request, instances: RouteInstances.RouteInstances, open: Open) =>
  Effect.gen(function*() {
    const started = performance.now()
    const { service } = request
    const failure = (attempts: number, reason: DialError.Reason) =>
      new DialError.DialError({ service, attempts, reason })
    const current = instances.latest() ?? (yield* within(
      instances.get,
      request.connectTimeoutMillis ?? chainTimeoutMillis,
      (millis) => failure(0, new DialError.TimedOut({ what: "its discovery chain", millis }))
    ))
    const timeoutMillis = current.route.connectTimeoutMillis
    const left = () => Math.ceil(started + timeoutMillis - performance.now())

    const candidates = yield* healthy(current, left)
    if (candidates._tag === "None") return yield* failure(0, candidates.reason)
    const { endpoints, target } = candidates
    const last = Math.min(maxAttempts, endpoints.length)
    for (let attempt = 1;; attempt++) {
      const millis = attempt === last ? left() : Math.ceil(left() / 2)
      const opened = yield* Effect.result(open(target, endpoints[attempt - 1]!, Math.max(1, millis)))
      if (Result.isSuccess(opened)) return opened.success
      if (attempt === last || left() <= 0) return yield* failure(attempt, opened.failure)
      yield* Effect.logWarning(`${service}: ${opened.failure.message}. Trying another instance`)
    }
  })

type Candidates =
  | {
    readonly _tag: "Some"
    readonly target: TcpRoute.Target
    readonly endpoints: ReadonlyArray<Endpoints.Endpoint>
  }
  | { readonly _tag: "None"; readonly reason: DialError.Reason }

/** The instances to try, of the first target that has a healthy one. Targets not heard of in time are passed over. */
const healthy = Effect.fnUntraced(function*(current: RouteInstances.Current, left: () => number) {
  let known = 0
  let silent: string | undefined
  for (const [index, { instances, target }] of current.targets.entries()) {
    const wait = index === current.targets.length - 1 ? left() : left() / 2
    const endpoints = instances.latest() ??
      (yield* Effect.option(within(instances.get, wait, () => "silent" as const)).pipe(
        Effect.map(Option.getOrUndefined)
      ))
    if (endpoints === undefined) {
      silent ??= target.id
      continue
    }
    known += endpoints.length
    const ordered = InstanceChoice.order(endpoints, Math.random)
    if (ordered.length > 0) return { _tag: "Some", target, endpoints: ordered } satisfies Candidates
  }
  const reason = silent === undefined
    ? new DialError.NoHealthyInstance({ known })
    : new DialError.TimedOut({ what: `the list of instances of ${silent}`, millis: current.route.connectTimeoutMillis })
  return { _tag: "None", reason } satisfies Candidates
})

const within = <A, E>(self: Effect.Effect<A>, millis: number, orElse: (millis: number) => E): Effect.Effect<A, E> =>
  Effect.timeoutOrElse(self, { duration: Math.max(0, millis), orElse: () => Effect.fail(orElse(millis)) })
