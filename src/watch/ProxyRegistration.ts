/** What the sidecar of a service has to do, as its registration in the agent says. */
import { Context, Effect, Layer, Result, type SubscriptionRef } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Proxy from "../consul/Proxy.ts"
import * as AgentRegistration from "./AgentRegistration.ts"
import * as AccessLogs from "./registration/AccessLogs.ts"
import * as Addresses from "./registration/Addresses.ts"
import * as ConnectionSettings from "./registration/ConnectionSettings.ts"
import * as Exposed from "./registration/Exposed.ts"
import * as FreeSettings from "./registration/FreeSettings.ts"
import * as Protocol from "./registration/Protocol.ts"
import * as Upstreams from "./registration/Upstreams.ts"
import * as ServiceProtocol from "./ServiceProtocol.ts"
import * as Watched from "./Watched.ts"

export type Address = Addresses.Address
export type Upstream = Upstreams.Upstream

export interface Listen {
  readonly host: string
  readonly port: number
}

export interface Registration {
  readonly proxyId: string
  /** The service on whose behalf the proxy speaks: its identity, and the destination of its intentions. */
  readonly service: string
  /** What the service speaks. */
  readonly protocol: Protocol.Protocol
  /** Where callers from the mesh connect. Undefined: nobody is let in, and the application never dialled. */
  readonly listen: Listen | undefined
  /** Where the application listens. */
  readonly application: Address
  readonly applicationConnectTimeoutMillis: number
  /** Of requests to the application. Undefined: there is no limit. */
  readonly requests: {
    /** From the last byte of the request to the last byte of the answer. */
    readonly timeoutMillis: number | undefined
    /** Without a byte in either direction. */
    readonly idleTimeoutMillis: number | undefined
  }
  readonly handshakeTimeoutMillis: number
  /** Callers beyond it are refused; 0: no limit. */
  readonly maxInboundConnections: number
  /** What else the port for callers takes on. */
  readonly arrivals: ConnectionSettings.Arrivals
  /** Of callers. */
  readonly connections: ConnectionSettings.ConnectionSettings
  /** How often open connections and requests are judged again, besides each change of intentions. */
  readonly reauthorizeMillis: number
  readonly exposed: ReadonlyArray<Exposed.ExposedPath>
  /** Undefined: there is none. */
  readonly accessLogs: AccessLogs.AccessLogs | undefined
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

/** A proxy that is described in full, but for the protocol of its service: config entries say that. */
export const layerDescribed = (
  registration: Registration
): Layer.Layer<ProxyRegistration, never, ConsulClient.ConsulClient> =>
  Layer.effect(
    ProxyRegistration,
    Effect.map(
      ServiceProtocol.watch(registration.service),
      (protocol) =>
        Watched.map(protocol, protocol.what, (text) => ({ ...registration, protocol: Protocol.fromText(text) }))
    )
  )

/** Watches the registration with this id in the Consul agent. Builds at once: wait for it with `Watched.ready`. */
export const layer = (options: {
  readonly proxyId: string
}): Layer.Layer<ProxyRegistration, never, ConsulClient.ConsulClient> =>
  Layer.effect(
    ProxyRegistration,
    AgentRegistration.watch({ what, id: options.proxyId, whose: "this proxy", decode: toRegistration })
  )

/** The registration means what Consul's documentation of the proxy says, with the defaults of its Envoy integration. */
export const toRegistration = (service: AgentService.AgentService): Result.Result<Registration, string> => {
  const proxy = service.Proxy
  if (service.Kind !== "connect-proxy" || proxy === undefined || proxy.DestinationServiceName === "") {
    return Result.fail(`${service.ID} is ${service.Kind || "an application"}, not the proxy of a service`)
  }
  const free = FreeSettings.of(proxy.Config, { whose: "the proxy" })
  const listen = {
    host: free.text("bind_address") ?? (service.Address || "0.0.0.0"),
    port: free.number("bind_port") || service.Port
  }
  if (listen.port === 0) return Result.fail(`${service.ID} has no port to listen on: register it with one`)
  const application = applicationOf(proxy)
  for (const [whose, address] of [["the proxy", listen], ["the application", application]] as const) {
    if ("port" in address && !Addresses.isPort(address.port)) {
      return Result.fail(
        `${service.ID} names ${address.port} as the port of ${whose}: register it with ${Addresses.ports}`
      )
    }
  }
  return Result.succeed(fromProxy(service.ID, listen, proxy, free))
}

/** Of a proxy that is described completely. Without `listen` nobody is let in. */
export const fromProxy = (
  proxyId: string,
  listen: Listen | undefined,
  proxy: Proxy.Proxy,
  free = FreeSettings.of(proxy.Config, { whose: "the proxy" })
): Registration => {
  const application = applicationOf(proxy)
  const upstreams = proxy.Upstreams.map((upstream) => Upstreams.parse(upstream, proxy))
  const exposed = Exposed.parse(proxy.Expose, listen?.host ?? "0.0.0.0", application)
  const accessLogs = AccessLogs.parse(proxy.AccessLogs)
  const settings = {
    protocol: Protocol.fromText(free.text("protocol") ?? "tcp"),
    applicationConnectTimeoutMillis: free.millis("local_connect_timeout_ms") || 5000,
    requests: {
      timeoutMillis: (free.millis("local_request_timeout_ms") ?? 15_000) || undefined,
      idleTimeoutMillis: (free.millis("local_idle_timeout_ms") ?? 300_000) || undefined
    },
    handshakeTimeoutMillis: free.millis("handshake_timeout_ms") || 10_000,
    maxInboundConnections: free.count("max_inbound_connections") ?? 0,
    arrivals: ConnectionSettings.readArrivals(free),
    connections: ConnectionSettings.read(free),
    reauthorizeMillis: free.millis("reauthorize_interval_ms") || 60_000
  }
  // Workers are given connections in turn in any case, and what is fetched here is waited for in another way.
  free.skip("balance_inbound_connections", "xds_fetch_timeout_ms")
  return {
    proxyId,
    service: proxy.DestinationServiceName,
    listen,
    application,
    ...settings,
    exposed: exposed.exposed,
    accessLogs: accessLogs.accessLogs,
    upstreams: upstreams.flatMap(({ upstream }) => upstream === undefined ? [] : [upstream]),
    ignored: [
      ...(proxy.Mode === "transparent"
        ? ["transparent mode: only explicit upstreams are served, which effect-mesh redirect-traffic leads to"]
        : []),
      ...free.ignored(),
      ...exposed.ignored,
      ...accessLogs.ignored,
      ...upstreams.flatMap(({ ignored }) => ignored)
    ]
  }
}

const applicationOf = (proxy: Proxy.Proxy): Address =>
  proxy.LocalServiceSocketPath === ""
    ? { host: proxy.LocalServiceAddress || "127.0.0.1", port: proxy.LocalServicePort }
    : { path: proxy.LocalServiceSocketPath }
