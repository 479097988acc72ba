/**
 * An API gateway: the door for those who are outside. What its config entries say is open at its ports: whoever comes in calls
 * services of the mesh as the gateway, whose certificate they meet and whose intentions judge it.
 *
 *     registration, api-gateway, routes, certificates ─▶ Ports ─▶ a listener for each port
 *                                                          │           │ TLS of the outside, by name
 *                        chains of the services that they name ─▶ PortChain ─▶ route, leg, instance ─▶ mutual TLS
 */
import { Effect, Layer, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import * as Marks from "../http/relay/Marks.ts"
import * as Mesh from "../mesh/Mesh.ts"
import type * as MeshDialer from "../outbound/MeshDialer.ts"
import type * as Resolver from "../outbound/Resolver.ts"
import type * as ListenerSet from "../sidecar/ListenerSet.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Maintenance from "../sidecar/Maintenance.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as ApiGatewayEntries from "../watch/ApiGatewayEntries.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as Watched from "../watch/Watched.ts"
import * as PortChain from "./api/PortChain.ts"
import * as PortListener from "./api/PortListener.ts"
import * as Ports from "./api/Ports.ts"
import * as TlsFront from "./api/TlsFront.ts"
import * as Gateway from "./Gateway.ts"

export interface Options extends Omit<Gateway.Options, "announce">, Pick<Mesh.Options, "spiffe"> {
  /** What it says of itself in headers. Default: what Envoy's sidecars do. */
  readonly marks?: Partial<Marks.Marks> | undefined
}

export interface ApiGateway extends Gateway.Gateway {
  readonly material: () => SecureContexts.Material
}

type Needs = MeshDialer.MeshDialer | SecureContexts.SecureContexts | Resolver.Sources

/** Ready when the ports of now accept. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  ApiGateway,
  Gateway.Failure,
  GatewayRegistration.GatewayRegistration | ConsulClient.ConsulClient | Scope.Scope
> {
  const consul = yield* ConsulClient.ConsulClient
  const watched = yield* GatewayRegistration.GatewayRegistration
  const { proxyId, service } = (yield* Watched.readyWithin(watched, options.readyWithin ?? "30 seconds"))()
  const made = Effect.gen(function*() {
    const mesh = yield* Layer.build(Mesh.layer({ ...options, service, tunnels: true }))
    const entries = yield* ApiGatewayEntries.watch(consul)
    const maintenance = yield* Maintenance.make(proxyId)
    const wanted = Watched.map(Watched.zip(watched, entries, entries.what), entries.what, ([registration, entries]) => {
      const gateway = entries.gateways.find(({ Name }) => Name === service)
      const { ports, problems } = Ports.plan({ ...entries, gateway })
      const none = gateway === undefined ? [`there is no api-gateway entry ${service}: nothing is open`] : []
      return { registration: { ...registration, ignored: [...registration.ignored, ...problems, ...none] }, ports }
    })
    const gateway = yield* Gateway.make({
      wanted,
      plans: (wanted: PortListener.Wanted, accessLog) => plansOf(wanted, accessLog, options)
    }, { ...options, announce: maintenance.begin }).pipe(Effect.provideContext(mesh))
    yield* Effect.forkScoped(maintenance.end)
    const contexts = yield* SecureContexts.SecureContexts.pipe(Effect.provideContext(mesh))
    return { ...gateway, material: contexts.current }
  })
  return yield* Gateway.inTheNameOf(service, made)
})

const plansOf = (
  { ports, registration }: PortListener.Wanted,
  accessLog: AccessLogWriter.AccessLogWriter,
  options: Options
): ReadonlyArray<ListenerSet.Plan<PortListener.Wanted, Needs>> =>
  ports.map((port) => {
    const bind = { host: registration.address, port: port.port }
    return {
      name: `${port.protocol} ${port.port}`,
      direction: "outbound",
      service: registration.service,
      bind,
      // Routes and certificates are followed while it is open.
      key: JSON.stringify([bind, port.protocol, port.tls === undefined, port.service]),
      // The other ports do not wait for somebody to write a certificate again.
      later: port.tls === undefined || TlsFront.isUsable(port.tls) ? undefined : options.rebind ?? Gateway.rebind,
      start: (wanted) =>
        PortListener.make(wanted, {
          port: wanted.ports.find((each) => each.port === port.port) ?? port,
          bind,
          chainOf,
          accessLog,
          marks: { ...Marks.envoy, ...options.marks }
        })
    }
  })

/** Follows the chains of the services that the port names. */
const chainOf = (name: string, port: Ports.Port) =>
  Effect.gen(function*() {
    const { watchChain } = yield* DiscoveryChains.DiscoveryChains
    const what = `the routes of ${name}`
    let all = Watched.constant<ReadonlyMap<string, DiscoveryChain.Chain>>(what, new Map())
    for (const service of Ports.servicesOf(port)) {
      const chain = watchChain === undefined ? undefined : yield* watchChain({ service })
      if (chain === undefined) continue
      all = Watched.map(Watched.zip(all, chain, what), what, ([known, chain]) => new Map(known).set(service, chain))
    }
    return Watched.map(all, what, (chains) => PortChain.make(name, port, chains))
  })
