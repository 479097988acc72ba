/** Where calls go now: targets in order of preference, each with its instances, kept current. */
import { Deferred, Effect, Exit, Result, Scope, Stream } from "effect"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Watched from "../watch/Watched.ts"
import type * as Connect from "./Connect.ts"
import * as DialError from "./DialError.ts"

/** A target and its instances. */
export interface TargetInstances {
  readonly target: TcpRoute.Target
  readonly instances: Watched.Watched<ReadonlyArray<Endpoints.Endpoint>>
  /** The list is without those that are not healthy: a prepared query leaves them out. */
  readonly onlyHealthy?: boolean | undefined
}

export interface Current {
  readonly route: TcpRoute.TcpRoute
  /** In order of preference. */
  readonly targets: ReadonlyArray<TargetInstances>
}

export interface RouteInstances {
  /** What is in force. Waits for the targets, not for instances. */
  readonly get: Effect.Effect<Current, DialError.UnknownName>
  /** What is in force, or undefined before the targets have arrived. */
  readonly latest: () => Current | DialError.UnknownName | undefined
  /** That the targets have not arrived in time. */
  readonly late: (millis: number) => DialError.TimedOut
}

/** Or why there is none. */
export type Route = Result.Result<TcpRoute.TcpRoute, string>

/** Follows the targets of `chain` in the scope. When it changes, those that stay keep their watch: it is shared. */
export const make = Effect.fnUntraced(function*(
  name: string,
  chain: Watched.Watched<Route>,
  endpoints: Endpoints.Endpoints["Service"]
): Effect.fn.Return<RouteInstances, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const first = yield* Deferred.make<void>()
  let current: Current | DialError.UnknownName | undefined
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

/** Of one target, whose instances say themselves who they are. */
export const ofInstances = (
  name: string,
  what: string,
  found: Watched.Watched<Result.Result<ReadonlyArray<Endpoints.Endpoint>, string>>,
  connectTimeoutMillis: number,
  options: Pick<TargetInstances, "onlyHealthy"> = {}
): RouteInstances => {
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
  const current: Current = {
    route: { targets: [target], connectTimeoutMillis },
    targets: [{ ...options, target, instances: Watched.map(found, what, Result.getOrElse(() => [])) }]
  }
  const resolved = Watched.map(found, what, (result) =>
    Result.isSuccess(result)
      ? current
      : new DialError.UnknownName({ name, why: result.failure }))
  return { get: Effect.flatMap(resolved.get, orUnknown), latest: resolved.latest, late: late(what, found) }
}

export const isUnknown = (self: Current | DialError.UnknownName): self is DialError.UnknownName => "why" in self

/** That none of those that are known may be dialled, and why. */
export const nobody = ({ targets }: Current): DialError.NoHealthyInstance => {
  const known = targets.flatMap(({ instances }) => instances.latest() ?? [])
  return new DialError.NoHealthyInstance({
    known: known.length,
    unhealthy: [...new Set(known.flatMap(({ unhealthy }) => unhealthy === undefined ? [] : [unhealthy]))],
    onlyHealthy: targets.some(({ onlyHealthy }) => onlyHealthy === true)
  })
}

/** How an instance is reached, and who has to be there. */
export const dialling = (
  target: TcpRoute.Target,
  { address, expected }: Endpoints.Endpoint,
  { leaf, roots }: SecureContexts.Material
): Pick<Connect.Options, "address" | "expected" | "sni"> => {
  const identity = (of: Endpoints.Expected) =>
    SpiffeId.service({
      ...of,
      trustDomain: of.trustDomain || roots.trustDomain,
      datacenter: of.datacenter || leaf.identity.datacenter
    })
  return {
    address,
    expected: expected === undefined ? identity(target) : expected.map(identity),
    sni: target.sni === "" ? undefined : target.sni
  }
}

/** Who is expected there. */
export const serviceOf = (target: TcpRoute.Target, { expected }: Endpoints.Endpoint): string =>
  expected?.[0]?.service ?? target.service

const orUnknown = (current: Current | DialError.UnknownName): Effect.Effect<Current, DialError.UnknownName> =>
  isUnknown(current) ? Effect.fail(current) : Effect.succeed(current)

const late = (what: string, { freshness }: Watched.Watched<unknown>): RouteInstances["late"] => (millis) =>
  DialError.unheard(what, millis, freshness().lastError)
