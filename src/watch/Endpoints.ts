/** The instances of a target that speak mesh TLS, with their health. */
import { Context, Effect, Layer, Result, type Scope } from "effect"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Health from "../consul/Health.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as LeafCertificate from "./LeafCertificate.ts"
import * as PeerBundles from "./PeerBundles.ts"
import * as MeshGateways from "./MeshGateways.ts"
import * as Watched from "./Watched.ts"

export interface Endpoint {
  /** Unique within one answer: node and service id. */
  readonly id: string
  /** Where to dial. A path is that of a unix socket. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Share of the traffic; 0: unhealthy, must not be dialled. */
  readonly weight: number
  /** Why it must not be dialled: `"Connect Sidecar Listening" is critical`. */
  readonly unhealthy?: string | undefined
  /** The name to ask for there. Absent: that of the target. */
  readonly sni?: string | undefined
  /** It is a mesh gateway, which passes the bytes on to an instance that it picks. */
  readonly isGateway?: true | undefined
  /** The services of which one has to answer there. Absent: only the target may. */
  readonly expected?: ReadonlyArray<Expected> | undefined
}

/** A service. What is left out is as in our own identity, or `default`. */
export interface Expected {
  readonly service: string
  readonly trustDomain?: string | undefined
  readonly datacenter?: string | undefined
  readonly namespace?: string | undefined
  readonly partition?: string | undefined
}

export class Endpoints extends Context.Service<Endpoints, {
  /** Shared and reference-counted, by the id of the target. An empty list is a value: no instance at all. */
  readonly watch: (
    target: TcpRoute.Target
  ) => Effect.Effect<Watched.Watched<ReadonlyArray<Endpoint>>, never, Scope.Scope>
}>()("effect-mesh/watch/Endpoints") {}

/** Serves what `resolve` says. */
export const layerStatic = (
  resolve: (target: TcpRoute.Target) => Watched.Watched<ReadonlyArray<Endpoint>>
): Layer.Layer<Endpoints> => Layer.succeed(Endpoints, { watch: (target) => Effect.sync(() => resolve(target)) })

/** Watches the Consul agent: one watch for each different target, as long as it is used. */
export const layer: Layer.Layer<Endpoints, never, ConsulClient.ConsulClient | LeafCertificate.LeafCertificate> = Layer
  .effect(
    Endpoints,
    Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const leaf = yield* LeafCertificate.LeafCertificate
      const { want } = yield* PeerBundles.PeerBundles
      return within(consul, Effect.map(leaf.get, ({ identity }) => identity.datacenter), want)
    })
  )

/** The same for whoever has no leaf, and is in this datacenter. */
export const within = (
  consul: ConsulClient.ConsulClient["Service"],
  datacenter: Effect.Effect<string>,
  wantPeers: Effect.Effect<void> = Effect.void
): Endpoints["Service"] => ({
  watch: (target) =>
    Effect.andThen(
      target.peer === undefined ? Effect.void : wantPeers,
      Effect.flatMap(datacenter, (datacenter) => watchTarget(consul, target, datacenter))
    )
})

/** The instances, or the gateways that lead to them. */
const watchTarget = Effect.fnUntraced(function*(
  consul: ConsulClient.ConsulClient["Service"],
  target: TcpRoute.Target,
  home: string
) {
  const instances = yield* watchInstances(consul, target, home)
  const { peer } = target
  if (peer !== undefined) {
    const bundles = yield* PeerBundles.watch(consul)
    return Watched.map(
      Watched.zip(instances, bundles, instances.what),
      instances.what,
      ([list, bundles]) =>
        bundles.has(peer) ? list : list.map(because(`no root certificate of the peer ${peer} is known`))
    )
  }
  if (target.gateway === undefined || target.datacenter === "" || target.datacenter === home) return instances
  const datacenter = target.gateway === "local" ? home : target.datacenter
  const what = `the mesh gateways of ${datacenter}`
  const gateways = yield* MeshGateways.watch(consul)
  return Watched.map(
    Watched.zip(instances, Watched.map(gateways, what, (all) => all[datacenter] ?? []), what),
    instances.what,
    ([list, gateways]) => through(gateways, list, datacenter, home)
  )
})

const because = (unhealthy: string) => (endpoint: Endpoint): Endpoint => ({ ...endpoint, weight: 0, unhealthy })

/**
 * Dialled are the gateways, and whether there is anybody behind them the instances tell. A gateway that is unwell is left out, other
 * than in Consul, where it would be dialled all the same.
 */
export const through = (
  gateways: ReadonlyArray<Health.ServiceEntry>,
  instances: ReadonlyArray<Endpoint>,
  datacenter: string,
  home: string
): ReadonlyArray<Endpoint> => {
  const found = gateways.flatMap((entry) => toEndpoint(entry, { onlyPassing: false }, home)).map((endpoint) => ({
    ...endpoint,
    isGateway: true as const
  }))
  if (found.length === 0) return instances.map(because(`no mesh gateway of ${datacenter} leads to it`))
  if (instances.some(({ weight }) => weight > 0)) return found
  const [reason] = instances.flatMap(({ unhealthy }) => unhealthy ?? [])
  return instances.length === 0 ? [] : found.map(because(`behind the gateway, ${reason ?? "nothing is healthy"}`))
}

const watchInstances = (
  consul: ConsulClient.ConsulClient["Service"],
  target: TcpRoute.Target,
  datacenter: string
) => {
  const name = `GET /v1/health/connect/${target.service}`
  const key = `${name} ${target.datacenter} ${target.filter} ${target.onlyPassing} ${target.peer ?? ""}`
  return consul.share(
    key,
    Watched.make(
      { what: `the instances of ${target.id}`, watch: "instances", subject: target.id },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) =>
          api.health.connect({
            params: { service: target.service },
            query: {
              ...blocking,
              ...(target.peer !== undefined
                ? { peer: target.peer }
                : target.datacenter === ""
                ? {}
                : { dc: target.datacenter }),
              ...(target.filter === "" ? {} : { filter: target.filter })
            }
          }),
        decode: (entries) =>
          Result.succeed(
            entries.flatMap((entry) =>
              target.peer === undefined ? toEndpoint(entry, target, datacenter) : toPeered(entry, datacenter)
            )
          )
      })
    )
  )
}

/** The instances of a service as they are registered, in the mesh or not. */
export const ofService = (
  consul: ConsulClient.ConsulClient["Service"],
  service: string,
  datacenter: string
): Effect.Effect<
  Watched.Watched<Result.Result<ReadonlyArray<Endpoint>, string>>,
  never,
  Scope.Scope
> => {
  const name = `GET /v1/health/service/${service}`
  return consul.share(
    name,
    Watched.make(
      { what: `the instances of ${service}`, watch: "instances", subject: service },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) => api.health.service({ params: { service }, query: blocking }),
        decode: (entries) =>
          Result.succeed(
            Result.succeed(entries.flatMap((entry) => toEndpoint(entry, { onlyPassing: false }, datacenter)))
          )
      })
    )
  )
}

/** None for an instance without an address to dial. Between datacenters the public (`wan`) addresses are used. */
export const toEndpoint = (
  entry: Health.ServiceEntry,
  target: Pick<TcpRoute.Target, "onlyPassing">,
  datacenter: string
): ReadonlyArray<Endpoint> => {
  const { Checks, Node, Service } = entry
  const id = `${Node.Node}/${Service.ID}`
  const instance = { id, ...healthOf(Checks, Service.Weights, target.onlyPassing) }
  if (Service.SocketPath !== "") return [{ ...instance, address: { path: Service.SocketPath } }]
  const isNear = Node.Datacenter === datacenter && Service.PeerName === ""
  const wan = isNear ? undefined : Service.TaggedAddresses["wan"]
  const nodeAddress = isNear ? Node.Address : Node.TaggedAddresses["wan"] || Node.Address
  const host = wan?.Address || Service.Address || nodeAddress
  const port = wan?.Port || Service.Port
  return host === "" || port === 0 ? [] : [{ ...instance, address: { host, port } }]
}

/**
 * A mesh gateway of a peer, which stands for a service of it. None where it does not say by which name and identity that is called.
 * The gateway's own identity is not among those: what it opens itself ends there, and is none of ours.
 */
export const toPeered = (entry: Health.ServiceEntry, datacenter: string): ReadonlyArray<Endpoint> => {
  const meta = entry.Service.Connect.PeerMeta
  const [sni] = meta?.SNI ?? []
  const expected = (meta?.SpiffeID ?? []).flatMap((uri) => {
    const identity = Result.getOrUndefined(SpiffeId.parse(uri))
    return identity?._tag === "Service" ? [identity] : []
  })
  if (sni === undefined || expected.length === 0) return []
  return toEndpoint(entry, { onlyPassing: false }, datacenter).map((endpoint) => ({
    ...endpoint,
    sni,
    expected,
    isGateway: true
  }))
}

/** Like the endpoints that Consul computes for Envoy (`agent/xds/endpoints.go`): unhealthy is 0, the most is 128. */
const healthOf = (
  checks: ReadonlyArray<Health.Check>,
  weights: Health.Weights,
  onlyPassing: boolean
): Pick<Endpoint, "weight" | "unhealthy"> => {
  const failing = checks.find(({ Status }) => Status === "critical" || Status === "maintenance") ??
    (onlyPassing ? checks.find(({ Status }) => Status === "warning") : undefined)
  if (failing !== undefined) {
    return { weight: 0, unhealthy: `${JSON.stringify(failing.Name || failing.CheckID)} is ${failing.Status}` }
  }
  const own = checks.some(({ Status }) => Status === "warning") ? weights.Warning : weights.Passing
  const weight = Math.max(0, Math.min(128, own))
  return weight > 0 ? { weight } : { weight, unhealthy: "its weight is 0" }
}
