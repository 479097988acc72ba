/** Follows the services that are called, each in a scope of its own, and lets go of those that are no longer used. */
import { Deferred, Duration, Effect, Exit, FiberSet, Scope } from "effect"
import type * as DialError from "../DialError.ts"
import type * as Resolver from "../Resolver.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import type * as Pooling from "./Pooling.ts"
import type * as InstancePool from "./InstancePool.ts"
import * as ServiceTable from "./ServiceTable.ts"
import type * as Upstream from "./Upstream.ts"
import * as UpstreamFor from "./UpstreamFor.ts"

export interface Service extends ServiceTable.Entry {
  /** Undefined until it is ready to take a request. */
  readonly ready: () => Upstream.Upstream | undefined
  /** Waits for what a request needs to know. Until it is over, the service stays. */
  readonly wait: Effect.Effect<Upstream.Upstream, DialError.Reason>
}

export interface Services {
  /** Undefined: there is no place for another one. */
  readonly get: (resolver: Resolver.Resolver) => Service | undefined
  readonly size: () => number
  /** Requests without a whole answer. */
  readonly active: () => number
}

interface Followed extends Service {
  readonly scope: Scope.Closeable
  readonly active: () => number
}

export const make = Effect.fnUntraced(function*(
  limits: ServiceTable.Limits,
  pooling: Pooling.Pooling<InstancePool.InstancePool>,
  options: HttpUpstream.Options
): Effect.fn.Return<Services, never, Resolver.Sources | Scope.Scope> {
  const scope = yield* Effect.scope
  const run = yield* FiberSet.makeRuntime<Resolver.Sources>()
  const table = ServiceTable.make<Followed>(limits)

  const letGo = (services: ReadonlyArray<Followed>): Effect.Effect<void> =>
    Effect.forEach(services, ({ scope }) => Scope.close(scope, Exit.void), {
      concurrency: "unbounded",
      discard: true
    })

  const follow = (resolver: Resolver.Resolver): Followed => {
    const { making, service } = followed(UpstreamFor.make(resolver, pooling, options), Scope.forkUnsafe(scope))
    run(making)
    return service
  }

  yield* Effect.forkScoped(Effect.forever(Effect.delay(
    Effect.suspend(() => letGo(table.takeIdle(performance.now()))),
    Duration.millis(limits.unknownMillis)
  )))

  return {
    get: (resolver) => {
      const known = table.get(resolver.key)
      if (known !== undefined) return known
      const left = table.makePlace()
      if (left === undefined) return undefined
      if (left.length > 0) run(letGo(left))
      const service = follow(resolver)
      table.add(resolver.key, service)
      return service
    },
    size: table.size,
    active: () => {
      let sum = 0
      for (const { active } of table.entries()) sum += active()
      return sum
    }
  }
})

/** A service whose upstream is still to be made. */
const followed = (
  make: Effect.Effect<Upstream.Upstream, never, Resolver.Sources | Scope.Scope>,
  scope: Scope.Closeable
): { readonly service: Followed; readonly making: Effect.Effect<void, never, Resolver.Sources> } => {
  const made = Deferred.makeUnsafe<Upstream.Upstream>()
  let upstream: Upstream.Upstream | undefined
  let waiting = 0
  return {
    making: Effect.gen(function*() {
      upstream = yield* Scope.provide(make, scope)
      yield* Deferred.succeed(made, upstream)
    }),
    service: {
      scope,
      usedAt: performance.now(),
      active: () => upstream?.active() ?? 0,
      isInUse: () => waiting > 0 || (upstream?.active() ?? 0) > 0,
      isKnown: () => upstream?.isKnown() === true,
      ready: () => upstream?.isReady() === true ? upstream : undefined,
      wait: Effect.suspend(() => {
        waiting++
        return Effect.flatMap(Deferred.await(made), (upstream) => Effect.as(upstream.ready, upstream)).pipe(
          Effect.ensuring(Effect.sync(() => waiting--))
        )
      })
    }
  }
}
