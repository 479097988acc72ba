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
import * as ByteCounts from "../net/ByteCounts.ts"
import * as Dial from "../net/Dial.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import * as Listening from "../net/Listening.ts"
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
import * as Front from "./Front.ts"
import type * as Gateway from "./Gateway.ts"
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
  const counts = { established: 0, open: 0, failed: 0 }
  const traffic = ByteCounts.make()
  const targets = new WeakMap<Socket, string>()
  // What is relayed has no end of its own: the receiver would take it for a whole stream.
  const lifetimes = yield* Lifetimes.make<Splice.Side>(lastingOf(registration), ({ reset }) => reset())
  yield* ConnectionMetrics.follow("inbound", () => ({
    ...counts,
    cut: 0,
    ...lifetimes.retired(),
    ...traffic.total()
  }))

  const relay = (socket: Socket, name: string, way: MeshDirectory.Way): Effect.Effect<void> => {
    const local = Splice.plain(socket)
    const { log } = accessLog
    const line = log() === undefined ? undefined : ConnectionLine.begin({ log, downstream: socket, serverName: name })
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
        return front.refusals.unreachable(error)
      }),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          line?.ended(endOf(exit, name))
          local.reset()
        })
      ),
      Effect.ignore
    )
  }

  const front: Front.Front = yield* Front.make(registration, {
    accessLog,
    bind,
    take: (socket, name) => {
      const way = directory.find(name)
      return way._tag === "Unknown" ? way.why : relay(socket, name, way)
    }
  })
  return {
    address: front.address,
    announce: Effect.void, // callers hear of it by its checks
    stop: front.stop,
    idle: front.idle,
    counts: () => ({
      open: front.open() - front.listening(),
      handshaking: front.listening(),
      accepted: counts.established,
      failed: counts.failed,
      cut: 0,
      retired: lifetimes.retired(),
      refused: front.refusals.counts(),
      ...traffic.total()
    }),
    details: {
      ...Listener.noDetails,
      connections: () =>
        Iterable.map(front.sockets(), ([socket, since]) => connection(socket, since, targets.get(socket)))
    },
    update: (next) =>
      Effect.sync(() => {
        settings = next.registration
        front.update(settings)
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
