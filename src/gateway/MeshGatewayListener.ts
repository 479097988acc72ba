/**
 * Takes TLS connections of the mesh and passes them on by the name that they ask for, without opening them: it holds no key, and
 * what passes is between the two ends.
 *
 *     accepted ─▶ first words ─▶ name ─▶ way ─▶ an instance, or a gateway of another datacenter ─▶ bytes flow
 *        │            │           │        │
 *        └────────────┴───────────┴────────┴─ turned away: counted, logged, reset
 */
import type { Socket } from "node:net"
import { Cause, Effect, Exit, Iterable, Option, Scope } from "effect"
import * as ArrivalRate from "../net/ArrivalRate.ts"
import * as ByteCounts from "../net/ByteCounts.ts"
import * as Dial from "../net/Dial.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import * as Listening from "../net/Listening.ts"
import * as LocalServer from "../net/LocalServer.ts"
import * as Splice from "../net/Splice.ts"
import * as TcpOptions from "../net/TcpOptions.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as DialError from "../outbound/DialError.ts"
import * as Listener from "../sidecar/Listener.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as ConnectionLine from "../sidecar/log/ConnectionLine.ts"
import * as TransportFailure from "../sidecar/log/TransportFailure.ts"
import type * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import type * as Gateway from "./Gateway.ts"
import * as FirstWords from "./FirstWords.ts"
import * as GatewayRefusals from "./GatewayRefusals.ts"
import type * as MeshDirectory from "./MeshDirectory.ts"

export interface Options {
  readonly bind: GatewayRegistration.Bind
  readonly directory: MeshDirectory.MeshDirectory
  readonly accessLog: AccessLogWriter.AccessLogWriter
}

export const make = Effect.fnUntraced(function*(
  registration: GatewayRegistration.Registration,
  { accessLog, bind, directory }: Options
): Effect.fn.Return<Listener.Listener<Gateway.Wanted>, Listening.ListenError, Scope.Scope> {
  let settings = registration
  const context = yield* Effect.context<never>()
  const refusals = yield* GatewayRefusals.make(`${registration.proxyId} at ${Listening.format(bind)}`)
  const counts = { established: 0, open: 0, failed: 0, listening: 0 }
  const traffic = ByteCounts.make()
  const arrivals = ArrivalRate.make()
  const targets = new WeakMap<Socket, string>()
  // What is relayed has no end of its own: the receiver would take it for a whole stream.
  const lifetimes = yield* Lifetimes.make<Splice.Side>(lastingOf(registration), ({ reset }) => reset())
  yield* ConnectionMetrics.follow("inbound", () => ({
    ...counts,
    cut: 0,
    ...lifetimes.retired(),
    ...traffic.total()
  }))

  const lineOf = (log: () => AccessLogWriter.Log | undefined, socket: Socket, serverName?: string) =>
    log() === undefined ? undefined : ConnectionLine.begin({ log, downstream: socket, serverName })

  /** In the words of Envoy: no route. */
  const refuse = (socket: Socket, reason: GatewayRefusals.Reason, detail?: string, name?: string) =>
    Effect.andThen(
      refusals.refused(socket, reason, detail),
      Effect.sync(() => lineOf(accessLog.listenerLog, socket, name)?.ended({ flags: "NR" }))
    )

  const relay = (socket: Socket, name: string, way: MeshDirectory.Way): Effect.Effect<void> => {
    const local = Splice.plain(socket)
    const line = lineOf(accessLog.log, socket, name)
    const opening = Effect.scopedWith((held) =>
      Effect.flatMap(
        Scope.provide(way.upstream, held),
        ({ connect }) => connect((_, { address }, millis) => dial(address, millis))
      )
    )
    return Splice.spliceWith(local, opening, (upstream) => {
      counts.established++
      counts.open++
      Meter.count(MetricCatalogue.gatewayConnections, {
        destination: way.service,
        datacenter: way.datacenter
      }, context).value++
      traffic.track(upstream.socket)
      lifetimes.track(upstream)
      TcpOptions.apply(upstream.socket, settings.connections.tcp)
      targets.set(socket, upstream.remote)
      line?.reached(upstream.socket, upstream.remote)
      upstream.socket.once("close", () => counts.open--)
    }).pipe(
      Effect.tapError((error) => {
        counts.failed++
        return refusals.unreachable(error)
      }),
      Effect.onExit((exit) => Effect.sync(() => line?.ended(endOf(exit, name)))),
      Effect.ignore
    )
  }

  const judged = (socket: Socket, heard: FirstWords.Heard): Effect.Effect<void> => {
    if (heard._tag === "Gone") return heard.silent ? Effect.void : refuse(socket, "cut_off")
    if (heard._tag === "TooSlow") return refuse(socket, "too_slow")
    if (heard._tag === "NotTls") return refuse(socket, "not_tls")
    if (heard._tag === "Refused") return refuse(socket, heard.reason, heard.detail)
    const { serverName } = heard
    if (serverName === undefined) return refuse(socket, "no_name")
    const way = directory.find(serverName)
    return way._tag === "Unknown"
      ? refuse(socket, way.why, serverName, serverName)
      : relay(socket, serverName, way)
  }

  const admitted = (socket: Socket): Effect.Effect<void> => {
    TcpOptions.apply(socket, settings.connections.tcp)
    counts.listening++
    return FirstWords.read(socket, settings.handshakeTimeoutMillis).pipe(
      Effect.ensuring(Effect.sync(() => counts.listening--)),
      Effect.flatMap((heard) => judged(socket, heard))
    )
  }

  const serve = (socket: Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { arrivals: { connectionRate, maxHandshakes }, maxInboundConnections } = settings
      return server.open() > (maxInboundConnections || Infinity) || counts.listening >= (maxHandshakes || Infinity) ||
          !arrivals.take(connectionRate, performance.now())
        ? refuse(socket, "too_many")
        : admitted(socket)
    }).pipe(Effect.ensuring(Effect.sync(() => Splice.plain(socket).reset())))

  const server: LocalServer.LocalServer = yield* LocalServer.make({ bind, serve, drain: 0 })
  return {
    address: Listening.format(server.bound),
    announce: Effect.void, // callers hear of it by its checks
    stop: server.stop,
    idle: server.idle,
    counts: () => ({
      open: server.open() - counts.listening,
      handshaking: counts.listening,
      accepted: counts.established,
      failed: counts.failed,
      cut: 0,
      retired: lifetimes.retired(),
      refused: refusals.counts(),
      ...traffic.total()
    }),
    details: {
      ...Listener.noDetails,
      connections: () =>
        Iterable.map(server.sockets(), ([socket, since]) => connection(socket, since, targets.get(socket)))
    },
    update: (next) =>
      Effect.sync(() => {
        settings = next.registration
        lifetimes.update(lastingOf(settings))
      })
  }
})

const lastingOf = (
  { connections: { idleTimeoutMillis, maxLifetimeMillis } }: GatewayRegistration.Registration
): Lifetimes.Options => ({ idleTimeout: idleTimeoutMillis, maxLifetime: maxLifetimeMillis })

interface Dialled extends Splice.Side {
  readonly remote: string
}

const dial = (address: Listening.Bind, millis: number): Effect.Effect<Dialled, DialError.Reason> => {
  const remote = Listening.format(address)
  return Dial.connect(address, millis).pipe(
    Effect.map((side) => ({ ...side, remote })),
    Effect.mapError((failure) =>
      failure._tag === "Refused"
        ? new DialError.ConnectFailed({ address: remote, code: failure.code })
        : new DialError.TimedOut({ what: `TCP connection with ${remote}`, millis: failure.millis })
    )
  )
}

const connection = (socket: Socket, since: number, to: string | undefined): Listener.OpenConnection => ({
  remote: socket.remoteAddress === undefined
    ? ""
    : Listening.format({ host: socket.remoteAddress, port: socket.remotePort! }),
  peer: undefined,
  decision: undefined,
  to,
  openedAt: Listener.wallClock(since),
  sent: socket.bytesRead,
  received: socket.bytesWritten
})

/** In the words of Envoy, whose clusters are called as the names of services are. */
const endOf = (exit: Exit.Exit<unknown, DialError.DialError>, cluster: string): ConnectionLine.Ended => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  if (error === undefined) return { cluster, flags: "-" }
  const { reason } = error
  return {
    cluster,
    flags: reason._tag === "NoHealthyInstance" || reason._tag === "UnknownName" ? "UH" : "UF,URX",
    transportFailure: TransportFailure.ofReason(reason)
  }
}
