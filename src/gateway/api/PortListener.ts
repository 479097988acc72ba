/** A port of an API gateway: from the outside to services of the mesh, as the gateway. */
import type { Socket } from "node:net"
import { Effect, Function, Iterable, type Scope, SubscriptionRef } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as AdmissionLog from "../../inbound/AdmissionLog.ts"
import * as ConnectionRefusals from "../../inbound/ConnectionRefusals.ts"
import * as ArrivalRate from "../../net/ArrivalRate.ts"
import * as Fibers from "../../net/Fibers.ts"
import * as Lifetimes from "../../net/Lifetimes.ts"
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
import type * as Refusal from "../../tls/Refusal.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as GatewayRegistration from "../../watch/GatewayRegistration.ts"
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
  const tls = port.tls === undefined
    ? undefined
    : yield* TlsFront.make(port.tls, port.protocol, wanted.registration.handshakeTimeoutMillis).pipe(
      Effect.mapError(({ message }) => new Listening.ListenError({ address: Listening.format(bind), code: message }))
    )
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
  /** What was said of certificates that can not be used. */
  let problem: string | undefined
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
  // What is relayed has no end of its own: the receiver would take it for a whole stream.
  const lifetimes = yield* Lifetimes.make<Splice.Side>(
    lastingOf(wanted.registration),
    (side) => http === undefined ? side.reset() : http.retire(side, retiredMillis)
  )
  yield* ConnectionMetrics.follow("inbound", () => ({
    ...counts,
    cut: 0,
    ...lifetimes.retired(),
    ...traffic.total()
  }))
  const dialer = yield* MeshDialer.MeshDialer
  const route = port.service === undefined ? undefined : yield* dialer.route(Resolver.service(port.service))
  const report = yield* RelayReport.make(wanted.registration.service)
  const handshakes = ConnectionMetrics.handshakes("inbound", context)
  const refusals = yield* refusalsOf(
    wanted.registration.service,
    tls === undefined ? { refused: Function.constVoid } : handshakes
  )
  const arrivals = ArrivalRate.make()
  let shaking = 0

  /** As for callers from the mesh: see `TlsServer`. */
  const refusalOf = (): Refusal.Refusal | undefined => {
    const { arrivals: { connectionRate, maxHandshakes }, maxInboundConnections } = current.registration
    if (server.open() > (maxInboundConnections || Infinity)) {
      return { _tag: "TooManyConnections", limit: maxInboundConnections }
    }
    if (shaking >= (maxHandshakes || Infinity)) return { _tag: "TooManyHandshakes", limit: maxHandshakes }
    return arrivals.take(connectionRate, performance.now())
      ? undefined
      : { _tag: "TooFast", perSecond: connectionRate }
  }

  const accept = ({ accept }: TlsFront.TlsFront, socket: Socket, remote: string) =>
    Effect.suspend(() => {
      const since = performance.now()
      shaking++
      return Effect.ensuring(accept(socket), Effect.sync(() => shaking--)).pipe(
        Effect.tap(() => Effect.sync(() => handshakes.accepted(since))),
        Effect.tapError((refusal) => Effect.sync(() => refusals.refuse(refusal, remote)))
      )
    })

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

  const serve = (socket: Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      const remote = remoteOf(socket)
      const refusal = refusalOf()
      if (refusal !== undefined) {
        refusals.refuse(refusal, remote)
        socket.destroy()
        return Effect.void
      }
      TcpOptions.apply(socket, current.registration.connections.tcp)
      const plain = Splice.plain(socket)
      return (tls === undefined ? Effect.succeed(plain) : accept(tls, socket, remote)).pipe(
        Effect.flatMap((local) => {
          lifetimes.track(local)
          return Effect.ensuring(served(local), Effect.sync(local.reset))
        }),
        Effect.ignore,
        Effect.ensuring(Effect.sync(plain.reset))
      )
    })
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
      open: server.open() - shaking,
      handshaking: shaking,
      accepted: counts.established,
      failed: counts.failed,
      refused: refusals.counts(),
      retired: lifetimes.retired(),
      ...traffic.total()
    }),
    details: {
      ...Listener.noDetails,
      connections: () =>
        Iterable.map(server.sockets(), ([socket, since]) => ({
          remote: remoteOf(socket),
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
        lifetimes.update(lastingOf(next.registration))
        const own = next.ports.find((each) => each.port === port.port)
        if (own !== undefined && JSON.stringify(own.rules) !== JSON.stringify(SubscriptionRef.getUnsafe(ports).rules)) {
          yield* SubscriptionRef.set(ports, own)
        }
        if (own?.tls === undefined || tls === undefined) return
        const before = problem
        problem = yield* Effect.match(tls.update(own.tls), {
          onFailure: ({ message }) => message,
          onSuccess: () => undefined
        })
        if (problem !== undefined && problem !== before) {
          yield* Effect.logError(`port ${port.port}: ${problem}. The certificates of before stay in force`)
        }
      })
  }
})

/** How long requests at hand may go on where their connection has to end. */
const retiredMillis = 10_000

const lastingOf = (
  { connections: { idleTimeoutMillis, maxLifetimeMillis } }: GatewayRegistration.Registration
): Lifetimes.Options => ({ idleTimeout: idleTimeoutMillis, maxLifetime: maxLifetimeMillis })

/** Empty of one that has left. */
const remoteOf = ({ remoteAddress, remotePort }: Socket): string =>
  remoteAddress === undefined ? "" : Listening.format({ host: remoteAddress, port: remotePort! })

/** Those who are turned away before anything is asked of the mesh: counted and logged as by the public listener of a sidecar. */
const refusalsOf = Effect.fnUntraced(function*(service: string, handshakes: ConnectionRefusals.Options["handshakes"]) {
  const context = yield* Effect.context<never>()
  const { run } = yield* Fibers.make()
  const log = yield* AdmissionLog.make({ service: () => service, subject: (remote) => remote, run })
  return ConnectionRefusals.make({ context, handshakes, log, run })
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
