/** One side of a pair of our sidecars, with everything that it watches given beforehand. */
import { Context, Effect, Layer, Redacted, References, Result, Scope } from "effect"
import * as Certificate from "../../../src/identity/Certificate.ts"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as TrustBundle from "../../../src/identity/TrustBundle.ts"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as MeshDialer from "../../../src/outbound/MeshDialer.ts"
import * as Tunnels from "../../../src/outbound/tunnel/Tunnels.ts"
import * as GarbageCollection from "../../../src/sidecar/GarbageCollection.ts"
import * as Sidecar from "../../../src/sidecar/Sidecar.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as CaRoots from "../../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../../src/watch/DiscoveryChains.ts"
import * as Endpoints from "../../../src/watch/Endpoints.ts"
import * as Intentions from "../../../src/watch/Intentions.ts"
import * as LeafCertificate from "../../../src/watch/LeafCertificate.ts"
import * as ConnectionSettings from "../../../src/watch/registration/ConnectionSettings.ts"
import * as ProxyRegistration from "../../../src/watch/ProxyRegistration.ts"
import * as JwtProviders from "../../../src/watch/JwtProviders.ts"
import * as MeshDefaults from "../../../src/watch/MeshDefaults.ts"
import * as PreparedQueries from "../../../src/watch/PreparedQueries.ts"
import * as Watched from "../../../src/watch/Watched.ts"
import * as Pair from "./Pair.ts"

const sidecar = Effect.fnUntraced(function*(side: Pair.Side) {
  yield* GarbageCollection.tuneForRelaying
  const inbound = side.role === "inbound"
  const certificate = Result.getOrThrow(Certificate.parse(side.chainPem, "the leaf"))
  const identity = Result.getOrThrow(Certificate.identity(certificate)) as SpiffeId.Service
  const root = Result.getOrThrow(
    TrustBundle.root({ id: "1", name: "root", rootCert: side.rootPem, intermediateCerts: [], active: true })
  )
  const route = {
    targets: [{
      ...identity,
      id: "api",
      service: "api",
      filter: "",
      onlyPassing: false,
      sni: ""
    }],
    connectTimeoutMillis: 5000
  } as const
  const registration: ProxyRegistration.Registration = {
    proxyId: `${identity.service}-sidecar-proxy`,
    service: identity.service,
    listen: { host: "127.0.0.1", port: 0 },
    application: { host: "127.0.0.1", port: side.target },
    applicationConnectTimeoutMillis: 5000,
    handshakeTimeoutMillis: 10_000,
    maxInboundConnections: 0,
    arrivals: ConnectionSettings.noLimits,
    connections: ConnectionSettings.defaults,
    reauthorizeMillis: 60_000,
    protocol: "tcp",
    requests: { timeoutMillis: 15_000, idleTimeoutMillis: 300_000 },
    exposed: [],
    accessLogs: undefined,
    upstreams: inbound
      ? []
      : [{
        id: "api",
        service: "api",
        datacenter: undefined,
        bind: { host: "127.0.0.1", port: 0 },
        connectTimeoutMillis: undefined,
        protocol: undefined,
        limits: { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined },
        passiveHealthCheck: {},
        connections: ConnectionSettings.defaults
      }],
    ignored: []
  }
  const leaf = { identity, certificate, chainPem: side.chainPem, keyPem: Redacted.make(side.keyPem) }
  const authorizer = Authorizer.compile({
    destination: { service: identity.service },
    trustDomain: identity.trustDomain,
    intentions: [Intention.make("web", identity.service, "allow"), Intention.make("*", "*", "deny")],
    defaultPolicy: "deny"
  })
  const instances = [{ id: "api", address: { host: "127.0.0.1", port: side.target }, weight: 1 }]
  const tunnels = process.argv.includes("tunnels")
  const layer = Sidecar.layer({ tunnels }).pipe(
    Layer.provide(MeshDialer.layer),
    Layer.provide(tunnels ? Tunnels.layer : Layer.empty),
    Layer.provide(SecureContexts.layer),
    Layer.provide([
      Layer.succeed(CaRoots.CaRoots, Watched.constant("roots", { trustDomain: identity.trustDomain, roots: [root] })),
      Layer.succeed(LeafCertificate.LeafCertificate, Watched.constant("leaf", leaf)),
      Layer.succeed(Intentions.Intentions, Watched.constant("intentions", authorizer)),
      Layer.succeed(ProxyRegistration.ProxyRegistration, Watched.constant("registration", registration)),
      DiscoveryChains.layerStatic(() => Watched.constant("chain", route)),
      Endpoints.layerStatic(() => Watched.constant("instances", instances)),
      PreparedQueries.layerStatic(),
      JwtProviders.layerStatic(),
      MeshDefaults.layerStatic()
    ]),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Error"))
  )
  const running = Context.get(yield* Layer.build(layer), Sidecar.Sidecar)
  const listener = running.status().listeners.find(({ direction }) => direction === side.role)
  return Number(listener?.address.split(":").at(-1))
})

Pair.serve((side) => Effect.runPromise(Scope.provide(sidecar(side), Scope.makeUnsafe())))
