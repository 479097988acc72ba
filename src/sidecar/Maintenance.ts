/**
 * The maintenance mode of a proxy at the agent, by which callers hear that it leaves. It stays when the sidecar is gone, so that
 * nobody comes before the next one is there, which ends it. What an operator has set stays.
 */
import { Effect, Schedule } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as ConsulError from "../consul/ConsulError.ts"

export interface Maintenance {
  /** Does not fail: what keeps it from happening is logged. */
  readonly begin: Effect.Effect<void>
  /** Ends what a sidecar has begun, as soon as the agent can be asked. */
  readonly end: Effect.Effect<void>
}

/** Tells a sidecar which maintenance is of its kind. */
const reason = "its sidecar has left; this ends when it is back"

/** A sidecar that leaves waits for the agent no longer than this. */
const patience = "2 seconds"

export const make = Effect.fnUntraced(function*(
  proxyId: string
): Effect.fn.Return<Maintenance, never, ConsulClient.ConsulClient> {
  const consul = yield* ConsulClient.ConsulClient
  const set = (enable: boolean) =>
    consul.call(
      `PUT /v1/agent/service/maintenance/${proxyId}`,
      (api) => api.agent.serviceMaintenance({ params: { id: proxyId }, query: { enable, reason } }),
      patience
    )
  const isOurs = Effect.map(
    consul.call(
      "GET /v1/agent/checks",
      (api) =>
        api.agent.checks({ query: { filter: `CheckID == ${JSON.stringify(`_service_maintenance:${proxyId}`)}` } })
    ),
    ({ body }) => Object.values(body).some(({ Notes }) => Notes === reason)
  )
  return {
    begin: set(true).pipe(
      // A proxy that flags describe: nobody hears of it by the agent.
      Effect.catchReason("ConsulError", "NotFound", () => Effect.void),
      Effect.catch((error) => Effect.logWarning(`${unheard(proxyId)}: ${why(error)}`))
    ),
    end: Effect.flatMap(isOurs, (ours) =>
      ours
        ? Effect.andThen(set(false), Effect.logInfo(`${proxyId} is back: its maintenance mode has ended`))
        : Effect.void).pipe(
        Effect.retry({
          schedule: Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]),
          while: ({ isRetryable }) => isRetryable
        }),
        Effect.catch((error) =>
          Effect.logWarning(
            `cannot see whether ${proxyId} is in maintenance mode since its sidecar left: ${why(error)}`
          )
        )
      )
  }
})

const unheard = (proxyId: string) =>
  `${proxyId} leaves without maintenance mode, so that callers hear of it by its checks only`

const why = (error: ConsulError.ConsulError): string =>
  ConsulError.isRefused(error) ? `${error.message}. It needs service:write on the proxy` : error.message
