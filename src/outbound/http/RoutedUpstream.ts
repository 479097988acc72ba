/**
 * A service behind routers and splitters: each request takes the first route whose conditions hold, one of its legs by their weights,
 * and an instance of that leg.
 *
 *     chain ──▶ routes ──▶ legs ──▶ HttpUpstream of each resolver
 */
import { Deferred, Effect, Result, type Scope, Stream } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as Watched from "../../watch/Watched.ts"
import * as DestinationStatus from "../DestinationStatus.ts"
import * as DialError from "../DialError.ts"
import type * as Resolver from "../Resolver.ts"
import type * as Tried from "../Tried.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import type * as Pooling from "./Pooling.ts"
import * as LegUpstreams from "./LegUpstreams.ts"
import type * as Upstream from "./Upstream.ts"

/** Routes, with the upstreams of all their legs. */
interface Current<P> {
  readonly routes: HttpRoutes.HttpRoutes
  readonly legs: LegUpstreams.Legs<P>
}

export const make = Effect.fnUntraced(function*<P extends Pooling.Pool>(
  resolver: Resolver.Resolver,
  chain: Watched.Watched<DiscoveryChain.Chain>,
  pooling: Pooling.Pooling<P>,
  options: HttpUpstream.Options
): Effect.fn.Return<Upstream.Upstream<P>, never, Resolver.Sources | Scope.Scope> {
  const { name: service, patienceMillis } = resolver
  const upstreams = yield* LegUpstreams.make(resolver, chain.what, pooling, options)
  const first = yield* Deferred.make<void>()
  let current: Current<P> | undefined
  /** Its legs have had their time to be heard of. */
  let waitedFor: Current<P> | undefined

  const update = Effect.fnUntraced(function*(next: DiscoveryChain.Chain) {
    const compiled = HttpRoutes.compile(next)
    if (Result.isFailure(compiled)) {
      return yield* Effect.logWarning(
        `${chain.what} can not be followed: ${compiled.failure}. The last one stays in force; correct its config entries`
      )
    }
    current = { routes: compiled.success, legs: yield* upstreams.follow(compiled.success) }
    yield* Deferred.succeed(first, undefined)
  }, Effect.uninterruptible)
  yield* Effect.forkScoped(Stream.runForEach(chain.changes, update))

  const late = () => DialError.unheard("its discovery chain", patienceMillis, chain.freshness().lastError)
  return {
    service,
    isReady: () => current !== undefined && (current === waitedFor || areReady(current)),
    ready: Effect.gen(function*() {
      yield* Effect.timeoutOrElse(Deferred.await(first), {
        duration: patienceMillis,
        orElse: () => Effect.fail(late())
      })
      const awaited = current!
      yield* oneReady(Array.from(awaited.legs.values(), ({ ready }) => ready))
      waitedFor = awaited
    }),
    pick: (tried, request) => current === undefined ? late() : pick(current, service, tried, request),
    active: () => upstreams.all().reduce((sum, { active }) => sum + active(), 0),
    isKnown: () => upstreams.all().some(({ isKnown }) => isKnown()),
    status: () => DestinationStatus.merged(upstreams.all().map(({ status }) => status()))
  }
})

const pick = <P>(
  { legs, routes }: Current<P>,
  service: string,
  tried: Tried.Tried,
  request: Upstream.Request
): Upstream.Picked<P> | DialError.Reason => {
  const route = routes.find(request)
  const leg = route === undefined ? undefined : HttpRoutes.draw(route, Math.random)
  const upstream = leg === undefined ? undefined : legs.get(leg.node)
  if (route === undefined || leg === undefined || upstream === undefined) return nowhere(service, request.path, route)
  const hashed = upstream.hash(request, route.hashBy)
  const instance = upstream.pick(tried, hashed.hash)
  return "resource" in instance ? { upstream, instance, way: { route, leg }, hashed } : instance
}

const areReady = <P>({ legs }: Current<P>): boolean => {
  for (const { isReady } of legs.values()) if (!isReady()) return false
  return true
}

/** Waits for all. A leg that can not be used fails its share of the requests only: so this fails where all do. */
const oneReady = (
  all: ReadonlyArray<Effect.Effect<void, DialError.Reason>>
): Effect.Effect<void, DialError.Reason> =>
  Effect.flatMap(Effect.forEach(all, Effect.result, { concurrency: "unbounded" }), (results) => {
    const failed = results.find(Result.isFailure)
    return failed === undefined || results.some(Result.isSuccess) ? Effect.void : Effect.fail(failed.failure)
  })

const nowhere = (name: string, path: string, route: HttpRoutes.Route | undefined): DialError.UnknownName =>
  new DialError.UnknownName({
    name,
    why: route === undefined
      ? `no route of it takes ${path}, which is no path`
      : `all legs of its route ${route.position + 1} have a weight of zero: correct its service-splitter`
  })
