/**
 * A native service in the catalog, for as long as its scope is open. Open it after the listener: its scope then closes first, so
 * that callers are sent elsewhere while the listener still serves those that come.
 */
import { type Duration, Effect, Layer, type Scope } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as KeptRegistration from "../../mesh/KeptRegistration.ts"
import type * as Listening from "../../net/Listening.ts"
import * as HealthCheck from "./HealthCheck.ts"

export interface Options<R = never> extends HealthCheck.Options<R> {
  readonly name: string
  /** Default: the name. Instances on one agent need ids of their own. */
  readonly id?: string | undefined
  /** Where callers from the mesh connect. Default address: that of the agent's node. */
  readonly port: number
  readonly address?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly meta?: Readonly<Record<string, string>> | undefined
  /** How long callers have to turn away before the instance leaves the catalog. Default: 1 second. */
  readonly drain?: Duration.Input | undefined
}

/** Fails when the first registration does. Afterwards failures are logged, and tried again. */
export const make = Effect.fnUntraced(function*<R = never>(options: Options<R>): Effect.fn.Return<
  void,
  ConsulError.ConsulError | Listening.ListenError,
  ConsulClient.ConsulClient | Scope.Scope | R
> {
  const id = options.id ?? options.name
  const checkId = `service:${id}`
  const { definition, ...check } = yield* HealthCheck.make(options)
  yield* KeptRegistration.make({
    definition: {
      Name: options.name,
      ID: id,
      Port: options.port,
      Address: options.address ?? "",
      Tags: options.tags ?? [],
      Meta: options.meta ?? {},
      Connect: { Native: true },
      Check: { CheckID: checkId, Name: "health", ...definition }
    },
    check: { id: checkId, ...check },
    drain: options.drain ?? "1 second"
  })
})

export const layer = <R = never>(options: Options<R>): Layer.Layer<
  never,
  ConsulError.ConsulError | Listening.ListenError,
  ConsulClient.ConsulClient | Exclude<R, Scope.Scope>
> => Layer.effectDiscard(make(options))
