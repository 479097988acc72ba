/** The instances of one service for requests: waits for their lists, and has a pool of connections for each instance. */
import * as Crypto from "node:crypto"
import { Effect, type Scope } from "effect"
import * as Fibers from "../../net/Fibers.ts"
import type * as LoadBalancer from "../../balance/LoadBalancer.ts"
import type * as OutlierDetection from "../../balance/OutlierDetection.ts"
import * as HashKey from "../../route/HashKey.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import type * as Endpoints from "../../watch/Endpoints.ts"
import * as Destination from "../Destination.ts"
import type * as DestinationStatus from "../DestinationStatus.ts"
import type * as DestinationWatch from "../DestinationWatch.ts"
import * as DialError from "../DialError.ts"
import * as Ejections from "../Ejections.ts"
import * as InstancePicker from "../InstancePicker.ts"
import type * as Resolver from "../Resolver.ts"
import type * as Tried from "../Tried.ts"
import type * as InstancePool from "./InstancePool.ts"
import type * as Pooling from "./Pooling.ts"
import * as RetryPlaces from "./RetryPlaces.ts"

export type Instance<P = InstancePool.InstancePool> = InstancePicker.Instance<P>

export interface HttpUpstream<P = InstancePool.InstancePool> {
  readonly service: string
  /**
   * Waits for the targets, then for instances of them in their order, as a call fails over only from a target that is known;
   * for instances at most as long as connecting may take.
   */
  readonly ready: Effect.Effect<void, DialError.Reason>
  readonly isReady: () => boolean
  /** What requests are told apart by where instances are chosen by that. Default for `hashBy`: what the service-resolver says. */
  readonly hash: (request: HashKey.Request, hashBy?: ReadonlyArray<TcpRoute.HashBy>) => HashKey.Hashed
  /** Where the next request with this hash goes, or why it can not. The instance counts it as active until its `end`. */
  readonly pick: (tried: Tried.Tried, hash: number | undefined) => Instance<P> | DialError.Reason
  /** Tells how a request went. */
  readonly report: (instance: Instance<P>, succeeded: boolean) => void
  readonly retries: RetryPlaces.RetryPlaces
  /** Requests without a whole answer, those on instances that have left since among them. */
  readonly active: () => number
  /** Whether an instance is known, healthy or not. */
  readonly isKnown: () => boolean
  /** The instances, with what is remembered of them. None until the targets have arrived. */
  readonly status: () => ReadonlyArray<DestinationStatus.TargetStatus>
}

export interface Options {
  /** Overrides the policy of the service-resolver. */
  readonly balancer?: LoadBalancer.Policy | undefined
  readonly outliers?: Partial<OutlierDetection.Options> | undefined
  /** How many requests for a resolver are tried again at a time, by the word of their routes. Default: 3, as Envoy. */
  readonly maxRetries?: number | undefined
  /** Default: `lenient`. */
  readonly ejection?: "strict" | "lenient" | undefined
}

/** Closes all its connections with the scope. */
export const make = Effect.fnUntraced(function*<P extends Pooling.Pool>(
  { follow, name: service, patienceMillis }: Pick<Resolver.Resolver, "follow" | "name" | "patienceMillis">,
  pooling: Pooling.Pooling<P>,
  options: Options
): Effect.fn.Return<HttpUpstream<P>, never, Resolver.Sources | Scope.Scope> {
  const watch = yield* follow
  const { run } = yield* Fibers.make()
  const ejected = yield* Ejections.make(service, "requests")
  const known = () => Destination.known(watch.latest())
  const pools = yield* makePools(
    (target, endpoint) =>
      pooling({
        service,
        target,
        endpoint,
        timeoutMillis: () => known()?.route.connectTimeoutMillis ?? patienceMillis
      }, run),
    run
  )
  const pool = InstancePicker.make<P>({ ...options, ...pools })
  const retries = RetryPlaces.make(options.maxRetries)
  return {
    service,
    ...readiness(watch, known, patienceMillis),
    hash: (request, asked) => {
      const hashBy = asked ?? known()?.route.balancing?.hashBy ?? []
      return hashBy.length === 0 ? alike : HashKey.withCookie(hashBy, request, cookieValue)
    },
    pick: (tried, hash) => {
      const destination = watch.latest()
      if (destination === undefined) return watch.late(patienceMillis)
      if (Destination.isUnknown(destination)) return destination
      return pool.pick(destination, { now: performance.now(), random: Math.random, tried, hash }) ??
        Destination.noHealthyInstance(destination)
    },
    report: (instance, succeeded) => {
      if (instance.report(succeeded, performance.now(), Math.random())) run(ejected(instance))
    },
    retries,
    active: () => pool.active() + retries.waiting(),
    isKnown: () => {
      const destination = known()
      return destination !== undefined && Destination.hasInstances(destination)
    },
    status: () => {
      const destination = known()
      return destination === undefined ? [] : pool.status(destination, performance.now())
    }
  }
})

const alike: HashKey.Hashed = { hash: undefined, setCookie: undefined }

const cookieValue = (): string => Crypto.randomBytes(8).toString("hex")

/** The connections of each instance. Those that are left are cut with the scope. */
const makePools = Effect.fnUntraced(function*<P extends Pooling.Pool>(
  make: (target: TcpRoute.Target, endpoint: Endpoints.Endpoint) => P,
  run: (effect: Effect.Effect<void>) => void
): Effect.fn.Return<Pick<InstancePicker.Options<P>, "open" | "retire">, never, Scope.Scope> {
  const pools = new Set<P>()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(pools, ({ destroy }) => destroy, { concurrency: "unbounded", discard: true })
  )
  return {
    open: (target, endpoint) => {
      const made = make(target, endpoint)
      pools.add(made)
      return made
    },
    retire: (pool) => run(Effect.andThen(pool.close, Effect.sync(() => pools.delete(pool))))
  }
})

/** Waits for what a first request needs to know. Where some target stays silent, later requests do without it. */
const readiness = (
  { get, late }: DestinationWatch.DestinationWatch,
  known: () => Destination.Destination | undefined,
  patienceMillis: number
): Pick<HttpUpstream, "ready" | "isReady"> => {
  let waitedFor: Destination.Destination | undefined
  return {
    isReady: () => {
      const destination = known()
      return destination !== undefined &&
        (Destination.isDecided(destination) || (destination === waitedFor && Destination.isHeard(destination)))
    },
    ready: Effect.gen(function*() {
      const destination = yield* Effect.timeoutOrElse(get, {
        duration: patienceMillis,
        orElse: () => Effect.fail(late(patienceMillis))
      })
      const { route: { connectTimeoutMillis }, targets } = destination
      yield* Effect.gen(function*() {
        for (const { instances } of targets) if (Destination.hasHealthy(yield* instances.get)) return
      }).pipe(Effect.timeoutOrElse({
        duration: connectTimeoutMillis,
        orElse: () => {
          waitedFor = destination
          return Destination.isHeard(destination) ? Effect.void : Effect.fail(DialError.unheard(
            "the list of its instances",
            connectTimeoutMillis,
            targets[0]?.instances.freshness().lastError
          ))
        }
      }))
    })
  }
}
