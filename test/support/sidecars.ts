/** Two sidecars on loopback: `web`, which calls `api`, and `api` in front of an application. */
import { Context, Effect, Layer, SubscriptionRef } from "effect"
import type * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"
import type * as Authorizer from "../../src/intention/Authorizer.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as Sidecar from "../../src/sidecar/Sidecar.ts"
import * as ConnectionSettings from "../../src/watch/registration/ConnectionSettings.ts"
import * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as Certificates from "./certificates.ts"
import * as Mesh from "./mesh.ts"

export const registration = (
  service: string,
  overrides: Partial<ProxyRegistration.Registration> = {}
): ProxyRegistration.Registration => ({
  proxyId: `${service}-sidecar-proxy`,
  service,
  listen: { host: "127.0.0.1", port: 0 },
  application: { host: "127.0.0.1", port: 1 },
  applicationConnectTimeoutMillis: 1000,
  handshakeTimeoutMillis: 5000,
  maxInboundConnections: 0,
  arrivals: ConnectionSettings.noLimits,
  connections: ConnectionSettings.defaults,
  reauthorizeMillis: 60_000,
  protocol: "tcp",
  requests: { timeoutMillis: 15_000, idleTimeoutMillis: 300_000 },
  exposed: [],
  accessLogs: undefined,
  upstreams: [],
  ignored: [],
  ...overrides
})

export const upstream = (
  service: string,
  bind: ProxyRegistration.Address = { host: "127.0.0.1", port: 0 }
): ProxyRegistration.Upstream => ({
  id: service,
  service,
  datacenter: undefined,
  bind,
  connectTimeoutMillis: undefined,
  protocol: undefined,
  limits: { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined },
  passiveHealthCheck: {},
  connections: ConnectionSettings.defaults
})

/** Starts a sidecar; it lives as long as the scope. */
export const start = Effect.fnUntraced(function*(
  member: Mesh.Member,
  discovery: Effect.Success<ReturnType<typeof Mesh.discovery>>,
  initial: ProxyRegistration.Registration,
  options?: Sidecar.Options
) {
  const ref = yield* SubscriptionRef.make(initial)
  const layer = Sidecar.layer({ drain: "1 second", ...options }).pipe(
    Layer.provide(MeshDialer.layer),
    Layer.provide([member.layer, discovery.layer, ProxyRegistration.layerFrom(ref)])
  )
  const sidecar = Context.get(yield* Layer.build(Layer.fresh(layer)), Sidecar.Sidecar)
  const listener = (name: string) => sidecar.status().listeners.find((it) => it.name === name)
  return {
    status: sidecar.status,
    leave: sidecar.leave,
    failed: sidecar.failed,
    listener,
    /** The port of a listener that is open. */
    port: (name: string) => Number(listener(name)?.address.split(":").at(-1)),
    register: (next: ProxyRegistration.Registration) => SubscriptionRef.set(ref, next)
  }
})

/** `web` may call `api`, whose application listens on `applicationPort`. */
export const pair = Effect.fnUntraced(function*(applicationPort: number, overrides: {
  readonly web?: Partial<ProxyRegistration.Registration>
  readonly api?: Partial<ProxyRegistration.Registration>
  /** Of `api`. Default: lets `web` in. */
  readonly intentions?: Authorizer.Authorizer
  /** To `api`. Default: its instances. */
  readonly chain?: DiscoveryChain.Chain
} = {}) {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const [web, api] = [yield* Mesh.member("web", ca), yield* Mesh.member("api", ca)]
  if (overrides.intentions !== undefined) yield* SubscriptionRef.set(api.intentions, overrides.intentions)
  const discovery = yield* Mesh.discovery({ api: [] })
  if (overrides.chain !== undefined) yield* discovery.setChain("api", overrides.chain)
  const apiSidecar = yield* start(
    api,
    discovery,
    registration("api", { application: { host: "127.0.0.1", port: applicationPort }, ...overrides.api })
  )
  yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(apiSidecar.port("public"))])
  const webSidecar = yield* start(
    web,
    discovery,
    registration("web", { upstreams: [upstream("api")], ...overrides.web })
  )
  return { ca, web, api, discovery, apiSidecar, webSidecar, port: webSidecar.port("upstream api") }
})
