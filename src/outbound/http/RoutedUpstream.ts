/**
 * A service behind routers and splitters: each request takes the first route whose conditions hold, one of its legs by their weights,
 * and an instance of that leg. Every resolver that legs lead to is an `HttpUpstream` of its own, which legs share.
 *
 *     chain ──▶ routes ──▶ legs ──▶ HttpUpstream of each resolver
 *
 * When the chain changes, resolvers that stay keep their connections and their past. One that is left finishes its requests first.
 */
import { Deferred, Effect, Exit, Result, Schedule, Scope, Stream, SubscriptionRef } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import * as Endpoints from "../../watch/Endpoints.ts"
import * as Watched from "../../watch/Watched.ts"
import * as DestinationWatch from "../DestinationWatch.ts"
import * as DialError from "../DialError.ts"
import type * as Resolver from "../Resolver.ts"
import * as HttpUpstream from "./HttpUpstream.ts"
import type * as Upstream from "./Upstream.ts"

interface Followed {
  readonly upstream: HttpUpstream.HttpUpstream
  readonly scope: Scope.Closeable
  /** Where it leads now. */
  readonly to: SubscriptionRef.SubscriptionRef<TcpRoute.TcpRoute>
}

/** Routes, with the upstreams of all their legs. */
interface Current {
  readonly routes: HttpRoutes.HttpRoutes
  readonly legs: ReadonlyMap<string, Followed>
}

export const make = Effect.fnUntraced(function*(
  { name, patienceMillis }: Resolver.Resolver,
  chain: Watched.Watched<DiscoveryChain.Chain>,
  open: HttpUpstream.Open,
  options: HttpUpstream.Options
): Effect.fn.Return<Upstream.Upstream, never, Resolver.Sources | Scope.Scope> {
  const endpoints = yield* Endpoints.Endpoints
  const scope = yield* Effect.scope
  const first = yield* Deferred.make<void>()
  const leaving = new Set<Followed>()
  let current: Current | undefined
  /** Whose legs have had their time to be heard of. */
  let waitedFor: Current | undefined

  const follow = (to: TcpRoute.TcpRoute): Effect.Effect<Followed, never, Resolver.Sources> =>
    Effect.gen(function*() {
      const own = yield* Scope.fork(scope)
      const ref = yield* SubscriptionRef.make(to)
      const route = Watched.map(Watched.fromRef(chain.what, ref), chain.what, Result.succeed)
      const watch = DestinationWatch.make(name, route, endpoints)
      const upstream = yield* HttpUpstream.make({ name, patienceMillis, follow: watch }, open, options).pipe(
        Scope.provide(own)
      )
      return { upstream, scope: own, to: ref }
    })

  const leave = (followed: Followed): Effect.Effect<void> =>
    Effect.sync(() => leaving.add(followed)).pipe(
      Effect.andThen(Effect.repeat(Effect.void, {
        schedule: Schedule.spaced("1 second"),
        until: () => followed.upstream.active() === 0
      })),
      Effect.andThen(Scope.close(followed.scope, Exit.void)),
      Effect.ensuring(Effect.sync(() => leaving.delete(followed)))
    )

  const update = Effect.fnUntraced(function*(next: DiscoveryChain.Chain) {
    const compiled = HttpRoutes.compile(next)
    if (Result.isFailure(compiled)) return // the watch lets only those through that can be followed
    const before = current?.legs
    const legs = new Map<string, Followed>()
    for (const { node, to } of compiled.success.routes.flatMap(({ legs }) => legs)) {
      if (legs.has(node)) continue
      const known = before?.get(node)
      if (known !== undefined) yield* SubscriptionRef.set(known.to, to)
      legs.set(node, known ?? (yield* follow(to)))
    }
    current = { routes: compiled.success, legs }
    yield* Deferred.succeed(first, undefined)
    for (const [node, followed] of before ?? []) {
      if (!legs.has(node)) yield* Effect.forkIn(leave(followed), scope)
    }
  }, Effect.uninterruptible)
  yield* Effect.forkScoped(Stream.runForEach(chain.changes, update))

  const upstreams = (): ReadonlyArray<HttpUpstream.HttpUpstream> =>
    [...current?.legs.values() ?? [], ...leaving].map(({ upstream }) => upstream)
  const late = () => DialError.unheard("its discovery chain", patienceMillis, chain.freshness().lastError)

  return {
    service: name,
    isReady: () => current !== undefined && (current === waitedFor || areReady(current)),
    ready: Effect.gen(function*() {
      yield* Effect.timeoutOrElse(Deferred.await(first), {
        duration: patienceMillis,
        orElse: () => Effect.fail(late())
      })
      const awaited = current!
      yield* oneReady([...awaited.legs.values()].map(({ upstream }) => upstream.ready))
      waitedFor = awaited
    }),
    pick: (tried, request) => {
      if (current === undefined) return late()
      const { legs, routes } = current
      const route = routes.find(request)
      const leg = route === undefined ? undefined : HttpRoutes.draw(route, Math.random)
      if (route === undefined || leg === undefined) return nowhere(name, request.path, route)
      const { upstream } = legs.get(leg.node)!
      const instance = upstream.pick(tried, request, route.hashBy)
      return "resource" in instance ? { upstream, instance, way: { route, leg } } : instance
    },
    active: () => upstreams().reduce((sum, { active }) => sum + active(), 0),
    isKnown: () => upstreams().some(({ isKnown }) => isKnown())
  }
})

const areReady = ({ legs }: Current): boolean => {
  for (const { upstream } of legs.values()) if (!upstream.isReady()) return false
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
