/** Follows a service in the way that is known of it: by the routes of its chain, or straight to its instances. */
import { Effect, type Scope } from "effect"
import type * as Resolver from "../Resolver.ts"
import * as HttpUpstream from "./HttpUpstream.ts"
import type * as Pooling from "./Pooling.ts"
import * as RoutedUpstream from "./RoutedUpstream.ts"
import type * as Upstream from "./Upstream.ts"

/** Closes all its connections with the scope. */
export const make = Effect.fnUntraced(function*<P extends Pooling.Pool>(
  resolver: Resolver.Resolver,
  pooling: Pooling.Pooling<P>,
  options: HttpUpstream.Options
): Effect.fn.Return<Upstream.Upstream<P>, never, Resolver.Sources | Scope.Scope> {
  const chain = resolver.followChain === undefined ? undefined : yield* resolver.followChain
  return chain === undefined
    ? direct(yield* HttpUpstream.make(resolver, pooling, options))
    : yield* RoutedUpstream.make(resolver, chain, pooling, options)
})

const direct = <P>(upstream: HttpUpstream.HttpUpstream<P>): Upstream.Upstream<P> => ({
  ...upstream,
  pick: (tried, request) => {
    const hashed = upstream.hash(request)
    const instance = upstream.pick(tried, hashed.hash)
    return "resource" in instance ? { upstream, instance, way: undefined, hashed } : instance
  }
})
