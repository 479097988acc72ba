/**
 * All that a proxy rests on, looked at in the order in which one thing rests on another.
 *
 *     agent ─▶ registration ─▶ certificates ─▶ ports ─▶ callers ─▶ each upstream: may it call? who answers?
 *
 * What rests on something that is broken is left out.
 */
import { Duration, Effect, Option, Result } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as Settings from "../../consul/Settings.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as AdHoc from "../proxy/AdHoc.ts"
import type * as Flags from "../proxy/Flags.ts"
import * as Registered from "../proxy/Registered.ts"
import * as AgentCheck from "./AgentCheck.ts"
import * as Asking from "./Asking.ts"
import * as CallersCheck from "./CallersCheck.ts"
import * as Finding from "./Finding.ts"
import * as IdentityCheck from "./IdentityCheck.ts"
import * as PortsCheck from "./PortsCheck.ts"
import * as RegistrationCheck from "./RegistrationCheck.ts"
import * as UpstreamCheck from "./UpstreamCheck.ts"

export interface Options {
  readonly proxy:
    & Pick<Flags.Options, "sidecarFor" | "proxyId" | "node" | "spiffe" | "defaultPolicy">
    & AdHoc.Options
  readonly settings: Settings.Settings
  /** For each question and each handshake. */
  readonly within: Duration.Duration
  /** Told of each section as it is done. */
  readonly tell: (section: Finding.Section) => Effect.Effect<void>
}

/** Fails only where the command line does not make sense. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<ReadonlyArray<Finding.Section>, Registered.UsageError, ConsulClient.ConsulClient> {
  const { proxy, settings, within } = options
  const named = yield* Effect.fromResult(Registered.named(proxy))
  const adHoc = named === undefined ? yield* Effect.fromResult(AdHoc.described(proxy)) : undefined
  const sections: Array<Finding.Section> = []
  const add = (about: string, findings: ReadonlyArray<Finding.Finding>) => {
    const section = { about, findings }
    sections.push(section)
    return options.tell(section)
  }
  const asking = yield* Asking.make(within)
  const agent = yield* AgentCheck.check(asking, settings)
  yield* add("The agent", agent.findings)
  if (!agent.answers) {
    yield* add("The proxy", [Finding.unknown("all else needs the agent")])
    return sections
  }
  if (adHoc !== undefined) {
    yield* ofProxy(options, asking, adHoc.registration, false, add)
    return sections
  }
  const ids = yield* Effect.result(Registered.now(named!))
  if (Result.isFailure(ids)) {
    const { failure } = ids
    if (failure._tag === "UsageError") return yield* failure
    yield* add("The registration", [
      failure._tag === "ConsulError"
        ? Finding.ofError("read the registrations", "service:read on the proxy", failure)
        : Finding.broken(
          `no sidecar is registered for the service ${proxy.sidecarFor.join(", ")}`,
          "Register the service at this agent with \"connect\": { \"sidecar_service\": {} }; the token needs service:read on it"
        )
    ])
    return sections
  }
  for (const id of ids.success) {
    const { findings, registration } = yield* RegistrationCheck.check(asking, id)
    yield* add(`The registration ${id}`, findings)
    if (registration !== undefined) yield* ofProxy(options, asking, registration, true, add)
  }
  return sections
})

const ofProxy = Effect.fnUntraced(function*(
  { proxy, within }: Options,
  asking: Asking.Asking,
  registration: ProxyRegistration.Registration,
  isRegistered: boolean,
  add: (about: string, findings: ReadonlyArray<Finding.Finding>) => Effect.Effect<void>
) {
  const { service } = registration
  const millis = Duration.toMillis(within)
  const { findings, material } = yield* IdentityCheck.check(asking, service, proxy.spiffe)
  yield* add(`The certificate of ${service}`, findings)
  yield* add(`Ports of ${service}`, yield* PortsCheck.check({ registration, material, millis, isRegistered }))
  if (material === undefined) {
    yield* add(`Calls of ${service}`, [Finding.unknown("nobody can be called without a certificate")])
    return
  }
  const { trustDomain } = material.roots
  const policy = { defaultPolicy: Option.getOrUndefined(proxy.defaultPolicy), trustDomain }
  if (registration.listen !== undefined) {
    const authorizer = yield* CallersCheck.read(asking, service, policy)
    yield* add(
      `Callers of ${service}`,
      Result.isSuccess(authorizer) ? CallersCheck.ofService(authorizer.success) : [authorizer.failure]
    )
  }
  for (const upstream of registration.upstreams) {
    yield* add(
      `The upstream ${upstream.id} of ${service}`,
      yield* UpstreamCheck.check(asking, upstream, { ...policy, material, millis })
    )
  }
})
