/**
 * A mesh gateway: the door of a datacenter, through which those of others reach its services, and its own reach theirs.
 *
 *     registration ─▶ listeners            catalog, resolvers, gateways ─▶ MeshDirectory
 *                        │ a connection ──────── what it asks for ────────────▲ │ where that is
 *                        └──────────────▶ an instance, or a gateway of another datacenter ◀┘
 *
 * It has no certificate and no key, and needs none.
 */
import { Effect, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ListenerSet from "../sidecar/ListenerSet.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Maintenance from "../sidecar/Maintenance.ts"
import * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as Watched from "../watch/Watched.ts"
import * as Gateway from "./Gateway.ts"
import * as MeshDirectory from "./MeshDirectory.ts"
import * as MeshGatewayListener from "./MeshGatewayListener.ts"

/** Ready when it accepts. */
export const make = Effect.fnUntraced(function*(
  options: Omit<Gateway.Options, "announce">
): Effect.fn.Return<
  Gateway.Gateway,
  Gateway.Failure,
  GatewayRegistration.GatewayRegistration | ConsulClient.ConsulClient | Scope.Scope
> {
  const consul = yield* ConsulClient.ConsulClient
  const watched = yield* GatewayRegistration.GatewayRegistration
  const registration = yield* Watched.readyWithin(watched, options.readyWithin ?? "30 seconds")
  const { proxyId, service } = registration()
  return yield* Gateway.inTheNameOf(
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
      return gateway
    })
  )
})

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
