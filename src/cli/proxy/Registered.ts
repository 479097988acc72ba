/** Which registrations of the agent are meant: the one proxy of a service, a proxy by its ID, or several. */
import { Effect, Option, Result, Schedule, Schema } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as Selection from "../../sidecar/Selection.ts"
import * as NodeProxies from "../../watch/NodeProxies.ts"
import type * as Flags from "./Flags.ts"

/** The command line contradicts itself or what is registered. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { why: Schema.String }) {
  override readonly message = this.why
}

/** The registration may still come. */
export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", { why: Schema.String }) {
  override readonly message = this.why
}

export type Failure = ConsulError.ConsulError | NotRegistered | UsageError

/** `Several` are looked after as they come and go. */
export type Named =
  | { readonly _tag: "Proxy"; readonly name: string }
  | { readonly _tag: "Service"; readonly name: string }
  | { readonly _tag: "Several"; readonly wanted: Selection.Wanted }

/** What the flags name. Undefined: no registration. */
export const named = (
  { node, proxyId, sidecarFor }: Pick<Flags.Options, "proxyId" | "sidecarFor" | "node">
): Result.Result<Named | undefined, UsageError> => {
  const services = [...new Set(sidecarFor)]
  const [first, ...others] = services
  if (node) {
    return first === undefined && Option.isNone(proxyId)
      ? Result.succeed({ _tag: "Several", wanted: "node" })
      : Result.fail(
        new UsageError({ why: "--node serves every sidecar of the agent: leave out --sidecar-for and --proxy-id" })
      )
  }
  if (Option.isSome(proxyId)) return Result.succeed({ _tag: "Proxy", name: proxyId.value })
  if (first === undefined) return Result.succeed(undefined)
  return Result.succeed(others.length === 0 ? { _tag: "Service", name: first } : { _tag: "Several", wanted: services })
}

export const noneNamed = new UsageError({
  why: "which proxy? Give --sidecar-for SERVICE or --proxy-id ID, or --node for all of the agent; or, without a " +
    "registration, --service NAME"
})

/** Waits for a registration that is yet to come. */
export const proxyId = (
  named: Exclude<Named, { readonly _tag: "Several" }>,
  { startTimeout }: Pick<Flags.Options, "startTimeout">
): Effect.Effect<string, Failure, ConsulClient.ConsulClient> =>
  named._tag === "Proxy" ? Effect.succeed(named.name) : sidecarOf(named.name, startTimeout)

/** As they are now. */
export const now = (
  named: Named
): Effect.Effect<ReadonlyArray<string>, Failure, ConsulClient.ConsulClient> =>
  named._tag === "Proxy"
    ? Effect.succeed([named.name])
    : named._tag === "Service"
    ? Effect.map(registeredFor(named.name), (id) => [id])
    : Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const { chosen } = Selection.select(
        named.wanted,
        yield* NodeProxies.ask(consul),
        new Set(),
        consul.address
      )
      return chosen.map(({ proxyId }) => proxyId)
    })

const sidecarOf = (service: string, seconds: number) => patiently(registeredFor(service), seconds)

/** Waits for the agent and for the registration, which may come up after us. */
export const patiently = <R>(
  asking: Effect.Effect<string, Failure, R>,
  seconds: number
): Effect.Effect<string, Failure, R> => {
  let told = false
  const telling = Effect.tapError(asking, (error) => {
    if (told || !passes(error)) return Effect.void
    told = true
    return Effect.logWarning(`${error.message}. Asking again for ${seconds} seconds`)
  })
  return Effect.retry(telling, {
    schedule: Schedule.max([Schedule.spaced("1 second"), Schedule.during(`${seconds} seconds`)]),
    while: passes
  })
}

/** Whether a retry may succeed. */
const passes = (error: Failure): boolean =>
  error._tag === "ConsulError" ? error.isRetryable : error._tag === "NotRegistered"

/** The one proxy that is registered for the service with this ID. */
const registeredFor = Effect.fnUntraced(function*(serviceId: string) {
  const consul = yield* ConsulClient.ConsulClient
  const [first, ...others] = NodeProxies.of(yield* NodeProxies.ask(consul), serviceId)
  if (first === undefined) return yield* new NotRegistered({ why: Selection.notRegistered(serviceId, consul.address) })
  return others.length === 0
    ? first.proxyId
    : yield* new UsageError({ why: Selection.several(serviceId, [first, ...others]) })
})
