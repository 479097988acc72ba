/**
 * The instances of one service for HTTP: a pool of connections for each, a balancer and a memory of failures for each
 * target of the discovery chain. Follows the chain and the lists of instances when it is asked, not in between.
 *
 * A target is left for the next one while it has no healthy instance that has not been tried or ejected. Where that leaves
 * nobody at all, ejected instances are better than none.
 */
import * as Undici from "@effect/platform-node/Undici"
import { Effect, Equal, FiberSet, type Scope } from "effect"
import * as HashKey from "../../route/HashKey.ts"
import * as LoadBalancer from "../../balance/LoadBalancer.ts"
import * as OutlierDetection from "../../balance/OutlierDetection.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import * as LineLimit from "../../observe/LineLimit.ts"
import * as Catalogue from "../../observe/Catalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import * as OrderlyEnd from "../../tls/OrderlyEnd.ts"
import type * as Endpoints from "../../watch/Endpoints.ts"
import type * as Connect from "../Connect.ts"
import * as DialError from "../DialError.ts"
import * as Lifetimes from "../../net/Lifetimes.ts"
import * as Listening from "../../net/Listening.ts"
import type * as Resolver from "../Resolver.ts"
import * as RouteInstances from "../RouteInstances.ts"
import * as Tracing from "../../observe/Tracing.ts"

export interface Instance {
  /** Node and service id. */
  readonly id: string
  /** Who is expected there, which may be another one than was asked for. */
  readonly service: string
  readonly address: string
  /** As in `Endpoint`: its connections are to nobody else. */
  readonly expected: Endpoints.Endpoint["expected"]
  readonly pool: Undici.Pool
  /** Tells how a request went. */
  readonly report: (succeeded: boolean) => void
  weight: number
  /** Requests without a whole answer. */
  active: number
  /** While a request is handed to the pool: what the connection that it may need is for. */
  dialledFor: Tracing.Traced | undefined
}

export interface HttpUpstream {
  readonly service: string
  /**
   * Waits for the targets, then for instances of them in their order, as nobody fails over from what is not known yet; for
   * these at most as long as connecting may take.
   */
  readonly ready: Effect.Effect<void, DialError.Reason>
  readonly isReady: () => boolean
  /** Where the next request goes, or why it can not. */
  readonly pick: (tried: ReadonlySet<string>, request: HashKey.Request) => Instance | DialError.Reason
  /** Requests without a whole answer, those on instances that have left since among them. */
  readonly active: () => number
  /** Whether there is anybody to call, healthy or not. False as long as nothing is known. */
  readonly isKnown: () => boolean
}

export interface Options {
  /** Overrides the policy of the service-resolver. */
  readonly balancer?: LoadBalancer.Policy | undefined
  readonly outliers?: Partial<OutlierDetection.Options> | undefined
  readonly pool?: PoolOptions | undefined
}

/** Of one instance. */
export interface PoolOptions {
  /** Connections at a time; more requests wait. Default: 1024, as Consul's sidecars. */
  readonly connections?: number | undefined
  /** How long a connection is kept without a request. Default: 30 seconds. */
  readonly idleMillis?: number | undefined
  /** How long a connection takes new requests. Default: no limit. */
  readonly maxAgeMillis?: number | undefined
  /** The part of that which is left to chance, so that connections made at once do not end at once. Default: 0.1. */
  readonly ageJitter?: number | undefined
  /** Offers HTTP/2, many requests on a connection. Default: HTTP/1.1 alone. */
  readonly http2?: boolean | undefined
}

/** To one instance: `max_connections` of Envoy where nothing else is said, and so of Consul's sidecars. */
const maxConnections = 1024

interface Member {
  readonly balancer: LoadBalancer.LoadBalancer<Instance>
  readonly outliers: OutlierDetection.OutlierDetection
  readonly instances: Map<string, Instance>
  /** What `instances` was made from. */
  seen: ReadonlyArray<Endpoints.Endpoint> | undefined
}

/** Connects to an instance of a target. */
export type Open = (
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  timeoutMillis: number,
  alpn: ReadonlyArray<string>
) => Effect.Effect<Connect.Connection, DialError.Reason>

/** Closes all its connections with the scope. */
export const make = Effect.fnUntraced(function*(
  { name: service, patienceMillis }: Resolver.Resolver,
  routes: RouteInstances.RouteInstances,
  open: Open,
  options: Options
): Effect.fn.Return<HttpUpstream, never, Scope.Scope> {
  const run = yield* FiberSet.makeRuntime()
  const context = yield* Effect.context<never>()
  const pools = new Set<Undici.Pool>()
  const lines = LineLimit.make()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(pools, (pool) => Effect.promise(() => pool.destroy()), { concurrency: "unbounded", discard: true })
  )
  // Requests bring their host: this one is for those that can not.
  const origin = `http://${service.replaceAll(/[^\w.-]/g, "-")}`
  const members = new Map<string, Member>()
  let current: RouteInstances.Current | undefined
  /** Where some target has kept silent for so long that others have to do without it. */
  let waitedFor: RouteInstances.Current | undefined

  /** No new requests go there, and those at hand are finished. */
  const leaving = new Set<Instance>()

  const retire = (instance: Instance) => {
    leaving.add(instance)
    run(Effect.andThen(
      Effect.promise(() => instance.pool.close()),
      Effect.sync(() => {
        pools.delete(instance.pool)
        leaving.delete(instance)
      })
    ))
  }

  const makeInstance = (member: Member, target: TcpRoute.Target, endpoint: Endpoints.Endpoint): Instance => {
    const { expected, id } = endpoint
    const called = RouteInstances.serviceOf(target, endpoint)
    const address = Listening.format(endpoint.address)
    const http2 = options.pool?.http2 ?? false
    const maxAge = options.pool?.maxAgeMillis
    const pool = new Undici.Pool(origin, {
      connections: options.pool?.connections ?? maxConnections,
      clientTtl: maxAge ?? null,
      keepAliveTimeout: options.pool?.idleMillis ?? 30_000,
      allowH2: http2,
      connect: (_, callback) => {
        const timeoutMillis = current?.route.connectTimeoutMillis ?? patienceMillis
        const about = {
          [Tracing.attributes.destination]: called,
          [Tracing.attributes.instance]: id,
          [Tracing.attributes.address]: address
        }
        const opening = open(target, endpoint, timeoutMillis, http2 ? ["h2", "http/1.1"] : ["http/1.1"])
        run(Effect.match(Tracing.dialling(opening, about, instance.dialledFor), {
          onSuccess: ({ socket }) => {
            OrderlyEnd.hideResets(socket)
            callback(null, socket)
          },
          onFailure: (error) => callback(error, null)
        }))
      }
    })
    if (maxAge !== undefined) pool.on("connect", (_, targets) => grow(targets, maxAge))
    pools.add(pool)
    const instance: Instance = {
      id,
      service: called,
      address,
      expected,
      pool,
      weight: endpoint.weight,
      active: 0,
      dialledFor: undefined,
      report: (succeeded) => {
        const now = performance.now()
        if (!member.outliers.report(id, succeeded, now, Math.random())) return
        Meter.count(Catalogue.ejections, { destination: service }, context).value++
        const leftOut = lines.admit(id, now)
        if (leftOut === undefined) return
        const what = `${service}: ejected ${id} at ${address} for a while, as requests to it fail`
        run(Effect.annotateLogs(Effect.logWarning(`${what}${LineLimit.suffix(leftOut)}`), {
          direction: "outbound",
          reason: "ejected",
          destination: target.service,
          instance: id,
          remote: address
        }))
      }
    }
    return instance
  }

  /** The pool has noted when they were made, as `ttl`: some are made to look older. */
  const grow = (made: ReadonlyArray<object>, maxAge: number) => {
    const left = Lifetimes.jittered(maxAge, options.pool?.ageJitter ?? 0.1, Math.random())
    for (const one of made) Object.assign(one, { ttl: Date.now() - (maxAge - left) })
  }

  const refresh = (member: Member, target: TcpRoute.Target, list: ReadonlyArray<Endpoints.Endpoint>) => {
    if (list === member.seen) return
    member.seen = list
    const healthy = new Map(list.filter(({ weight }) => weight > 0).map((endpoint) => [endpoint.id, endpoint]))
    for (const [id, instance] of member.instances) {
      const endpoint = healthy.get(id)
      if (
        endpoint !== undefined && Listening.format(endpoint.address) === instance.address &&
        Equal.equals(endpoint.expected, instance.expected)
      ) continue
      member.instances.delete(id)
      retire(instance)
    }
    for (const [id, endpoint] of healthy) {
      const known = member.instances.get(id)
      if (known === undefined) member.instances.set(id, makeInstance(member, target, endpoint))
      else known.weight = endpoint.weight
    }
    member.balancer.update([...member.instances.values()])
    member.outliers.update([...member.instances.keys()])
  }

  /** Targets that stay keep their connections and their past. */
  const follow = (next: RouteInstances.Current) => {
    if (next === current) return
    const policy = options.balancer ?? next.route.balancing?.policy ?? LoadBalancer.roundRobin
    const before = current?.route.balancing?.policy
    const samePolicy = current !== undefined && JSON.stringify(before) === JSON.stringify(next.route.balancing?.policy)
    current = next
    const ids = new Set(next.targets.map(({ target }) => target.id))
    for (const [id, member] of members) {
      if (ids.has(id) && samePolicy) continue
      members.delete(id)
      for (const instance of member.instances.values()) retire(instance)
    }
    for (const id of ids) {
      if (members.has(id)) continue
      members.set(id, {
        balancer: LoadBalancer.make(policy),
        outliers: OutlierDetection.make({ ...OutlierDetection.defaults, ...options.outliers }, performance.now()),
        instances: new Map(),
        seen: undefined
      })
    }
  }

  const pickWith = (
    { route, targets }: RouteInstances.Current,
    request: HashKey.Request,
    without: (member: Member, id: string) => boolean
  ): Instance | undefined => {
    const hashBy = route.balancing?.hashBy
    const hash = hashBy === undefined || hashBy.length === 0 ? undefined : HashKey.of(hashBy, request)
    for (const { instances, target } of targets) {
      const list = instances.latest()
      const member = members.get(target.id)
      if (list === undefined || member === undefined) continue
      refresh(member, target, list)
      const picked = member.balancer.pick({
        random: Math.random,
        active: (id) => member.instances.get(id)?.active ?? 0,
        hash,
        without: (id) => without(member, id)
      })
      if (picked !== undefined) return picked
    }
    return undefined
  }

  return {
    service,
    isReady: () => {
      const latest = routes.latest()
      return latest !== undefined && !RouteInstances.isUnknown(latest) &&
        (isDecided(latest) || (latest === waitedFor && isKnown(latest)))
    },
    ready: Effect.gen(function*() {
      const current = yield* routes.get.pipe(Effect.timeoutOrElse({
        duration: patienceMillis,
        orElse: () => Effect.fail(routes.late(patienceMillis))
      }))
      const millis = current.route.connectTimeoutMillis
      yield* Effect.gen(function*() {
        for (const { instances } of current.targets) if (hasHealthy(yield* instances.get)) return
      }).pipe(Effect.timeoutOrElse({
        duration: millis,
        orElse: () => {
          waitedFor = current
          return isKnown(current)
            ? Effect.void
            : Effect.fail(
              DialError.unheard(
                "the list of its instances",
                millis,
                current.targets[0]?.instances.freshness().lastError
              )
            )
        }
      }))
    }),
    pick: (tried, request) => {
      const next = routes.latest()
      if (next === undefined) return routes.late(patienceMillis)
      if (RouteInstances.isUnknown(next)) return next
      follow(next)
      const now = performance.now()
      return pickWith(next, request, ({ outliers }, id) => tried.has(id) || outliers.isEjected(id, now)) ??
        pickWith(next, request, (_, id) => tried.has(id)) ??
        pickWith(next, request, () => false) ??
        RouteInstances.nobody(next)
    },
    isKnown: () => {
      const next = routes.latest()
      return next !== undefined && !RouteInstances.isUnknown(next) &&
        next.targets.some(({ instances }) => (instances.latest()?.length ?? 0) > 0)
    },
    active: () => {
      let sum = 0
      for (const instance of leaving) sum += instance.active
      for (const member of members.values()) {
        for (const instance of member.instances.values()) sum += instance.active
      }
      return sum
    }
  }
})

const hasHealthy = (list: ReadonlyArray<Endpoints.Endpoint>): boolean => list.some(({ weight }) => weight > 0)

/** Whether what is known tells which target is to be called. */
const isDecided = ({ targets }: RouteInstances.Current): boolean => {
  for (const { instances } of targets) {
    const list = instances.latest()
    if (list === undefined) return false
    if (hasHealthy(list)) return true
  }
  return true
}

const isKnown = ({ targets }: RouteInstances.Current): boolean =>
  targets.some(({ instances }) => instances.latest() !== undefined)
