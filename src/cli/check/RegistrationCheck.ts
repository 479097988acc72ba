/** What the agent knows of the proxy and its service: registration, health checks, maintenance. */
import { Effect, Result } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as Health from "../../consul/Health.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as Asking from "./Asking.ts"
import * as Finding from "./Finding.ts"

export interface Checked {
  readonly findings: ReadonlyArray<Finding.Finding>
  /** Undefined: nothing that rests on it can be looked at. */
  readonly registration: ProxyRegistration.Registration | undefined
}

export const check = Effect.fnUntraced(function*(
  { ask }: Asking.Asking,
  id: string
): Effect.fn.Return<Checked, never, ConsulClient.ConsulClient> {
  const answer = yield* ask(
    `GET /v1/agent/service/${id}`,
    (api) => api.agent.service({ params: { id }, query: {} })
  )
  if (Result.isFailure(answer)) {
    return {
      registration: undefined,
      findings: [
        answer.failure.reason._tag === "NotFound"
          ? Finding.broken(
            `${id} is not registered at this agent, or the token may not see it`,
            "Register it at this very agent, and give the token service:read on it"
          )
          : Finding.ofError(`read the registration ${id}`, `service:read on ${id}`, answer.failure)
      ]
    }
  }
  const { body } = answer.success
  const parsed = ProxyRegistration.toRegistration(body)
  if (Result.isFailure(parsed)) {
    return {
      registration: undefined,
      findings: [Finding.broken(parsed.failure, "Register it anew, with what it lacks")]
    }
  }
  const registration = parsed.success
  const serviceId = body.Proxy?.DestinationServiceID ?? ""
  return {
    registration,
    findings: [
      Finding.good(`${id} is registered as the proxy of ${registration.service}`),
      ...registration.ignored.map((what) =>
        Finding.doubt(`its registration has what is not supported: ${what}`, "Take it out, or correct it")
      ),
      ...(yield* health(ask, id)),
      ...(serviceId === "" ? [] : yield* health(ask, serviceId))
    ]
  }
})

/** One finding for each check that does not pass, or one for all. */
const health = Effect.fnUntraced(function*(ask: Asking.Asking["ask"], id: string) {
  const answer = yield* ask(
    `GET /v1/agent/health/service/id/${id}`,
    (api) => api.agent.serviceHealthById({ params: { id }, query: {} })
  )
  if (Result.isFailure(answer)) {
    return [
      answer.failure.reason._tag === "NotFound"
        ? Finding.broken(
          `${id} is not registered at this agent, or the token may not see it`,
          `Register the service ${id} beside its proxy, and give the token service:read on it`
        )
        : Finding.ofError(`read the health of ${id}`, `service:read on ${id}`, answer.failure)
    ]
  }
  const checks = answer.success.Checks
  const failing = checks.filter(({ Status }) => Status !== "passing")
  return failing.length === 0
    ? [
      Finding.good(
        checks.length === 0
          ? `${id} has no checks, and so counts as healthy`
          : `${id} is healthy: ${checks.map(nameOf).join(", ")}`
      )
    ]
    : failing.map((each) => ofCheck(id, each))
})

const nameOf = ({ CheckID, Name }: Health.Check): string => Name || CheckID

const ofCheck = (id: string, check: Health.Check): Finding.Finding => {
  if (check.CheckID === `_service_maintenance:${id}` || check.CheckID === "_node_maintenance") {
    return Finding.broken(
      `${check.CheckID === "_node_maintenance" ? "the node" : id} is in maintenance mode, so that nobody calls ${id}: ${
        check.Notes || "no reason is given"
      }`,
      check.CheckID === "_node_maintenance" ? "consul maint -disable" : `consul maint -disable -service=${id}`
    )
  }
  const output = check.Output.trim().replaceAll(/\s+/g, " ").slice(0, 160)
  const what = `the check ${JSON.stringify(nameOf(check))} of ${id} is ${check.Status}${
    output === "" ? "" : `: ${output}`
  }`
  const remedy = check.Name === "Connect Sidecar Listening"
    ? "Start the sidecar; a new one is critical until its first check, up to 10 seconds"
    : "Callers are sent elsewhere until it passes: look at what it checks"
  return check.Status === "warning" ? Finding.doubt(what, remedy) : Finding.broken(what, remedy)
}
