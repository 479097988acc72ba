/**
 * A mesh gateway: the door of a datacenter, through which those of others reach its services, and its own reach theirs.
 *
 *     registration ─▶ listeners            catalog, resolvers, gateways ─▶ MeshDirectory
 *                        │ a connection ──────── what it asks for ────────────▲ │ where that is
 *                        └──────────────▶ an instance, or a gateway of another datacenter ◀┘
 *
 * It has no certificate and no key, and needs none.
 */
import { Effect, Metric, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import type * as Listening from "../net/Listening.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import type * as ListenerSet from "../sidecar/ListenerSet.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Maintenance from "../sidecar/Maintenance.ts"
import * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as Watched from "../watch/Watched.ts"
import * as Gateway from "./Gateway.ts"
import * as MeshDirectory from "./MeshDirectory.ts"
import * as MeshGatewayListener from "./MeshGatewayListener.ts"

export type Failure = Watched.NotReady | Listening.ListenError | ConsulError.ConsulError

/** Ready when it accepts. */
export const make = Effect.fnUntraced(function*(
  options: Omit<Gateway.Options, "announce">
): Effect.fn.Return<
  Gateway.Gateway,
  Failure,
  GatewayRegistration.GatewayRegistration | ConsulClient.ConsulClient | Scope.Scope
> {
  const consul = yield* ConsulClient.ConsulClient
  const watched = yield* GatewayRegistration.GatewayRegistration
  const registration = yield* Watched.readyWithin(watched, options.readyWithin ?? "30 seconds")
  const { proxyId, service } = registration()
  return yield* inTheNameOf(
    service,
    Effect.gen(function*() {
      const { body: { Config } } = yield* consul.call("GET /v1/agent/self", (api) => api.agent.self({}))
      const directory = yield* MeshDirectory.make({
        datacenter: Config.Datacenter,
        connectTimeoutMillis: () => registration().connectTimeoutMillis,
        readyWithin: options.readyWithin
      })
      const maintenance = yield* Maintenance.make(proxyId)
      const gateway = yield* Gateway.make({
        wanted: Watched.map(watched, watched.what, (registration) => ({ registration })),
        plans: (wanted: Gateway.Wanted, log) => plansOf(wanted, directory, log)
      }, { ...options, announce: maintenance.begin })
      yield* Effect.forkScoped(maintenance.end)
      yield* Meter.follow(MetricCatalogue.sidecarRunning, { service, proxy: proxyId }, () => 1)
      return gateway
    })
  )
})

/** As sidecars are: see `ConsulSidecar`. */
const inTheNameOf = <A, E, R>(service: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.updateService(Metric.CurrentMetricAttributes, (attributes) => ({ ...attributes, service })),
    Effect.annotateLogs({ service })
  )

const plansOf = (
  { registration }: Gateway.Wanted,
  directory: MeshDirectory.MeshDirectory,
  accessLog: AccessLogWriter.AccessLogWriter
): ReadonlyArray<ListenerSet.Plan<Gateway.Wanted, never>> =>
  registration.binds.map((bind) => ({
    name: `mesh ${bind.name}`,
    direction: "inbound",
    service: registration.service,
    bind,
    key: JSON.stringify([bind.host, bind.port]),
    start: ({ registration }) => MeshGatewayListener.make(registration, { bind, directory, accessLog })
  }))
