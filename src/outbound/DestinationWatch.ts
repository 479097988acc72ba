/** Keeps a `Destination` current: the running form of a `Resolver`. */
import { Deferred, Effect, Exit, Result, Scope, Stream } from "effect"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Watched from "../watch/Watched.ts"
import * as Destination from "./Destination.ts"
import * as DialError from "./DialError.ts"

export interface DestinationWatch {
  /** The destination in force. Waits for the targets, not for instances. */
  readonly get: Effect.Effect<Destination.Destination, DialError.UnknownName>
  /** The destination in force, or undefined before the targets have arrived. */
  readonly latest: () => Destination.Destination | DialError.UnknownName | undefined
  /** The error for targets that have not arrived in time. */
  readonly late: (millis: number) => DialError.TimedOut
}

/** Or why there is none. */
export type Route = Result.Result<TcpRoute.TcpRoute, string>

/** Follows the targets of `chain` in the scope. When the chain changes, targets that stay keep their watch: it is shared. */
export const make = Effect.fnUntraced(function*(
  name: string,
  chain: Watched.Watched<Route>,
  endpoints: Endpoints.Endpoints["Service"]
): Effect.fn.Return<DestinationWatch, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const first = yield* Deferred.make<void>()
  let current: Destination.Destination | DialError.UnknownName | undefined
  let held: Scope.Closeable | undefined
  const follow = Effect.fnUntraced(function*(resolved: Route) {
    const next = yield* Scope.fork(scope)
    current = Result.isFailure(resolved)
      ? new DialError.UnknownName({ name, why: resolved.failure })
      : {
        route: resolved.success,
        targets: yield* Effect.forEach(
          resolved.success.targets,
          (target) => Effect.map(Scope.provide(endpoints.watch(target), next), (instances) => ({ target, instances }))
        )
      }
    yield* Deferred.succeed(first, undefined)
    if (held !== undefined) yield* Scope.close(held, Exit.void)
    held = next
  }, Effect.uninterruptible)
  yield* Effect.forkScoped(Stream.runForEach(chain.changes, follow))
  return {
    get: Effect.flatMap(Deferred.await(first), () => orUnknown(current!)),
    latest: () => current,
    late: late("its discovery chain", chain)
  }
})

/** Of one target, whose instances say themselves which services they are. */
export const ofInstances = (
  name: string,
  what: string,
  found: Watched.Watched<Result.Result<ReadonlyArray<Endpoints.Endpoint>, string>>,
  connectTimeoutMillis: number,
  options: Pick<Destination.TargetInstances, "onlyHealthy"> = {}
): DestinationWatch => {
  const target: TcpRoute.Target = {
    id: name,
    service: name,
    partition: "default",
    namespace: "default",
    datacenter: "",
    filter: "",
    onlyPassing: false,
    sni: ""
  }
  const current: Destination.Destination = {
    route: { targets: [target], connectTimeoutMillis },
    targets: [{ ...options, target, instances: Watched.map(found, what, Result.getOrElse(() => [])) }]
  }
  const resolved = Watched.map(found, what, (result) =>
    Result.isSuccess(result)
      ? current
      : new DialError.UnknownName({ name, why: result.failure }))
  return { get: Effect.flatMap(resolved.get, orUnknown), latest: resolved.latest, late: late(what, found) }
}

const orUnknown = (
  current: Destination.Destination | DialError.UnknownName
): Effect.Effect<Destination.Destination, DialError.UnknownName> =>
  Destination.isUnknown(current) ? Effect.fail(current) : Effect.succeed(current)

const late = (what: string, { freshness }: Watched.Watched<unknown>): DestinationWatch["late"] => (millis) =>
  DialError.unheard(what, millis, freshness().lastError)
