/**
 * The upstreams of the resolvers that the legs of a chain lead to, by their names in the chain. Those that stay when the chain changes keep
 * their connections and their past; those that are left finish their requests first.
 */
import { Effect, Exit, Result, Schedule, Scope, SubscriptionRef } from "effect"
import type * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import * as Endpoints from "../../watch/Endpoints.ts"
import * as Watched from "../../watch/Watched.ts"
import * as DestinationWatch from "../DestinationWatch.ts"
import type * as Resolver from "../Resolver.ts"
import * as HttpUpstream from "./HttpUpstream.ts"
import type * as Pooling from "./Pooling.ts"

export type Legs<P> = ReadonlyMap<string, HttpUpstream.HttpUpstream<P>>

export interface LegUpstreams<P> {
  /** Follows what these routes lead to, and nothing else. */
  readonly follow: (routes: HttpRoutes.HttpRoutes) => Effect.Effect<Legs<P>, never, Resolver.Sources>
  /** Those that were left and are not finished among them. */
  readonly all: () => ReadonlyArray<HttpUpstream.HttpUpstream<P>>
}

interface Followed<P> {
  readonly upstream: HttpUpstream.HttpUpstream<P>
  readonly scope: Scope.Closeable
  /** Where it leads now. */
  readonly to: SubscriptionRef.SubscriptionRef<TcpRoute.TcpRoute>
}

/** `what` is the chain, for errors. */
export const make = Effect.fnUntraced(function*<P extends Pooling.Pool>(
  { name, patienceMillis }: Pick<Resolver.Resolver, "name" | "patienceMillis">,
  what: string,
  pooling: Pooling.Pooling<P>,
  options: HttpUpstream.Options
): Effect.fn.Return<LegUpstreams<P>, never, Endpoints.Endpoints | Scope.Scope> {
  const endpoints = yield* Endpoints.Endpoints
  const scope = yield* Effect.scope
  const leaving = new Set<Followed<P>>()
  let followed: ReadonlyMap<string, Followed<P>> = new Map()

  const begin = Effect.fnUntraced(function*(to: TcpRoute.TcpRoute) {
    const own = yield* Scope.fork(scope)
    const ref = yield* SubscriptionRef.make(to)
    const follow = DestinationWatch.make(name, Watched.map(Watched.fromRef(what, ref), what, Result.succeed), endpoints)
    const upstream = yield* Scope.provide(HttpUpstream.make({ name, patienceMillis, follow }, pooling, options), own)
    return { upstream, scope: own, to: ref }
  })

  const leave = (left: Followed<P>): Effect.Effect<void> =>
    Effect.sync(() => leaving.add(left)).pipe(
      Effect.andThen(Effect.repeat(Effect.void, {
        schedule: Schedule.spaced("1 second"),
        until: () => left.upstream.active() === 0
      })),
      Effect.andThen(Scope.close(left.scope, Exit.void)),
      Effect.ensuring(Effect.sync(() => leaving.delete(left)))
    )

  return {
    follow: Effect.fnUntraced(function*({ routes }) {
      const before = followed
      const now = new Map<string, Followed<P>>()
      for (const { node, to } of routes.flatMap(({ legs }) => legs)) {
        if (now.has(node)) continue
        const known = before.get(node)
        if (known !== undefined) yield* SubscriptionRef.set(known.to, to)
        now.set(node, known ?? (yield* begin(to)))
      }
      followed = now
      for (const [node, left] of before) if (!now.has(node)) yield* Effect.forkIn(leave(left), scope)
      return new Map(Array.from(now, ([node, { upstream }]) => [node, upstream]))
    }),
    all: () => [...followed.values(), ...leaving].map(({ upstream }) => upstream)
  }
})
