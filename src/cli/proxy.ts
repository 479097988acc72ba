/** `effect-mesh proxy`: the sidecar of one service. */
import { Effect, Layer, Option, Schedule, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import * as Marks from "../http/relay/Marks.ts"
import * as Audit from "../intention/Audit.ts"
import * as ConsulSidecar from "../sidecar/ConsulSidecar.ts"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as Consul from "./consul.ts"
import * as Log from "./Log.ts"
import * as Refusals from "./refusals.ts"
import { startTimeout } from "./startTimeout.ts"

/** The command line contradicts itself or what is registered. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { why: Schema.String }) {
  override readonly message = this.why
}

/** The registration may still come. */
class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", { why: Schema.String }) {
  override readonly message = this.why
}

export const proxy = Command.make(
  "proxy",
  {
    ...Log.flags,
    ...Consul.flags,
    ...Refusals.flags,
    sidecarFor: Flag.String("sidecar-for").pipe(
      Flag.withDescription("ID of the service whose sidecar this is (CONNECT_SIDECAR_FOR)"),
      Flag.withMetavar("SERVICE"),
      Flag.withFallbackConfig(Consul.variable("CONNECT_SIDECAR_FOR")),
      Flag.optional
    ),
    proxyId: Flag.String("proxy-id").pipe(
      Flag.withDescription("ID of the registered proxy; wins over --sidecar-for (CONNECT_PROXY_ID)"),
      Flag.withMetavar("ID"),
      Flag.withFallbackConfig(Consul.variable("CONNECT_PROXY_ID")),
      Flag.optional
    ),
    defaultPolicy: Flag.Literals("default-policy", ["allow", "deny"]).pipe(
      Flag.withDescription("The answer if no intention matches; default: the agent's setting"),
      Flag.optional
    ),
    audit: Flag.Boolean("audit").pipe(
      Flag.withDescription("Enforce nothing: log callers that would be refused, and admit every caller of the mesh"),
      Flag.withDefault(false)
    ),
    spiffe: Flag.Literals("spiffe", ["strict", "leaf"]).pipe(
      Flag.withDescription(
        "How far peers must follow SPIFFE; leaf: for authorities that cannot, see docs/native/trust.md"
      ),
      Flag.withDefault("strict" as const)
    ),
    serverHeader: Flag.String("server-header").pipe(
      Flag.withDescription("What answers over HTTP say in Server; empty: what the application says; default: envoy"),
      Flag.withMetavar("TEXT"),
      Flag.withDefault("envoy")
    ),
    withoutEnvoyHeaders: Flag.Boolean("without-envoy-headers").pipe(
      Flag.withDescription("Add no x-envoy-* headers, but for x-envoy-overloaded"),
      Flag.withDefault(false)
    ),
    startTimeout: startTimeout("the agent, certificates and intentions")
  },
  Effect.fn("cli.proxy")(function*(options) {
    yield* GarbageCollection.tuneForRelaying
    return yield* run(options).pipe(
      Effect.provide(Layer.mergeAll(Consul.layer(options), Log.layer(options), Refusals.layer(options)))
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run the sidecar proxy of a service that is registered with the local Consul agent: it accepts callers from the " +
      "mesh on the registered port, and opens a local port for each upstream. Where a service speaks HTTP, each request " +
      "is authorized and routed, otherwise each connection. It replaces `consul connect proxy`."
  ),
  Command.withShortDescription("Run the sidecar of a service of a Consul agent"),
  Command.withExamples([
    { command: "effect-mesh proxy --sidecar-for web", description: "The sidecar that was registered with web" },
    {
      command: "effect-mesh proxy --proxy-id web-sidecar-proxy --token-file /run/secrets/token",
      description: "By its own id, with a token"
    }
  ])
)

const run = Effect.fn(function*(
  options: Log.Options & {
    readonly sidecarFor: Option.Option<string>
    readonly proxyId: Option.Option<string>
    readonly defaultPolicy: Option.Option<"allow" | "deny">
    readonly audit: boolean
    readonly spiffe: "strict" | "leaf"
    readonly serverHeader: string
    readonly withoutEnvoyHeaders: boolean
    readonly startTimeout: number
  }
) {
  const proxyId = Option.isSome(options.proxyId)
    ? options.proxyId.value
    : Option.isSome(options.sidecarFor)
    ? yield* sidecarOf(options.sidecarFor.value, options.startTimeout)
    : yield* new UsageError({ why: "which proxy? Give --sidecar-for SERVICE or --proxy-id ID" })
  const sidecar = yield* ConsulSidecar.make({
    proxyId,
    readyWithin: `${options.startTimeout} seconds`,
    spiffe: options.spiffe,
    marks: {
      ...(options.withoutEnvoyHeaders ? Marks.none : Marks.envoy),
      server: options.serverHeader === "" ? undefined : options.serverHeader
    },
    audit: options.audit ? Audit.everywhere : Audit.nowhere,
    ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
  })
  yield* Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
  return yield* Effect.never
})

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
