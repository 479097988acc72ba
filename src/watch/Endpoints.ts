/** The instances of a target that speak mesh TLS, with their health. */
import { Context, Effect, Layer, type Scope } from "effect"
import type * as TcpRoute from "../chain/TcpRoute.ts"
import * as Watched from "./Watched.ts"

export interface Endpoint {
  /** Unique within one answer: node and service id. */
  readonly id: string
  /** Where to dial. A path is that of a unix socket. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Share of the traffic; 0: unhealthy, must not be dialled. */
  readonly weight: number
}

export class Endpoints extends Context.Service<Endpoints, {
  /** Shared and reference-counted, by the id of the target. An empty list is a value: no instance at all. */
  readonly watch: (
    target: TcpRoute.Target
  ) => Effect.Effect<Watched.Watched<ReadonlyArray<Endpoint>>, never, Scope.Scope>
}>()("effect-mesh/watch/Endpoints") {}

/** Serves what `resolve` says. */
export const layerStatic = (
  resolve: (target: TcpRoute.Target) => Watched.Watched<ReadonlyArray<Endpoint>>
): Layer.Layer<Endpoints> => Layer.succeed(Endpoints, { watch: (target) => Effect.sync(() => resolve(target)) })
