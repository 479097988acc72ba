/** Where calls to a service go: its discovery chain, resolved for opaque byte streams. */
import { Context, Effect, Layer, type Scope } from "effect"
import type * as TcpRoute from "../chain/TcpRoute.ts"
import * as Watched from "./Watched.ts"

/** Two requests with equal fields share one watch. */
export interface Request {
  readonly service: string
  /** Where the chain is evaluated; absent: the agent's own datacenter. */
  readonly datacenter?: string | undefined
  /** Overrides what the service's resolver says. */
  readonly connectTimeoutMillis?: number | undefined
}

export class DiscoveryChains extends Context.Service<DiscoveryChains, {
  /** Shared and reference-counted: the watch ends when the last scope that asked for it closes. */
  readonly watch: (request: Request) => Effect.Effect<Watched.Watched<TcpRoute.TcpRoute>, never, Scope.Scope>
}>()("effect-mesh/watch/DiscoveryChains") {}

/** Serves what `resolve` says. */
export const layerStatic = (
  resolve: (request: Request) => Watched.Watched<TcpRoute.TcpRoute>
): Layer.Layer<DiscoveryChains> =>
  Layer.succeed(DiscoveryChains, { watch: (request) => Effect.sync(() => resolve(request)) })
