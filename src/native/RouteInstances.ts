/** The chain of one service together with the instances of all its targets, kept current. */
import { Deferred, Effect, Exit, Scope, Stream } from "effect"
import type * as TcpRoute from "../chain/TcpRoute.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import type * as Watched from "../watch/Watched.ts"

/** A target and its instances. */
export interface TargetInstances {
  readonly target: TcpRoute.Target
  readonly instances: Watched.Watched<ReadonlyArray<Endpoints.Endpoint>>
}

export interface Current {
  readonly route: TcpRoute.TcpRoute
  /** In order of preference. */
  readonly targets: ReadonlyArray<TargetInstances>
}

export interface RouteInstances {
  /** What is in force. Waits for the chain, not for instances. */
  readonly get: Effect.Effect<Current>
  /** What is in force, or undefined before the chain has arrived. */
  readonly latest: () => Current | undefined
}

/** Follows `chain` in the scope. When it changes, targets that stay keep their watch: it is shared. */
export const make = Effect.fnUntraced(function*(
  chain: Watched.Watched<TcpRoute.TcpRoute>,
  endpoints: Endpoints.Endpoints["Service"]
): Effect.fn.Return<RouteInstances, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const first = yield* Deferred.make<void>()
  let current: Current | undefined
  let held: Scope.Closeable | undefined
  const follow = Effect.fnUntraced(function*(route: TcpRoute.TcpRoute) {
    const next = yield* Scope.fork(scope)
    const targets = yield* Effect.forEach(
      route.targets,
      (target) => Effect.map(Scope.provide(endpoints.watch(target), next), (instances) => ({ target, instances }))
    )
    current = { route, targets }
    yield* Deferred.succeed(first, undefined)
    if (held !== undefined) yield* Scope.close(held, Exit.void)
    held = next
  }, Effect.uninterruptible)
  yield* Effect.forkScoped(Stream.runForEach(chain.changes, follow))
  return {
    get: Effect.map(Deferred.await(first), () => current!),
    latest: () => current
  }
})
