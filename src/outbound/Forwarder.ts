/** A local port that leads to one service of the mesh: one mesh connection for each local one, whatever its protocol. */
import type * as Net from "node:net"
import { type Duration, Effect, Exit, Iterable, Option, Scope } from "effect"
import type * as MeshListener from "../inbound/MeshListener.ts"
import * as ByteCounts from "../net/ByteCounts.ts"
import type * as Fibers from "../net/Fibers.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import type * as Listening from "../net/Listening.ts"
import * as LocalServer from "../net/LocalServer.ts"
import * as Splice from "../net/Splice.ts"
import * as TcpOptions from "../net/TcpOptions.ts"
import * as Turnover from "../net/Turnover.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as Reset from "../tls/Reset.ts"
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
  /** The same as far as it is known now. It takes no fiber then. */
  readonly serveNow?: (() => Now) | undefined
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

/** How a local connection is served: its bytes are relayed, or by somebody who tells when it is closed. Undefined: it is not known yet. */
export type Now = "bytes" | ((local: Splice.Side, closed: () => void) => void) | undefined

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
  const { current, reach, redirect, status } = yield* followed(options.to, options.tunnels ?? (() => true))
  const relays = new Turnover.TurnoverMap<Net.Socket, Connect.Reached>()
  const { observe, tcp } = options
  const shared = { reach, counts, current, lifetimes, limits: options, observe, relays, report, tcp, traffic }

  const { accepted, bound, idle, open, sockets, stop } = yield* LocalServer.make({
    bind: options.bind,
    drain: options.drain,
    draining: options.draining,
    serve: (socket, fibers) => serveOne(socket, fibers, options, shared)
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
  readonly reach: () => ReturnType<MeshDialer.Route["reach"]>
  readonly current: MeshDialer.Route["current"]
  readonly lifetimes: Lifetimes.Lifetimes<Connect.Reached>
  readonly limits: Pick<Options, "maxConnections" | "maxPending">
  readonly observe: Options["observe"]
  readonly tcp: Options["tcp"]
  readonly counts: { failed: number; established: number; relayed: number; relaying: number }
  readonly report: RelayReport.RelayReport
  /** Where the bytes of local connections go. */
  readonly relays: Turnover.TurnoverMap<Net.Socket, Connect.Reached>
  readonly traffic: ByteCounts.ByteCounts
}

const serveOne = (
  socket: Net.Socket,
  fibers: Fibers.Fibers<never>,
  { serve, serveNow }: Options,
  shared: Shared
): Effect.Effect<void> | undefined => {
  const { tcp, traffic } = shared
  const now = serveNow?.()
  if (serve === undefined || now !== undefined) {
    if (tcp !== undefined) TcpOptions.apply(socket, tcp())
    if (now === undefined || now === "bytes") return relay(socket, fibers, shared)
    const local = Splice.plain(socket)
    const held: Fibers.Held = { cut: local.reset }
    if (!fibers.hold(held)) return void local.reset()
    const counted = new ByteCounts.Inward(socket)
    traffic.entered(counted)
    now(local, () => {
      traffic.left(counted)
      fibers.release(held)
    })
    return undefined
  }
  return Effect.flatMap(serve, (served) => {
    if (tcp !== undefined) TcpOptions.apply(socket, tcp())
    if (served === undefined) return relay(socket, fibers, shared) ?? Effect.void
    const local = Splice.plain(socket)
    const counted = new ByteCounts.Inward(socket)
    traffic.entered(counted)
    const over = () => {
      traffic.left(counted)
      local.reset()
    }
    return Effect.ensuring(served(local), Effect.sync(over))
  })
}

/** Connects to the mesh, and relays until both sides are closed. Returns what is left to do in a fiber. */
const relay = (socket: Net.Socket, fibers: Fibers.Fibers<never>, shared: Shared): Effect.Effect<void> | undefined => {
  const { counts, current, limits: { maxConnections, maxPending }, observe, reach, relays, report } = shared
  if (
    counts.relaying >= (maxConnections?.() ?? Infinity) ||
    counts.relaying - counts.relayed >= (maxPending?.() ?? Infinity)
  ) {
    socket.destroy()
    return undefined
  }
  const observer = observe?.(socket)
  counts.relaying++
  const over = (failure?: DialError.DialError) => {
    counts.relaying--
    relays.delete(socket)
    Reset.reset(socket)
    observer?.ended(failure, current())
  }
  const reached = reach()
  if (!Effect.isEffect(reached)) return begin({ socket, observer, over, mesh: reached }, fibers, shared)
  return Effect.onExitPrimitive(reached, (exit) => {
    if (Exit.isSuccess(exit)) {
      begin({ socket, observer, over, mesh: exit.value }, fibers, shared)
      return undefined
    }
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    if (error !== undefined) counts.failed++
    over(error)
    return error === undefined ? undefined : report.unreachable(error)
  }).pipe(Effect.ignore)
}

/** A local connection, and what it is relayed to. */
interface Relayed {
  readonly socket: Net.Socket
  readonly mesh: Connect.Reached
  readonly observer: Observer | undefined
  readonly over: () => void
}

const begin = (
  { mesh, observer, over, socket }: Relayed,
  fibers: Fibers.Fibers<never>,
  { counts, lifetimes, relays, report, tcp, traffic }: Shared
): undefined => {
  relays.set(socket, mesh)
  observer?.connected(mesh)
  counts.established++
  counts.relayed++
  traffic.entered(mesh.socket)
  lifetimes.entered(mesh)
  if (tcp !== undefined) TcpOptions.apply(mesh.socket, tcp())
  mesh.socket.once("close", () => {
    counts.relayed--
    traffic.left(mesh.socket)
    lifetimes.left(mesh)
  })
  const held: Fibers.Held = {
    cut: () => {
      cut()
      over()
    }
  }
  if (!fibers.hold(held)) {
    mesh.reset()
    return void over()
  }
  const cut = Splice.relay(Splice.plain(socket), mesh, (outcome) => {
    fibers.release(held)
    over()
    if (outcome._tag === "Broken" && outcome.side === "right" && mesh.socket.bytesRead === 0) {
      fibers.run(report.unanswered(mesh, outcome.code))
    }
  })
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
    reach: () => following.route.reach(tunnels()),
    current: () => following.route.current(),
    status: () => following.route.status(),
    redirect: Effect.fnUntraced(function*(to: Resolver.Input) {
      const before = following
      following = yield* follow(to)
      yield* Scope.close(before.held, Exit.void)
    }, Effect.uninterruptible)
  }
})
