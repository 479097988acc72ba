/**
 * An instance in the catalog, for as long as its scope is open.
 *
 *     register ─▶ say how it is, or be asked ─▶ (maintenance ─▶ drain) ─▶ deregister
 *                        │ the agent has forgotten us: register again
 *
 * Open it after the listener: its scope then closes first, so that callers are sent elsewhere while the listener still
 * serves those that come.
 */
import { type Duration, Effect, Schedule, type Scope } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"

export interface Options<R> {
  /** With the check that `check` answers for. */
  readonly definition: AgentService.ServiceRegistration & { readonly ID: string }
  readonly check: Check<R>
  /**
   * How long callers have to turn away, in maintenance mode, before the instance leaves the catalog. Absent: it leaves at once, and
   * whoever listens waits for callers.
   */
  readonly drain?: Duration.Input | undefined
}

/** How the agent hears whether the instance is well. */
export interface Check<R> {
  readonly id: string
  /** How often it hears. */
  readonly period: Duration.Duration
  /** Undefined where the agent asks by itself. */
  readonly tell: Effect.Effect<Report, never, R> | undefined
  /** As it was when it was last asked. */
  readonly last: () => Status
}

export type Status = "passing" | "critical"

export interface Report {
  readonly status: Status
  /** What is wrong. */
  readonly output: string
}

/** Fails when the first registration does. Afterwards failures are logged, and tried again. */
export const make = Effect.fnUntraced(function*<R = never>({ check, definition, drain }: Options<R>): Effect.fn.Return<
  void,
  ConsulError.ConsulError,
  ConsulClient.ConsulClient | Scope.Scope | R
> {
  const consul = yield* ConsulClient.ConsulClient
  const id = definition.ID
  const attributes = { service: definition.Name, instance: id }
  const failures = Meter.count(MetricCatalogue.registrationFailures, attributes, yield* Effect.context<never>())
  let known = false
  const isKnown = Effect.sync(() => {
    known = true
  })

  const register = consul.call(
    "PUT /v1/agent/service/register",
    (api) => api.agent.registerService({ query: { "replace-existing-checks": true }, payload: definition })
  )
  const again = Effect.andThen(Effect.logWarning(`${id} was forgotten by the agent: registering it again`), register)
  const beat = say(consul, id, check).pipe(
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
    return takeOut(consul, id, drain)
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

/** Says how the instance is; where the agent finds that out itself, asks whether it still knows the instance. */
const say = <R>(
  consul: ConsulClient.ConsulClient["Service"],
  id: string,
  check: Check<R>
): Effect.Effect<void, ConsulError.ConsulError, R> =>
  check.tell === undefined
    ? Effect.asVoid(consul.call("GET /v1/agent/service", (api) => api.agent.service({ params: { id }, query: {} })))
    : Effect.flatMap(check.tell, ({ output, status }) =>
      Effect.asVoid(
        consul.call(
          "PUT /v1/agent/check/update",
          (api) =>
            api.agent.updateCheck({
              params: { checkId: check.id },
              query: {},
              payload: { Status: status, Output: output }
            })
        )
      ))

/** Sends callers elsewhere first, and gives them time to hear of it. */
const takeOut = (
  consul: ConsulClient.ConsulClient["Service"],
  id: string,
  drain: Duration.Input | undefined
): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (drain !== undefined) {
      yield* consul.call(
        "PUT /v1/agent/service/maintenance",
        (api) => api.agent.serviceMaintenance({ params: { id }, query: { enable: true, reason: "shutting down" } })
      )
      yield* Effect.sleep(drain)
    }
    yield* consul.call(
      "PUT /v1/agent/service/deregister",
      (api) => api.agent.deregisterService({ params: { id }, query: {} })
    )
  }).pipe(Effect.catch((error) => Effect.logWarning(`cannot take ${id} out of the catalog: ${error.message}`)))
