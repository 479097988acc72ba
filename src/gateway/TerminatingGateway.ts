/**
 * A terminating gateway: the door to services that are not in the mesh. For each service that its config entry links it is that
 * service: with its certificate and by its intentions.
 *
 *     registration, links ─▶ ports, and a listener for each service
 *                              │ a connection ── the name that it asks for ─▶ the listener of that service
 *                              └─ any other name: turned away                   │ judged, by connection or by request
 *                                                                               ▼
 *                                                            an instance outside, over TCP or TLS
 */
import type { Socket } from "node:net"
import { Effect, Schedule, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Marks from "../http/relay/Marks.ts"
import type * as Mesh from "../mesh/Mesh.ts"
import * as Listening from "../net/Listening.ts"
import * as Listener from "../sidecar/Listener.ts"
import type * as ListenerSet from "../sidecar/ListenerSet.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Maintenance from "../sidecar/Maintenance.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as GatewayServices from "../watch/GatewayServices.ts"
import * as Watched from "../watch/Watched.ts"
import * as Front from "./Front.ts"
import * as Gateway from "./Gateway.ts"
import * as ServerName from "./ServerName.ts"
import * as LinkedService from "./terminating/LinkedService.ts"

export interface Options
  extends Omit<Gateway.Options, "announce">, Pick<Mesh.Options, "defaultPolicy" | "audit" | "spiffe">
{
  /** What it says of itself in headers. Default: what Envoy's sidecars do. */
  readonly marks?: Partial<Marks.Marks> | undefined
}

type Wanted = LinkedService.Wanted

/** Ready when its ports accept. Services come as their certificates do. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  Gateway.Gateway,
  Gateway.Failure,
  GatewayRegistration.GatewayRegistration | ConsulClient.ConsulClient | Scope.Scope
> {
  const consul = yield* ConsulClient.ConsulClient
  const watched = yield* GatewayRegistration.GatewayRegistration
  const { proxyId, service } = (yield* Watched.readyWithin(watched, options.readyWithin ?? "30 seconds"))()
  return yield* Gateway.inTheNameOf(
    service,
    Effect.gen(function*() {
      const { body: { Config: { Datacenter } } } = yield* consul.call("GET /v1/agent/self", (api) => api.agent.self({}))
      const links = yield* GatewayServices.watch(consul, service)
      const roots = yield* Watched.readyWithin(yield* CaRoots.watch(consul), options.readyWithin ?? "30 seconds")
      const maintenance = yield* Maintenance.make(proxyId)
      /** Who takes connections to a service, by its name in lower case. */
      const takers = new Map<string, (transport: Socket) => void>()
      const shared: Shared = { ...options, datacenter: Datacenter, takers, trustDomain: () => roots().trustDomain }
      const gateway = yield* Gateway.make({
        wanted: Watched.map(
          Watched.zip(watched, links, watched.what),
          watched.what,
          ([registration, links]): Wanted => ({ registration, links })
        ),
        plans: (wanted: Wanted, accessLog) => plansOf(wanted, accessLog, shared)
      }, { ...options, announce: maintenance.begin })
      yield* Effect.forkScoped(maintenance.end)
      return gateway
    })
  )
})

interface Shared extends Options {
  readonly datacenter: string
  readonly takers: Map<string, (transport: Socket) => void>
  readonly trustDomain: () => string
}

type Plan = ListenerSet.Plan<Wanted, ConsulClient.ConsulClient>

const plansOf = (
  { links, registration }: Wanted,
  accessLog: AccessLogWriter.AccessLogWriter,
  shared: Shared
): ReadonlyArray<Plan> => [
  ...registration.binds.map((bind): Plan => ({
    name: `terminating ${bind.name}`,
    direction: "inbound",
    service: registration.service,
    bind,
    key: JSON.stringify([bind.host, bind.port]),
    start: ({ registration }) => port(registration, bind, accessLog, shared)
  })),
  ...links.map(({ Service: { Name } }): Plan => ({
    name: `service ${Name}`,
    direction: "inbound",
    service: Name,
    bind: { host: registration.binds[0]?.host ?? "0.0.0.0", port: registration.binds[0]?.port ?? 0 },
    key: Name,
    later: Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]),
    start: (wanted) => Gateway.inTheNameOf(Name, linked(Name, wanted, accessLog, shared))
  }))
]

const linked = Effect.fnUntraced(function*(
  service: string,
  wanted: Wanted,
  accessLog: AccessLogWriter.AccessLogWriter,
  { takers, ...shared }: Shared
) {
  const name = service.toLowerCase()
  let own: ((transport: Socket) => void) | undefined
  // When it is linked again while connections of before go on, the name is another listener's.
  const release = Effect.sync(() => {
    if (own !== undefined && takers.get(name) === own) takers.delete(name)
  })
  yield* Effect.addFinalizer(() => release)
  const listener = yield* LinkedService.make(wanted, {
    ...shared,
    service,
    accessLog,
    marks: { ...Marks.envoy, ...shared.marks },
    from: (take) => takers.set(name, own = take)
  })
  return { ...listener, stop: Effect.andThen(release, listener.stop) }
})

/** Counts here are of those that are turned away, and of those that have yet to say what they want. */
const port = Effect.fnUntraced(function*(
  registration: GatewayRegistration.Registration,
  bind: GatewayRegistration.Bind,
  accessLog: AccessLogWriter.AccessLogWriter,
  { datacenter, takers, trustDomain }: Shared
): Effect.fn.Return<Listener.Listener<Wanted>, Listening.ListenError, Scope.Scope> {
  const front = yield* Front.make(registration, {
    bind,
    accessLog,
    take: (socket, text) => {
      const name = ServerName.parse(text, trustDomain())
      if (name?._tag !== "Service") return ServerName.isIn(text, trustDomain()) ? "unknown_name" : "other_trust_domain"
      if (name.datacenter !== datacenter.toLowerCase()) return "unknown_datacenter"
      const isPlain = name.subset === "" && name.namespace === "default" && name.partition === "default"
      const take = isPlain ? takers.get(name.service) : undefined
      return take === undefined ? "unknown_service" : Effect.sync(() => take(socket))
    }
  })
  return {
    address: front.address,
    announce: Effect.void,
    stop: front.stop,
    idle: front.idle,
    counts: () => ({
      ...Listener.none,
      open: front.listening(),
      handshaking: front.listening(),
      refused: front.refusals.counts()
    }),
    details: Listener.noDetails,
    update: ({ registration }) => Effect.sync(() => front.update(registration))
  }
})
