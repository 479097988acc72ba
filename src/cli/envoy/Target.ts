/** Which proxy an Envoy is to be, and where it asks: flags, variables, and what the agent knows. */
import { Effect, Option, Result, Schema } from "effect"
import { readFile } from "node:fs/promises"
import * as Address from "../../admin/Address.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as Credentials from "../../consul/Credentials.ts"
import * as Settings from "../../consul/Settings.ts"
import * as Consul from "../consul.ts"
import * as Registered from "../proxy/Registered.ts"
import type * as Bootstrap from "./Bootstrap.ts"
import type * as Flags from "./Flags.ts"

export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { why: Schema.String }) {
  override readonly message = this.why
}

type Environment = Readonly<Record<string, string | undefined>>

/** Everything that goes into a bootstrap. */
export const find = Effect.fnUntraced(function*(
  options: Flags.Options,
  env: Environment
): Effect.fn.Return<
  Bootstrap.Options,
  | UsageError
  | Registered.Failure
  | Settings.InvalidSettings
  | Effect.Error<ReturnType<typeof Settings.fromEnvironment>>,
  ConsulClient.ConsulClient
> {
  const admin = yield* Effect.mapError(
    Effect.fromResult(Address.parse(options.adminBind, true)),
    (why) => new UsageError({ why: `--admin-bind ${why}` })
  )
  const consul = yield* ConsulClient.ConsulClient
  const proxyId = yield* idOf(options, env)
  const { body } = yield* consul.call(
    "GET /v1/agent/service",
    (api) => api.agent.service({ params: { id: proxyId }, query: {} })
  )
  const grpc = yield* grpcOf(options, env, consul)
  const settings = yield* Settings.fromEnvironment(Consul.settings(options))
  const headers = yield* (yield* Credentials.make(settings)).headers
  return {
    proxyId,
    service: body.Proxy?.DestinationServiceName || body.Service,
    datacenter: body.Datacenter,
    grpc: grpc.address,
    grpcAuthority: grpc.authority,
    admin,
    adminAccessLog: options.adminAccessLogPath,
    token: headers["x-consul-token"] ?? ""
  }
})

/** A proxy, and where its agent tells Envoys what to do. */
export const asked = Effect.fnUntraced(function*(
  consul: ConsulClient.ConsulClient["Service"],
  proxyId: string
): Effect.fn.Return<
  Grpc & { readonly service: string; readonly datacenter: string },
  UsageError | ConsulError.ConsulError
> {
  const { body } = yield* consul.call(
    "GET /v1/agent/service",
    (api) => api.agent.service({ params: { id: proxyId }, query: {} })
  )
  return {
    ...(yield* grpcOfAgent(consul, undefined)),
    service: body.Proxy?.DestinationServiceName || body.Service,
    datacenter: body.Datacenter
  }
})

const idOf = (
  { gateway, proxyId, sidecarFor, startTimeout }: Flags.Options,
  env: Environment
): Effect.Effect<string, UsageError | Registered.Failure, ConsulClient.ConsulClient> => {
  const id = Option.getOrUndefined(proxyId) ?? (env["CONNECT_PROXY_ID"] || undefined)
  if (id !== undefined) return Effect.succeed(id)
  if (Option.isSome(sidecarFor)) {
    return Registered.proxyId({ _tag: "Service", name: sidecarFor.value }, { startTimeout })
  }
  return Option.isSome(gateway) ? theGateway : Effect.fail(
    new UsageError({ why: "which proxy? Give --sidecar-for SERVICE, --proxy-id ID or --gateway mesh" })
  )
}

const theGateway = Effect.gen(function*() {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call(
    "GET /v1/agent/services",
    (api) => api.agent.services({ query: { filter: "Kind == \"mesh-gateway\"" } })
  )
  const [id, ...others] = Object.keys(body)
  if (id === undefined) {
    return yield* new UsageError({ why: `no mesh gateway is registered at ${consul.address}: register one` })
  }
  return others.length === 0 ? id : yield* new UsageError({
    why: `several mesh gateways are registered at ${consul.address}: choose one with --proxy-id: ${
      [id, ...others].join(", ")
    }`
  })
})

interface Grpc {
  readonly address: Bootstrap.Address
  readonly authority?: string | undefined
}

/** A name is what Envoy does not look up here: it wants an address. */
const grpcOf = Effect.fnUntraced(function*(
  options: Flags.Options,
  env: Environment,
  consul: ConsulClient.ConsulClient["Service"]
): Effect.fn.Return<Grpc, UsageError | ConsulError.ConsulError> {
  const said = Option.getOrUndefined(options.grpcAddr) ?? (env["CONSUL_GRPC_ADDR"] || undefined)
  const file = Option.getOrUndefined(options.grpcCaFile) ?? (env["CONSUL_GRPC_CACERT"] || undefined)
  const authority = file === undefined ? undefined : yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) =>
      new UsageError({ why: `--grpc-ca-file: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
  if (said !== undefined) {
    const address = yield* Effect.mapError(Effect.fromResult(parse(said)), (why) => new UsageError({ why }))
    return { address, authority }
  }
  return yield* grpcOfAgent(consul, authority)
})

/** As the agent says itself. */
const grpcOfAgent = Effect.fnUntraced(function*(
  consul: ConsulClient.ConsulClient["Service"],
  authority: string | undefined
): Effect.fn.Return<Grpc, UsageError | ConsulError.ConsulError> {
  const { body } = yield* consul.call("GET /v1/agent/self", (api) => api.agent.self())
  const port = portOf(body.xDS)
  if (port === undefined) {
    return yield* new UsageError({
      why: `the agent at ${consul.address} has no port for Envoys: start it with --grpc-port 8502 (a real one: with ` +
        "ports.grpc), or say with --grpc-addr where they ask"
    })
  }
  const host = URL.canParse(consul.address) ? new URL(consul.address).hostname : ""
  return { address: { host: loopback(host), port }, authority }
})

const loopback = (host: string): string =>
  host === "" || host === "localhost" ? "127.0.0.1" : host.replace(/^\[|\]$/g, "")

/** Of what an agent says about itself. Older ones have the port alone. */
const portOf = (xds: Readonly<Record<string, unknown>>): number | undefined => {
  const ports = xds["Ports"]
  const plain = typeof ports === "object" && ports !== null
    ? (ports as Record<string, unknown>)["Plaintext"]
    : undefined
  const port = plain ?? xds["Port"]
  return typeof port === "number" && port > 0 ? port : undefined
}

/** Fails with what is wrong with it. */
export const parse = (text: string): Result.Result<Bootstrap.Address, string> => {
  const unix = /^unix:\/*(\/.+)$/.exec(text)
  if (unix !== null) return Result.succeed({ path: unix[1]! })
  const match = /^(?:https?:\/\/)?(?:\[([^\]]+)\]|([^:/]*)):(\d{1,5})\/?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port === 0 || port > 65_535
    ? Result.fail(`the address of gRPC is ${JSON.stringify(text)}: write host:port, or unix:///path/to/socket`)
    : Result.succeed({ host: loopback(host), port })
}
