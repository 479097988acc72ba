/** Which registration of the agent is meant: the one proxy of a service, or a proxy by its ID. */
import { Effect, Option, Schedule, Schema } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import type * as Flags from "./Flags.ts"

/** The command line contradicts itself or what is registered. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { why: Schema.String }) {
  override readonly message = this.why
}

/** The registration may still come. */
export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", { why: Schema.String }) {
  override readonly message = this.why
}

type Options = Pick<Flags.Options, "proxyId" | "sidecarFor" | "startTimeout">

/** Waits for a registration that is yet to come. */
export const proxyId = (options: Options): Id => idBy(options, (service) => sidecarOf(service, options.startTimeout))

/** As it is now. */
export const now = (options: Options): Id => idBy(options, registeredFor)

type Id = Effect.Effect<string, ConsulError.ConsulError | NotRegistered | UsageError, ConsulClient.ConsulClient>

const idBy = <E, R>(
  options: Options,
  find: (service: string) => Effect.Effect<string, E, R>
): Effect.Effect<string, E | UsageError, R> =>
  Option.isSome(options.proxyId)
    ? Effect.succeed(options.proxyId.value)
    : Option.isSome(options.sidecarFor)
    ? find(options.sidecarFor.value)
    : Effect.fail(
      new UsageError({
        why: "which proxy? Give --sidecar-for SERVICE or --proxy-id ID; or, without a registration, --service NAME"
      })
    )

/** Waits for the agent and for the registration, which may come up after us. */
const sidecarOf = (service: string, seconds: number) => {
  let told = false
  const patiently = Effect.tapError(registeredFor(service), (error) => {
    if (told || !passes(error)) return Effect.void
    told = true
    return Effect.logWarning(`${error.message}. Asking again for ${seconds} seconds`)
  })
  return Effect.retry(patiently, {
    schedule: Schedule.max([Schedule.spaced("1 second"), Schedule.during(`${seconds} seconds`)]),
    while: passes
  })
}

/** Whether a retry may succeed. */
const passes = (error: ConsulError.ConsulError | NotRegistered | UsageError): boolean =>
  error._tag === "ConsulError" ? error.isRetryable : error._tag === "NotRegistered"

/** The one proxy that is registered for the service with this ID, which Consul compares without case. */
const registeredFor = Effect.fnUntraced(function*(service: string) {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call(
    "GET /v1/agent/services",
    (api) => api.agent.services({ query: { filter: "Kind == \"connect-proxy\"" } })
  )
  const proxies = Object.values(body).filter((candidate) =>
    candidate.Proxy?.DestinationServiceID.toLowerCase() === service.toLowerCase()
  )
  const [first, ...others] = proxies.map((candidate) => candidate.ID)
  if (first === undefined) {
    return yield* new NotRegistered({
      why: `no sidecar is registered for a service with the ID ${service} on ${consul.address}, or the token may not ` +
        "see it: register the service with \"connect\": { \"sidecar_service\": {} }, on this agent. Where ACLs are on, " +
        `give a token (--token-file, CONSUL_HTTP_TOKEN) with service:write on ${service} and service:read on ` +
        `${service}-sidecar-proxy, or with the service identity ${service}, which has both`
    })
  }
  return others.length === 0 ? first : yield* new UsageError({
    why: `several proxies are registered for ${service}: choose one with --proxy-id, of ${
      [first, ...others].join(", ")
    }`
  })
})
