/** A local port that leads to one service of the mesh: one mesh connection for each local one, whatever its protocol. */
import type * as Net from "node:net"
import { type Duration, Effect, Exit, Iterable, Scope } from "effect"
import type * as MeshListener from "../inbound/MeshListener.ts"
import * as ByteCounts from "../net/ByteCounts.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import type * as Listening from "../net/Listening.ts"
import * as LocalServer from "../net/LocalServer.ts"
import * as Splice from "../net/Splice.ts"
import * as TcpOptions from "../net/TcpOptions.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import type * as Connect from "./Connect.ts"
import type * as Destination from "./Destination.ts"
import type * as DialError from "./DialError.ts"
import * as MeshDialer from "./MeshDialer.ts"
import * as RelayReport from "./RelayReport.ts"
import type * as Resolver from "./Resolver.ts"

export interface Options {
  readonly bind: Listening.Bind
  /** Where it leads. */
  readonly to: Resolver.Input
  /** In whose name it dials, for the log. */
  readonly caller?: string | undefined
  /** How long open connections may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
  /** How a local connection is served, asked as it arrives. Undefined: its bytes are relayed. */
  readonly serve?: Effect.Effect<((local: Splice.Side) => Effect.Effect<void>) | undefined> | undefined
  /** Relayed connections beyond it are closed. Undefined: there is no limit. */
  readonly maxConnections?: (() => number | undefined) | undefined
  /** Whether tunnels may be used, asked as a connection arrives. Default: they may. */
  readonly tunnels?: (() => boolean) | undefined
  /** As many of those as wait for a connection to an instance. Undefined: there is no limit. */
  readonly maxPending?: (() => number | undefined) | undefined
  /** How long relayed connections may last and be unused. They are reset. Default: no limit. */
  readonly lasting?: Lifetimes.Options | undefined
  readonly tcp?: (() => TcpOptions.TcpOptions) | undefined
  /** Runs when it stops accepting. */
  readonly draining?: Effect.Effect<void> | undefined
  /** Who hears of a local connection whose bytes are relayed, asked as it arrives. */
  readonly observe?: ((local: Net.Socket) => Observer | undefined) | undefined
}

export interface Observer {
  readonly connected: (connection: Connect.Reached) => void
  /** `error`: there was no connection to be had. */
  readonly ended: (error: DialError.DialError | undefined, destination: Destination.Destination | undefined) => void
}

/** A connection of the application, and where it leads. */
export interface LocalConnection {
  readonly socket: Net.Socket
  /** When it was accepted, as `performance.now()` had it. */
  readonly since: number
  /** Undefined while there is no connection to the mesh, and where each request has its own. */
  readonly mesh: Connect.Reached | undefined
}

export interface Forwarder {
  /** With the port that was given. */
  readonly bound: Listening.Bind
  /** `accepted` are connections of the application. None are refused. */
  readonly stats: () => MeshListener.Stats
  /** Local connections that are open now. */
  readonly connections: () => Iterable<LocalConnection>
  /** The instances that connections are relayed to. Undefined until the targets have arrived. */
  readonly status: MeshDialer.Route["status"]
  /** From now on new connections lead there. */
  readonly redirect: (to: Resolver.Input) => Effect.Effect<void>
  /** From now on, for open connections too. */
  readonly setLasting: (lasting: Lifetimes.Options) => void
  /** Stops accepting, at once. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  Forwarder,
  Listening.ListenError,
  MeshDialer.MeshDialer | Scope.Scope
> {
  const counts = { failed: 0, established: 0, relayed: 0, relaying: 0 }
  const traffic = ByteCounts.make()
  // What is relayed has no end of its own: the receiver would take it for a whole stream.
  const lifetimes = yield* Lifetimes.make<Connect.Reached>(options.lasting ?? {}, ({ reset }) => reset())
  yield* ConnectionMetrics.follow("outbound", () => ({
    established: counts.established,
    open: counts.relayed,
    cut: 0,
    ...lifetimes.retired(),
    failed: counts.failed,
    ...traffic.total()
  }))
  const report = yield* RelayReport.make(options.caller)
  const { acquire, current, redirect, status } = yield* followed(options.to, options.tunnels ?? (() => true))
  const relays = new WeakMap<Net.Socket, Connect.Reached>()
  const { observe, tcp } = options
  const shared = { acquire, counts, current, lifetimes, observe, relays, report, tcp, traffic }

  const { accepted, bound, idle, open, sockets, stop } = yield* LocalServer.make({
    bind: options.bind,
    drain: options.drain,
    draining: options.draining,
    serve: (socket) => serveOne(socket, options, shared)
  })
  return {
    bound,
    stop,
    idle,
    stats: () => ({
      open: open(),
      handshaking: 0,
      accepted: accepted(),
      failed: counts.failed,
      cut: 0,
      retired: lifetimes.retired(),
      refused: {},
      ...traffic.total()
    }),
    connections: () => Iterable.map(sockets(), ([socket, since]) => ({ socket, since, mesh: relays.get(socket) })),
    status,
    redirect,
    setLasting: lifetimes.update
  }
})

/** What all connections have in common. */
interface Shared {
  readonly acquire: Effect.Effect<Connect.Reached, DialError.DialError>
  readonly current: MeshDialer.Route["current"]
  readonly lifetimes: Lifetimes.Lifetimes<Connect.Reached>
  readonly observe: Options["observe"]
  readonly tcp: Options["tcp"]
  readonly counts: { failed: number; established: number; relayed: number; relaying: number }
  readonly report: RelayReport.RelayReport
  /** Where the bytes of local connections go. */
  readonly relays: WeakMap<Net.Socket, Connect.Reached>
  readonly traffic: ByteCounts.ByteCounts
}

const serveOne = (
  socket: Net.Socket,
  { maxConnections, maxPending, serve }: Options,
  shared: Shared
): Effect.Effect<void> =>
  Effect.flatMap(serve ?? Effect.undefined, (served) => {
    if (shared.tcp !== undefined) TcpOptions.apply(socket, shared.tcp())
    if (served === undefined) {
      const { relayed, relaying } = shared.counts
      return relaying >= (maxConnections?.() ?? Infinity) || relaying - relayed >= (maxPending?.() ?? Infinity)
        ? Effect.sync(() => socket.destroy())
        : relay(socket, shared)
    }
    const local = Splice.plain(socket)
    return Effect.ensuring(served(local), Effect.sync(local.reset))
  })

/** Connects to the mesh, and relays until both sides are closed. */
const relay = (
  socket: Net.Socket,
  { acquire, counts, current, lifetimes, observe, relays, report, tcp, traffic }: Shared
): Effect.Effect<void> => {
  const local = Splice.plain(socket)
  const observer = observe?.(socket)
  let connection: Connect.Reached | undefined
  let failure: DialError.DialError | undefined
  counts.relaying++
  return Splice.spliceWith(local, acquire, (mesh) => {
    connection = mesh
    relays.set(socket, mesh)
    observer?.connected(mesh)
    counts.established++
    counts.relayed++
    traffic.track(mesh.socket)
    lifetimes.track(mesh)
    if (tcp !== undefined) TcpOptions.apply(mesh.socket, tcp())
    mesh.socket.once("close", () => counts.relayed--)
  }).pipe(
    Effect.flatMap((outcome) =>
      connection !== undefined && outcome._tag === "Broken" && outcome.side === "right" &&
        connection.socket.bytesRead === 0
        ? report.unanswered(connection, outcome.code)
        : Effect.void
    ),
    Effect.catch((error) => {
      counts.failed++
      failure = error
      return report.unreachable(error)
    }),
    Effect.ensuring(Effect.sync(() => {
      counts.relaying--
      local.reset()
      observer?.ended(failure, current())
    }))
  )
}

/** Follows a destination in the scope, until it is redirected to another one. */
const followed = Effect.fnUntraced(function*(to: Resolver.Input, tunnels: () => boolean) {
  const dialer = yield* MeshDialer.MeshDialer
  const scope = yield* Effect.scope
  const follow = Effect.fnUntraced(function*(to: Resolver.Input) {
    const held = yield* Scope.fork(scope)
    return { held, route: yield* Scope.provide(dialer.route(to), held) }
  })
  let following = yield* follow(to)
  return {
    acquire: Effect.suspend(() => following.route.acquire(tunnels())),
    current: () => following.route.current(),
    status: () => following.route.status(),
    redirect: Effect.fnUntraced(function*(to: Resolver.Input) {
      const before = following
      following = yield* follow(to)
      yield* Scope.close(before.held, Exit.void)
    }, Effect.uninterruptible)
  }
})
