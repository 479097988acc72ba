/**
 * A native service in the catalog, for as long as its scope is open.
 *
 *     register ─▶ tell how it is, or be asked (HealthCheck) ─▶ maintenance ─▶ drain ─▶ deregister
 *                        │ the agent has forgotten us: register again
 *
 * Open it after the listener: its scope then closes first, so that callers are sent elsewhere while the listener still
 * serves those that come.
 */
import { type Duration, Effect, Layer, Schedule, type Scope } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import * as HealthCheck from "./HealthCheck.ts"
import type * as Listening from "../../net/Listening.ts"

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
  const consul = yield* ConsulClient.ConsulClient
  const id = options.id ?? options.name
  const check = yield* HealthCheck.make(options)
  const attributes = { service: options.name, instance: id }
  const failures = Meter.count(MetricCatalogue.registrationFailures, attributes, yield* Effect.context<never>())
  let known = false
  const isKnown = Effect.sync(() => {
    known = true
  })

  const register = registerWith(consul, options, id, check)
  const again = Effect.andThen(Effect.logWarning(`${id} was forgotten by the agent: registering it again`), register)
  const beat = tell(consul, id, check).pipe(
    // 404, or 500 from agents before 1.11: an agent that was restarted without its state.
    Effect.catchReasons("ConsulError", { NotFound: () => again, ServerError: () => register }),
    Effect.andThen(isKnown),
    Effect.catch((error) => {
      known = false
      failures.value++
      return Effect.logWarning(`cannot tell the agent how ${id} is: ${error.message}`)
    })
  )
  const leave = Effect.suspend(() => {
    known = false
    return takeOut(consul, id, options.drain ?? "1 second")
  })

  yield* Meter.follow(
    MetricCatalogue.registrationPassing,
    attributes,
    () => known && check.last() === "passing" ? 1 : 0
  )
  const annotated = Effect.annotateLogs(attributes)
  yield* Effect.acquireRelease(Effect.andThen(register, isKnown), () => annotated(leave))
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(annotated(beat), check.period), Schedule.forever))
})

export const layer = <R = never>(options: Options<R>): Layer.Layer<
  never,
  ConsulError.ConsulError | Listening.ListenError,
  ConsulClient.ConsulClient | Exclude<R, Scope.Scope>
> => Layer.effectDiscard(make(options))

const registerWith = <R>(
  consul: ConsulClient.ConsulClient["Service"],
  options: Options<R>,
  id: string,
  { definition }: HealthCheck.HealthCheck<R>
) =>
  consul.call("PUT /v1/agent/service/register", (api) =>
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
        Check: { CheckID: checkIdOf(id), Name: "health", ...definition }
      }
    }))

/** Says how the instance is; where the agent finds that out itself, asks whether it still knows the instance. */
const tell = <R>(
  consul: ConsulClient.ConsulClient["Service"],
  id: string,
  { tell }: HealthCheck.HealthCheck<R>
): Effect.Effect<void, ConsulError.ConsulError, R> =>
  tell === undefined
    ? Effect.asVoid(consul.call("GET /v1/agent/service", (api) => api.agent.service({ params: { id }, query: {} })))
    : Effect.flatMap(tell, ({ output, status }) =>
      Effect.asVoid(
        consul.call(
          "PUT /v1/agent/check/update",
          (api) =>
            api.agent.updateCheck({
              params: { checkId: checkIdOf(id) },
              query: {},
              payload: { Status: status, Output: output }
            })
        )
      ))

const checkIdOf = (id: string) => `service:${id}`

/** Sends callers elsewhere first, and gives them time to hear of it. */
const takeOut = (
  consul: ConsulClient.ConsulClient["Service"],
  id: string,
  drain: Duration.Input
): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* consul.call(
      "PUT /v1/agent/service/maintenance",
      (api) => api.agent.serviceMaintenance({ params: { id }, query: { enable: true, reason: "shutting down" } })
    )
    yield* Effect.sleep(drain)
    yield* consul.call(
      "PUT /v1/agent/service/deregister",
      (api) => api.agent.deregisterService({ params: { id }, query: {} })
    )
  }).pipe(Effect.catch((error) => Effect.logWarning(`cannot take ${id} out of the catalog: ${error.message}`)))
