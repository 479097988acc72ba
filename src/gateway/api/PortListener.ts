/** A port of an API gateway: from the outside to services of the mesh, as the gateway. */
import type { Socket } from "node:net"
import { Cause, Effect, Exit, Iterable, type Scope, SubscriptionRef } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as Listening from "../../net/Listening.ts"
import * as LocalServer from "../../net/LocalServer.ts"
import * as Splice from "../../net/Splice.ts"
import * as TcpOptions from "../../net/TcpOptions.ts"
import * as ConnectionMetrics from "../../observe/ConnectionMetrics.ts"
import * as ByteCounts from "../../net/ByteCounts.ts"
import * as MeshDialer from "../../outbound/MeshDialer.ts"
import * as RelayReport from "../../outbound/RelayReport.ts"
import * as Resolver from "../../outbound/Resolver.ts"
import * as UpstreamHttp from "../../sidecar/http/UpstreamHttp.ts"
import * as Listener from "../../sidecar/Listener.ts"
import type * as AccessLogWriter from "../../sidecar/log/AccessLogWriter.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import * as ConnectionSettings from "../../watch/registration/ConnectionSettings.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Watched from "../../watch/Watched.ts"
import type * as Gateway from "../Gateway.ts"
import type * as Ports from "./Ports.ts"
import * as TlsFront from "./TlsFront.ts"

/** What is wanted of an API gateway. */
export interface Wanted extends Gateway.Wanted {
  readonly ports: ReadonlyArray<Ports.Port>
}

export interface Options {
  readonly port: Ports.Port
  readonly bind: { readonly host: string; readonly port: number }
  /** Of `http`: its routes, as a chain. */
  readonly chainOf: (
    name: string,
    port: Ports.Port
  ) => Effect.Effect<Watched.Watched<DiscoveryChain.Chain>, never, Resolver.Sources | Scope.Scope>
  readonly accessLog: AccessLogWriter.AccessLogWriter
  readonly marks: Marks.Marks
}

export const make = Effect.fnUntraced(function*(
  wanted: Wanted,
  { accessLog, bind, chainOf, marks, port }: Options
): Effect.fn.Return<
  Listener.Listener<Wanted>,
  Listening.ListenError,
  MeshDialer.MeshDialer | SecureContexts.SecureContexts | Resolver.Sources | Scope.Scope
> {
  let current = wanted
  const name = `${wanted.registration.service}:${port.port}`
  const context = yield* Effect.context<Resolver.Sources>()
  const what = `the routes of ${name}`
  const ports = yield* SubscriptionRef.make(port)
  const chain = yield* Watched.switchMap(
    Watched.fromRef(what, ports),
    what,
    (port) => Effect.provideContext(chainOf(name, port), context)
  )
  const counts = { established: 0, open: 0, failed: 0 }
  const traffic = ByteCounts.make()
  yield* ConnectionMetrics.follow("inbound", () => ({ ...counts, cut: 0, lifetime: 0, idle: 0, ...traffic.total() }))
  const tls = port.tls === undefined
    ? undefined
    : TlsFront.make(port.tls, port.protocol, wanted.registration.handshakeTimeoutMillis)
  const http = port.protocol === "http"
    ? yield* UpstreamHttp.make(upstreamOf(name, bind), {
      caller: wanted.registration.service,
      marks,
      log: accessLog.log,
      scheme: tls === undefined ? "http" : "https",
      unrouted: OwnAnswers.noRoute,
      resolverOf: () => resolverOf(name, chain)
    })
    : undefined
  const dialer = yield* MeshDialer.MeshDialer
  const route = port.service === undefined ? undefined : yield* dialer.route(Resolver.service(port.service))
  const report = yield* RelayReport.make(wanted.registration.service)

  const passOn = (local: Splice.Side): Effect.Effect<void> =>
    route === undefined ? Effect.void : Splice.spliceWith(local, route.acquire(true), ({ socket }) => {
      counts.established++
      counts.open++
      traffic.track(socket)
      socket.once("close", () => counts.open--)
    }).pipe(
      Effect.catch((error) => {
        counts.failed++
        return report.unreachable(error)
      }),
      Effect.asVoid
    )

  const served = http === undefined ? passOn : (local: Splice.Side) =>
    Effect.flatMap(http.serve, (serve) => {
      if (serve === undefined) return Effect.void
      counts.established++
      counts.open++
      return Effect.ensuring(serve(local), Effect.sync(() => counts.open--))
    })

  const serve = (socket: Socket): Effect.Effect<void> => {
    TcpOptions.apply(socket, current.registration.connections.tcp)
    const { maxInboundConnections } = current.registration
    if (server.open() > (maxInboundConnections || Infinity)) return Effect.sync(() => socket.destroy())
    const plain = Splice.plain(socket)
    return (tls === undefined ? Effect.succeed(plain) : tls.accept(socket)).pipe(
      Effect.flatMap((local) => {
        if (local === undefined) {
          counts.failed++
          return Effect.void
        }
        return Effect.ensuring(served(local), Effect.sync(local.reset))
      }),
      Effect.ensuring(Effect.sync(plain.reset))
    )
  }
  const server: LocalServer.LocalServer = yield* LocalServer.make({
    bind,
    serve,
    drain: 0,
    draining: http?.drain ?? Effect.void
  })
  return {
    address: Listening.format(server.bound),
    announce: Effect.void,
    stop: server.stop,
    idle: server.idle,
    counts: () => ({
      ...Listener.none,
      open: server.open(),
      accepted: counts.established,
      failed: counts.failed,
      ...traffic.total()
    }),
    details: {
      ...Listener.noDetails,
      connections: () =>
        Iterable.map(server.sockets(), ([socket, since]) => ({
          remote: socket.remoteAddress === undefined
            ? ""
            : Listening.format({ host: socket.remoteAddress, port: socket.remotePort! }),
          peer: undefined,
          decision: undefined,
          to: undefined,
          openedAt: Listener.wallClock(since),
          sent: socket.bytesRead,
          received: socket.bytesWritten
        })),
      upstream: {
        protocol: () => port.protocol,
        targets: () => http?.targets() ?? route?.status(),
        routes: () => http?.routes()
      }
    },
    update: (next) =>
      Effect.gen(function*() {
        current = next
        const own = next.ports.find((each) => each.port === port.port)
        if (own !== undefined && JSON.stringify(own.rules) !== JSON.stringify(SubscriptionRef.getUnsafe(ports).rules)) {
          yield* SubscriptionRef.set(ports, own)
        }
        if (own?.tls === undefined || tls === undefined) return
        const changed = yield* Effect.exit(Effect.sync(() => tls.update(own.tls!)))
        if (Exit.isFailure(changed)) {
          yield* Effect.logError(
            `the certificates of port ${port.port} can not be used: the last ones stay`,
            Cause.squash(changed.cause)
          )
        }
      })
  }
})

const resolverOf = (name: string, chain: Watched.Watched<DiscoveryChain.Chain>): Resolver.Resolver =>
  new Resolver.Resolver({
    name,
    key: name,
    patienceMillis: 5000,
    follow: Effect.die("the routes of an API gateway are for requests"),
    followChain: Effect.succeed(chain)
  })

const upstreamOf = (name: string, bind: Options["bind"]): ProxyRegistration.Upstream => ({
  id: name,
  service: name,
  datacenter: undefined,
  bind,
  connectTimeoutMillis: undefined,
  protocol: undefined,
  limits: { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined },
  passiveHealthCheck: {},
  connections: ConnectionSettings.defaults
})
