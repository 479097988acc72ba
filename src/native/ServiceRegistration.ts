/**
 * A native service in the catalog, for as long as its scope is open.
 *
 *     register ─▶ pass the TTL check, again and again ─▶ maintenance ─▶ drain ─▶ deregister
 *                        │ the agent has forgotten us: register again
 *
 * Open it after the listener: its scope then closes first, so that callers are sent elsewhere while the listener still
 * serves those that come.
 */
import { Duration, Effect, Layer, Schedule, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import * as GoDuration from "../consul/GoDuration.ts"

export interface Options {
  readonly name: string
  /** Default: the name. Instances on one agent need ids of their own. */
  readonly id?: string | undefined
  /** Where callers from the mesh connect. Default address: that of the agent's node. */
  readonly port: number
  readonly address?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly meta?: Readonly<Record<string, string>> | undefined
  /** Without a sign of life for this long, the agent takes the instance for dead. Default: 30 seconds. */
  readonly ttl?: Duration.Input | undefined
  /** How long callers have to turn away before the instance leaves the catalog. Default: 1 second. */
  readonly drain?: Duration.Input | undefined
}

/** Fails when the first registration does. Afterwards failures are logged, and tried again. */
export const make = (
  options: Options
): Effect.Effect<void, ConsulError.ConsulError, ConsulClient.ConsulClient | Scope.Scope> =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const id = options.id ?? options.name
    const ttl = Duration.fromInputUnsafe(options.ttl ?? "30 seconds")
    const checkId = `service:${id}`

    const register = consul.call("PUT /v1/agent/service/register", (api) =>
      api.agent.registerService({
        query: { "replace-existing-checks": true },
        payload: {
          Name: options.name,
          ID: id,
          Port: options.port,
          Address: options.address ?? "",
          Tags: options.tags ?? [],
          Meta: options.meta ?? {},
          Connect: { Native: true },
          Check: { CheckID: checkId, Name: "heartbeat", TTL: GoDuration.format(ttl), Status: "passing" }
        }
      }))
    const beat = consul.call(
      "PUT /v1/agent/check/pass",
      (api) => api.agent.passCheck({ params: { checkId }, query: {} })
    ).pipe(
      // 404, or 500 from agents before 1.11: an agent that was restarted without its state.
      Effect.catchReasons("ConsulError", {
        NotFound: () =>
          Effect.andThen(Effect.logWarning(`${id} was forgotten by the agent: registering it again`), register),
        ServerError: () => register
      }),
      Effect.catch((error) => Effect.logWarning(`cannot tell the agent that ${id} is alive: ${error.message}`))
    )
    const leave = Effect.gen(function*() {
      yield* consul.call("PUT /v1/agent/service/maintenance", (api) =>
        api.agent.serviceMaintenance({ params: { id }, query: { enable: true, reason: "shutting down" } }))
      yield* Effect.sleep(options.drain ?? "1 second")
      yield* consul.call(
        "PUT /v1/agent/service/deregister",
        (api) =>
          api.agent.deregisterService({ params: { id }, query: {} })
      )
    }).pipe(Effect.catch((error) => Effect.logWarning(`cannot take ${id} out of the catalog: ${error.message}`)))

    yield* Effect.acquireRelease(register, () => leave)
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(beat, Duration.times(ttl, 1 / 3)), Schedule.forever))
  })

export const layer = (
  options: Options
): Layer.Layer<never, ConsulError.ConsulError, ConsulClient.ConsulClient> => Layer.effectDiscard(make(options))
