/**
 * `--print-config`: what would be in force, and where each value comes from. The first part is a file for `--config`, with what has
 * no place in one as comments; the second is the proxy as the agent, or flags, describe it. Never a secret.
 */
import { Console, Duration, Effect, Option } from "effect"
import type * as AgentService from "../../consul/AgentService.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import * as ConsulError from "../../consul/ConsulError.ts"
import * as Settings from "../../consul/Settings.ts"
import * as Listening from "../../net/Listening.ts"
import * as LogThreshold from "../../observe/LogThreshold.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Watched from "../../watch/Watched.ts"
import * as Consul from "../consul.ts"
import * as AdHoc from "./AdHoc.ts"
import type * as Flags from "./Flags.ts"
import * as Registered from "./Registered.ts"
import * as ServerFlags from "./ServerFlags.ts"
import * as Sources from "./Sources.ts"

export interface Entry {
  readonly name: string
  /** Undefined: not set, and there is no default. */
  readonly value: Value
  /** `flag`, a variable, a file, `registration` or `default`. */
  readonly from: string
}

type Value = string | number | boolean | ReadonlyArray<string> | undefined

export interface Printed {
  readonly settings: ReadonlyArray<Entry>
  readonly proxy: ReadonlyArray<Entry>
}

const secret = "(secret)"

/** These are about this call. */
const ofTheCall: ReadonlyArray<string> = ["config", "print-config"]

/** Of a command, with the values that it has been given. */
export const settings = Effect.fnUntraced(function*(options: Consul.Flags & Readonly<Record<string, unknown>>) {
  const origins = yield* Sources.Origins
  const agent = yield* Settings.fromEnvironment(Consul.settings(options))
  const level = (yield* LogThreshold.LogThreshold).level()
  const ofAgent: Readonly<Record<string, Value>> = {
    "http-addr": agent.address,
    token: agent.token === undefined ? undefined : secret,
    "token-file": agent.tokenFile,
    "ca-file": agent.caFile,
    "ca-path": agent.caPath,
    "client-cert": agent.clientCertFile,
    "client-key": agent.clientKeyFile,
    "tls-server-name": agent.tlsServerName,
    namespace: agent.namespace,
    partition: agent.partition
  }
  return [
    ...Object.entries(options).map(([option, value]) => ({ name: Sources.flagOf(option), value: plain(value) })),
    { name: "log-level", value: level.toLowerCase() }
  ].filter(({ name }) => !ofTheCall.includes(name)).map(({ name, value }): Entry => ({
    name,
    value: name in ofAgent ? ofAgent[name] : value,
    from: origins.get(name) ?? "default"
  }))
})

/** Times are given in seconds. */
const plain = (value: unknown): Value =>
  Option.isOption(value)
    ? plain(Option.getOrUndefined(value))
    : Array.isArray(value)
    ? value.map(String)
    : Duration.isDuration(value)
    ? Duration.toSeconds(value)
    : typeof value === "number" || typeof value === "boolean" || typeof value === "string"
    ? value
    : undefined

/** The proxies that would run, as they are now, one after the other: nobody is waited for. */
const proxies = Effect.fnUntraced(function*(options: Flags.Options) {
  const servers = ServerFlags.addresses(options)
  if (servers !== undefined) return yield* Effect.scoped(fed(options, servers))
  const named = yield* Effect.fromResult(Registered.named(options))
  if (named === undefined) {
    const { registration } = yield* Effect.fromResult(AdHoc.described(options))
    return describe(registration, undefined)
  }
  yield* AdHoc.warnIfGiven(options)
  return (yield* Effect.forEach(yield* Registered.now(named), registered)).flat()
})

/** As the servers tell it. */
const fed = Effect.fnUntraced(function*(options: Flags.Options, servers: string) {
  const Fed = yield* Effect.promise(() => import("./Fed.ts"))
  const { asked, feed } = yield* Fed.open(options, servers)
  const reading = yield* Watched.readyWithin(feed, `${options.startTimeout} seconds`, asked)
  const { flaws, registration } = reading()
  return [
    ...describe(registration, undefined, "xDS"),
    ...flaws.map((what): Entry => ({ name: "not understood", value: what, from: "xDS" }))
  ]
})

const registered = Effect.fnUntraced(function*(id: string) {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call(
    `GET /v1/agent/service/${id}`,
    (api) => api.agent.service({ params: { id }, query: {} })
  )
  const registration = yield* Effect.mapError(
    Effect.fromResult(ProxyRegistration.toRegistration(body)),
    (why) => ConsulError.undecodable(`GET /v1/agent/service/${id}`, why)
  )
  return describe(registration, body)
})

/** Without an answer of the agent, flags describe it. */
const describe = (
  registration: ProxyRegistration.Registration,
  answer: AgentService.AgentService | undefined,
  said = answer === undefined ? "flags" : "registration"
): ReadonlyArray<Entry> => {
  const config = answer?.Proxy?.Config ?? {}
  const millis = (value: number | undefined) => value === undefined ? "no limit" : `${value} ms`
  const ofConfig = (key: string, value: string | number): Entry => ({
    name: key,
    value,
    from: key in config || said === "xDS" ? said : "default"
  })
  return [
    { name: "id", value: registration.proxyId, from: said },
    { name: "service", value: registration.service, from: said },
    ...(registration.listen === undefined ? [] : [
      { name: "listen", value: Listening.format(registration.listen), from: said },
      { name: "application", value: Listening.format(registration.application), from: said }
    ]),
    ...(said === "flags" ? [] : [ofConfig("protocol", registration.protocol)]),
    ofConfig("local_connect_timeout_ms", millis(registration.applicationConnectTimeoutMillis)),
    ofConfig("local_request_timeout_ms", millis(registration.requests.timeoutMillis)),
    ofConfig("local_idle_timeout_ms", millis(registration.requests.idleTimeoutMillis)),
    ofConfig("handshake_timeout_ms", millis(registration.handshakeTimeoutMillis)),
    ofConfig("max_inbound_connections", registration.maxInboundConnections || "no limit"),
    ofConfig("max_inbound_handshakes", registration.arrivals.maxHandshakes || "no limit"),
    ofConfig("max_inbound_connections_per_second", registration.arrivals.connectionRate || "no limit"),
    ofConfig("connection_idle_timeout_ms", millis(registration.connections.idleTimeoutMillis)),
    ofConfig("connection_max_lifetime_ms", millis(registration.connections.maxLifetimeMillis)),
    ofConfig("reauthorize_interval_ms", millis(registration.reauthorizeMillis)),
    ...registration.upstreams.map(({ bind, id }): Entry => ({
      name: `upstream ${id}`,
      value: Listening.format(bind),
      from: said
    })),
    ...registration.exposed.map(({ listen, path }): Entry => ({
      name: `exposed ${path}`,
      value: Listening.format(listen),
      from: said
    })),
    ...registration.ignored.map((what): Entry => ({ name: "ignored", value: what, from: said }))
  ]
}

/** Lines, with the origins one beneath the other. */
const format = ({ proxy, settings }: Printed): string => {
  const width = 48
  const line = (text: string, from: string) => `${text.padEnd(width)} # ${from}`
  return [
    "# What would be in force, and where each value comes from.",
    ...settings.map(({ from, name, value }) =>
      value === undefined || value === secret || (Array.isArray(value) && value.length === 0)
        ? line(`# ${name}: ${value === secret ? secret : "(not set)"}`, from)
        : line(`${name}: ${JSON.stringify(value)}`, from)
    ),
    "",
    "# The proxy:",
    ...proxy.map(({ from, name, value }) => line(`#   ${name}: ${String(value)}`, from))
  ].join("\n")
}

/** Settings are printed even where the agent does not tell about the proxy; that is the error then. */
export const print = Effect.fnUntraced(function*(options: Flags.Options) {
  const ofProgram = yield* settings(options)
  const found = yield* Effect.result(proxies(options))
  const printed = { settings: ofProgram, proxy: found._tag === "Success" ? found.success : [] }
  yield* Console.log(options.logJson ? JSON.stringify(printed, undefined, 2) : format(printed))
  if (found._tag === "Failure") return yield* Effect.fail(found.failure)
})
