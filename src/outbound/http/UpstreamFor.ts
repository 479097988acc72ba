/** Follows a service in the way that is known of it: by the routes of its chain, or straight to its instances. */
import { Effect, type Scope } from "effect"
import type * as Resolver from "../Resolver.ts"
import * as HttpUpstream from "./HttpUpstream.ts"
import * as RoutedUpstream from "./RoutedUpstream.ts"
import type * as Upstream from "./Upstream.ts"

/** Closes all its connections with the scope. */
export const make = Effect.fnUntraced(function*(
  resolver: Resolver.Resolver,
  open: HttpUpstream.Open,
  options: HttpUpstream.Options
): Effect.fn.Return<Upstream.Upstream, never, Resolver.Sources | Scope.Scope> {
  const chain = resolver.followChain === undefined ? undefined : yield* resolver.followChain
  return chain === undefined
    ? direct(yield* HttpUpstream.make(resolver, open, options))
    : yield* RoutedUpstream.make(resolver, chain, open, options)
})

const direct = (upstream: HttpUpstream.HttpUpstream): Upstream.Upstream => ({
  ...upstream,
  pick: (tried, request) => {
    const instance = upstream.pick(tried, request)
    return "resource" in instance ? { upstream, instance, way: undefined } : instance
  }
})
