/** What the sidecar of a service has to do, as its registration in the agent says. */
import { Context, Effect, Layer, Result, type SubscriptionRef } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as ConsulError from "../consul/ConsulError.ts"
import type * as Proxy from "../consul/Proxy.ts"
import * as TimerLimit from "../route/TimerLimit.ts"
import * as Watched from "./Watched.ts"

export type Address = { readonly host: string; readonly port: number } | {
  readonly path: string
  /** File mode bits of the socket; absent: as the process creates it. */
  readonly mode?: number | undefined
}

export interface Upstream {
  /** Names the listener across updates: what is dialled, and where it binds. */
  readonly id: string
  /** Or the prepared query, by name or id. */
  readonly service: string
  /** Whether it is a prepared query. Absent: a service. */
  readonly query?: boolean | undefined
  readonly datacenter: string | undefined
  readonly bind: Address
  /** Overrides the resolver's; absent: no override. */
  readonly connectTimeoutMillis: number | undefined
}

export interface Registration {
  readonly proxyId: string
  /** The service on whose behalf the proxy speaks: its identity, and the destination of its intentions. */
  readonly service: string
  /** Where callers from the mesh connect. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Where the application listens. */
  readonly application: Address
  readonly applicationConnectTimeoutMillis: number
  readonly handshakeTimeoutMillis: number
  /** Callers beyond it are refused; 0: no limit. */
  readonly maxInboundConnections: number
  readonly upstreams: ReadonlyArray<Upstream>
  /** What was registered and is not supported, in words, for one warning each. */
  readonly ignored: ReadonlyArray<string>
}

export class ProxyRegistration extends Context.Service<ProxyRegistration, Watched.Watched<Registration>>()(
  "effect-mesh/watch/ProxyRegistration"
) {}

const what = "the proxy registration"

/** Serves what is put into `ref`: a re-registration is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Registration>): Layer.Layer<ProxyRegistration> =>
  Layer.succeed(ProxyRegistration, Watched.fromRef(what, ref))

/** Watches the registration with this id in the Consul agent. Builds at once: wait for it with `Watched.ready`. */
export const layer = (options: {
  readonly proxyId: string
}): Layer.Layer<ProxyRegistration, never, ConsulClient.ConsulClient> =>
  Layer.effect(
    ProxyRegistration,
    Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const name = `GET /v1/agent/service/${options.proxyId}`
      return yield* consul.share(
        name,
        Watched.make(
          { what, watch: "registration", subject: options.proxyId },
          BlockingQuery.byHash(name, (known) =>
            consul.hold(
              name,
              { every: "5 seconds", news: Effect.never },
              known,
              (api, { cursor, wait }) =>
                api.agent.service({
                  params: { id: options.proxyId },
                  query: cursor === undefined ? {} : { hash: cursor, wait }
                })
            ).pipe(
              Effect.catchReason("ConsulError", "NotFound", (_, { request }) => Effect.fail(unknown(request))),
              Effect.flatMap(({ body, headers }) =>
                Effect.fromResult(toRegistration(body)).pipe(
                  Effect.mapError((why) => ConsulError.undecodable(name, why)),
                  Effect.map((value) => ({ value, cursor: headers["x-consul-contenthash"] }))
                )
              )
            ))
        )
      )
    })
  )

/** Before it is registered, after it was taken out, and from some agents where the token may not read it. */
const unknown = (request: string): ConsulError.ConsulError =>
  new ConsulError.ConsulError({
    request,
    reason: new ConsulError.NotFound({
      body:
        "the agent has no such registration, or the token may not read it (service:read): register it, or stop this proxy"
    })
  })

/** The registration means what Consul's documentation of the proxy says, with the defaults of its Envoy integration. */
export const toRegistration = (service: AgentService.AgentService): Result.Result<Registration, string> => {
  const proxy = service.Proxy
  if (service.Kind !== "connect-proxy" || proxy === undefined || proxy.DestinationServiceName === "") {
    return Result.fail(`${service.ID} is ${service.Kind || "an application"}, not the proxy of a service`)
  }
  const listen = {
    host: text(proxy.Config["bind_address"]) ?? (service.Address || "0.0.0.0"),
    port: number(proxy.Config["bind_port"]) ?? service.Port
  }
  if (listen.port === 0) return Result.fail(`${service.ID} has no port to listen on: register it with one`)
  const application: Address = proxy.LocalServiceSocketPath === ""
    ? { host: proxy.LocalServiceAddress || "127.0.0.1", port: proxy.LocalServicePort }
    : { path: proxy.LocalServiceSocketPath }
  for (const [whose, address] of [["the proxy", listen], ["the application", application]] as const) {
    if ("port" in address && !isPort(address.port)) {
      return Result.fail(`${service.ID} names ${address.port} as the port of ${whose}: register it with ${ports}`)
    }
  }
  const upstreams = proxy.Upstreams.map(toUpstream)
  return Result.succeed({
    proxyId: service.ID,
    service: proxy.DestinationServiceName,
    listen,
    application,
    applicationConnectTimeoutMillis: timeout(proxy.Config["local_connect_timeout_ms"]) ?? 5000,
    handshakeTimeoutMillis: timeout(proxy.Config["handshake_timeout_ms"]) ?? 10_000,
    maxInboundConnections: Math.floor(positive(proxy.Config["max_inbound_connections"]) ?? 0),
    upstreams: upstreams.flatMap(({ upstream }) => upstream === undefined ? [] : [upstream]),
    ignored: [
      ...(proxy.Mode === "transparent" ? ["transparent mode: only explicit upstreams are served"] : []),
      ...(proxy.Expose.Checks || proxy.Expose.Paths.length > 0 ? ["exposed paths and checks"] : []),
      ...upstreams.flatMap(({ ignored }) => ignored === undefined ? [] : [ignored])
    ]
  })
}

const toUpstream = (
  upstream: Proxy.Upstream
): { readonly upstream?: Upstream; readonly ignored?: string } => {
  const name = upstream.DestinationName
  if (upstream.CentrallyConfigured) return {}
  if (upstream.DestinationPeer !== "") {
    return { ignored: `the upstream ${name} of the peer ${upstream.DestinationPeer}` }
  }
  const mode = Number.parseInt(upstream.LocalBindSocketMode, 8)
  const bind: Address = upstream.LocalBindSocketPath === ""
    ? { host: upstream.LocalBindAddress || "127.0.0.1", port: upstream.LocalBindPort }
    : { path: upstream.LocalBindSocketPath, ...(Number.isNaN(mode) ? {} : { mode }) }
  if ("port" in bind && bind.port === 0) return { ignored: `the upstream ${name}, which has no port to bind` }
  if ("port" in bind && !isPort(bind.port)) {
    return { ignored: `the upstream ${name}, whose port to bind is ${bind.port}: register it with ${ports}` }
  }
  const datacenter = upstream.Datacenter || undefined
  const query = upstream.DestinationType === "prepared_query"
  return {
    upstream: {
      id: [query ? `${name}.query` : name, ...(datacenter === undefined ? [] : [datacenter])].join("@"),
      service: name,
      ...(query ? { query } : {}),
      datacenter,
      bind,
      connectTimeoutMillis: timeout(upstream.Config["connect_timeout_ms"])
    }
  }
}

/** Free-form settings arrive as numbers or as texts of numbers. */
const number = (value: unknown): number | undefined => {
  const parsed = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  return typeof parsed === "number" && Number.isFinite(parsed) ? parsed : undefined
}

const positive = (value: unknown): number | undefined => {
  const parsed = number(value)
  return parsed !== undefined && parsed >= 1 ? parsed : undefined
}

/** Milliseconds. What is none is left to the default. */
const timeout = (value: unknown): number | undefined => {
  const millis = positive(value)
  return millis === undefined ? undefined : TimerLimit.clamp(millis)
}

const ports = "a whole number up to 65535"

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined
