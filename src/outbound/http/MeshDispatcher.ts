/**
 * undici's `Dispatcher` over the mesh: the host of each request names a service, an instance of it is chosen, and the
 * connection to it is mutual TLS with exactly its identity. For Effect's `HttpClient` there is `MeshHttpClient`; everything
 * else that takes a dispatcher, `fetch` and `undici.request` among them, can have this one. One attempt for each request, unless its
 * route says otherwise.
 */
import type * as Undici from "@effect/platform-node/Undici"
import { Context, Effect, Layer, type Scope } from "effect"
import * as Fibers from "../../net/Fibers.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as HttpMetrics from "../../observe/HttpMetrics.ts"
import * as Meter from "../../observe/Meter.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import * as Connect from "../Connect.ts"
import * as Destination from "../Destination.ts"
import type * as Resolver from "../Resolver.ts"
import * as Dispatcher from "./Dispatcher.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import * as InstancePool from "./InstancePool.ts"
import * as Origins from "./Origins.ts"
import * as RouteRules from "./RouteRules.ts"
import * as Services from "./Services.ts"

export { Attempts } from "./Attempts.ts"
export type { Overrides } from "./RouteRules.ts"

export interface Options extends HttpUpstream.Options {
  readonly pool?: InstancePool.PoolOptions | undefined
  /** What holds for all requests in place of what their routes say. */
  readonly overrides?: RouteRules.Overrides | undefined
  /** What a host names, where Consul's names do not tell; asked once for each host. Undefined: they do. */
  readonly resolve?: ((host: string) => Resolver.Input | undefined) | undefined
  /**
   * How many services may be watched at a time. For another one the longest unused is let go; where all are in use, requests
   * to the other one fail. Default: 250.
   */
  readonly maxServices?: number | undefined
  /**
   * How long a service may be unused until its watches and connections end. Default: 5 minutes; at most 10 seconds for a name
   * without instances, as outsiders may choose the names that a program forwards to.
   */
  readonly serviceIdleMillis?: number | undefined
}

export interface Stats {
  /** Services that are being watched. */
  readonly services: number
  /** Requests without a whole answer. */
  readonly active: number
  /** Answered, by `source destination code`. */
  readonly requests: Readonly<Record<string, number>>
}

export class MeshDispatcher extends Context.Service<MeshDispatcher, {
  readonly undici: Undici.Dispatcher
  readonly stats: () => Stats
}>()("effect-mesh/native/MeshDispatcher") {}

const defaultIdleMillis = 300_000
const maxUnknownIdleMillis = 10_000

/** Each costs a watch of its chain and one for each of its targets. */
const defaultMaxServices = 250

export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  MeshDispatcher["Service"],
  never,
  SecureContexts.SecureContexts | Resolver.Sources | Scope.Scope
> {
  const contexts = yield* SecureContexts.SecureContexts
  const context = yield* Effect.context<never>()
  const { run } = yield* Fibers.make()
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
    })
  )
  const maxServices = options.maxServices ?? defaultMaxServices
  const idleMillis = options.serviceIdleMillis ?? defaultIdleMillis
  const limits = { maxServices, idleMillis, unknownMillis: Math.min(idleMillis, maxUnknownIdleMillis) }
  const services = yield* Services.make(
    limits,
    InstancePool.pooling(opener(contexts, context), options.pool ?? {}),
    options
  )
  const metrics = yield* HttpMetrics.make("outbound", services.active)
  return {
    undici: new Dispatcher.Dispatcher({
      source: contexts.current().leaf.identity.service,
      originOf: Origins.make(options.resolve),
      services,
      maxServices,
      overrides: options.overrides,
      metrics,
      countRetry: (destination) => {
        Meter.count(MetricCatalogue.retries, { destination }, context).value++
      },
      run,
      isClosed: () => closed
    }),
    stats: () => ({
      services: services.size(),
      active: services.active(),
      requests: metrics.totals().requests
    })
  }
})

/**
 * For `compose`, to make a dispatcher with times and a word about retries that hold in place of the routes'. What a single request says
 * itself is nearer to it, and wins.
 */
export const overriding =
  (overrides: RouteRules.Overrides): Undici.Dispatcher.DispatcherComposeInterceptor =>
  (dispatch) =>
  (options, handler) =>
    dispatch(RouteRules.override(options, { ...overrides, ...RouteRules.overridesOf(options) }), handler)

export const layer = (options: Options = {}): Layer.Layer<
  MeshDispatcher,
  never,
  SecureContexts.SecureContexts | Resolver.Sources
> => Layer.effect(MeshDispatcher, make(options))

const opener =
  (contexts: SecureContexts.SecureContexts["Service"], context: Context.Context<never>): InstancePool.Open =>
  (target, endpoint, timeoutMillis, alpn) =>
    Effect.suspend(() => {
      const material = contexts.current()
      const options = { ...Destination.dialling(target, endpoint, material), alpn, timeoutMillis }
      return Connect.open(options, material, context)
    })
