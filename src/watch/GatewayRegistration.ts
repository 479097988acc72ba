/** What a gateway has to do, as its registration in the agent says. */
import { Context, Layer, Result } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as GoWeak from "../consul/GoWeak.ts"
import * as AgentRegistration from "./AgentRegistration.ts"
import * as AccessLogs from "./registration/AccessLogs.ts"
import * as Addresses from "./registration/Addresses.ts"
import * as ConnectionSettings from "./registration/ConnectionSettings.ts"
import * as FreeSettings from "./registration/FreeSettings.ts"
import * as Watched from "./Watched.ts"

export type Kind = "mesh-gateway" | "terminating-gateway" | "api-gateway"

export interface Bind {
  /** `default`, `lan`, `wan`, or as it is called in `envoy_gateway_bind_addresses`. */
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface Registration {
  readonly proxyId: string
  readonly kind: Kind
  /** The service that it is registered as. */
  readonly service: string
  /** Where it is reached, and listens unless something else is said. */
  readonly address: string
  /** Where it listens. None for the kind that config entries tell. */
  readonly binds: ReadonlyArray<Bind>
  /** To instances and other gateways. */
  readonly connectTimeoutMillis: number
  /** For a caller to say where it wants to go, and for TLS. */
  readonly handshakeTimeoutMillis: number
  /** 0: no limit. */
  readonly maxInboundConnections: number
  readonly arrivals: ConnectionSettings.Arrivals
  readonly connections: ConnectionSettings.ConnectionSettings
  /** Undefined: there is none. */
  readonly accessLogs: AccessLogs.AccessLogs | undefined
  /** What was registered and is not supported, in words, for one warning each. */
  readonly ignored: ReadonlyArray<string>
}

export class GatewayRegistration extends Context.Service<GatewayRegistration, Watched.Watched<Registration>>()(
  "effect-mesh/watch/GatewayRegistration"
) {}

const what = "the registration of the gateway"

/** One that is described in full, and registered by nobody else. */
export const layerDescribed = (registration: Registration): Layer.Layer<GatewayRegistration> =>
  Layer.succeed(GatewayRegistration, Watched.constant(what, registration))

/** Watches the registration with this id in the Consul agent. Builds at once: wait for it with `Watched.ready`. */
export const layer = (options: {
  readonly proxyId: string
  readonly kind: Kind
}): Layer.Layer<GatewayRegistration, never, ConsulClient.ConsulClient> =>
  Layer.effect(
    GatewayRegistration,
    AgentRegistration.watch({
      what,
      id: options.proxyId,
      whose: "this gateway",
      decode: (service) => toRegistration(service, options.kind)
    })
  )

/** With the meaning that `consul connect envoy -gateway` gives it. */
export const toRegistration = (
  service: AgentService.AgentService,
  kind: Kind
): Result.Result<Registration, string> => {
  if (service.Kind !== kind) {
    return Result.fail(`${service.ID} is ${service.Kind || "an application"}, not a ${kind}`)
  }
  const registration = from(service, kind)
  const wrong = registration.binds.find(({ port }) => !Addresses.isPort(port) || port === 0)
  if (wrong !== undefined) {
    return Result.fail(
      `${service.ID} names ${wrong.port} as the port ${wrong.name}: register it with ${Addresses.ports}`
    )
  }
  return registration.binds.length === 0 && kind !== "api-gateway"
    ? Result.fail(`${service.ID} has no address to listen on: register it with a port`)
    : Result.succeed(registration)
}

export type Described = Pick<
  AgentService.AgentService,
  "ID" | "Service" | "Address" | "Port" | "TaggedAddresses" | "Proxy"
>

export const from = (service: Described, kind: Kind): Registration => {
  const free = FreeSettings.of(service.Proxy?.Config ?? {}, { whose: "the gateway" })
  const accessLogs = AccessLogs.parse(service.Proxy?.AccessLogs)
  const wanTaggedAddresses = free.flag("envoy_gateway_bind_tagged_addresses") ?? false
  const ownDefault = free.flag("envoy_gateway_no_default_bind") !== true
  const named = bindAddresses(service.Proxy?.Config ?? {})
  const standard = {
    name: "default",
    host: free.text("bind_address") ?? (service.Address || "0.0.0.0"),
    port: free.number("bind_port") || service.Port
  }
  const settings = {
    connectTimeoutMillis: free.millis("connect_timeout_ms") || 5000,
    handshakeTimeoutMillis: free.millis("handshake_timeout_ms") || 10_000,
    maxInboundConnections: free.count("max_inbound_connections") ?? 0,
    arrivals: ConnectionSettings.readArrivals(free),
    connections: ConnectionSettings.read(free)
  }
  free.skip(
    "envoy_gateway_bind_addresses",
    "envoy_dns_discovery_type",
    "protocol",
    "mesh_gateway",
    "balance_inbound_connections",
    "xds_fetch_timeout_ms"
  )
  return {
    proxyId: service.ID,
    kind,
    service: service.Service,
    address: standard.host,
    binds: kind === "api-gateway" ? [] : distinct([
      ...(ownDefault && standard.port !== 0 ? [standard] : []),
      ...(wanTaggedAddresses ? tagged(service.TaggedAddresses) : []),
      ...named
    ]),
    ...settings,
    accessLogs: accessLogs.accessLogs,
    ignored: [...free.ignored(), ...accessLogs.ignored]
  }
}

/** `wan_ipv4` and the like say the same once more. */
const tagged = (addresses: AgentService.AgentService["TaggedAddresses"]): ReadonlyArray<Bind> =>
  ["lan", "wan"].flatMap((name) => {
    const address = addresses[name]
    return address === undefined || address.Port === 0 ? [] : [{ name, host: address.Address, port: address.Port }]
  })

/** By name: `{ "lan": { "address": "10.0.0.1", "port": 8443 } }`. */
const bindAddresses = (config: FreeSettings.Config): ReadonlyArray<Bind> => {
  const all = Object.entries(config).find(([name]) => name.toLowerCase() === "envoy_gateway_bind_addresses")?.[1]
  if (!isMap(all)) return []
  return Object.entries(all).flatMap(([name, value]) => {
    if (!isMap(value)) return []
    const fields = new Map(Object.entries(value).map(([field, value]) => [field.toLowerCase(), value]))
    const host = fields.get("address")
    const port = fields.get("port")
    return typeof host === "string" && (typeof port === "number" || typeof port === "string")
      ? [{ name, host, port: GoWeak.number(port) ?? 0 }]
      : []
  })
}

const isMap = (value: unknown): value is FreeSettings.Config =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** One address is listened on once, and a name means one address. */
const distinct = (binds: ReadonlyArray<Bind>): ReadonlyArray<Bind> => {
  const addresses = new Set<string>()
  const names = new Set<string>()
  return binds.filter(({ host, name, port }) => {
    const key = `${host} ${port}`
    if (addresses.has(key) || names.has(name)) return false
    addresses.add(key)
    names.add(name)
    return true
  })
}
