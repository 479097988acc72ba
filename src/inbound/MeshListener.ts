/**
 * Accepts connections from the mesh: TLS, then who the caller is, then whether it may connect, all before anything is
 * done on its behalf; then one fiber runs the handler. Every open connection stays in a registry and is judged again when
 * intentions change (and on a Schedule): what is no longer allowed is cut. Where the agent decides (`Authorization`), it is
 * asked in between, and on the Schedule.
 *
 *     accepted ─▶ handshake ─▶ verified ─▶ authorized ─▶ handler ─▶ closed
 *        │            │            │            │            │
 *        └────────────┴─ refused, counted, ─────┘            └─ cut when policy says no
 *                            logged
 *      (TlsServer)       (ConnectionAdmission)     (ConnectionHandler, OpenConnections)
 */
import type { TLSSocket } from "node:tls"
import { Duration, Effect, Iterable, Schedule, type Scope } from "effect"
import type * as Authorizer from "../intention/Authorizer.ts"
import type * as Decision from "../intention/Decision.ts"
import * as ByteCounts from "../net/ByteCounts.ts"
import * as Fibers from "../net/Fibers.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import type * as Listening from "../net/Listening.ts"
import type * as Splice from "../net/Splice.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import type * as DenialLog from "../observe/DenialLog.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import type * as Refusal from "../tls/Refusal.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Watched from "../watch/Watched.ts"
import * as AdmissionLog from "./AdmissionLog.ts"
import * as AskAgent from "./AskAgent.ts"
import * as Authorization from "./Authorization.ts"
import * as CallerTotals from "./CallerTotals.ts"
import type { Connection } from "./Connection.ts"
import * as ConnectionAdmission from "./ConnectionAdmission.ts"
import * as ConnectionHandler from "./ConnectionHandler.ts"
import * as ConnectionJudge from "./ConnectionJudge.ts"
import * as ConnectionRefusals from "./ConnectionRefusals.ts"
import * as OpenConnections from "./OpenConnections.ts"
import * as TlsServer from "./TlsServer.ts"
import * as AcceptedTunnels from "./tunnel/AcceptedTunnels.ts"

export type { Connection } from "./Connection.ts"
export type { Source } from "./TlsServer.ts"

export interface Options<R> extends Lifetimes.Options {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Takes connections that somebody else has accepted, instead of listening on `host` and `port`. */
  readonly from?: TlsServer.Source | undefined
  /** Runs once for each admitted connection, which is closed when it is over: reset if it fails, ended otherwise. */
  readonly handle: (connection: Connection) => Effect.Effect<unknown, unknown, R>
  /** Handles it in callbacks instead, without a fiber. Undefined: `handle` does. */
  readonly begin?: ((connection: Connection) => ConnectionHandler.Begin | undefined) | undefined
  /** The application protocols that are offered, best first. Absent: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** Whether callers may send many connections through one: see docs/tunnel.md. Default: false. */
  readonly tunnels?: boolean | undefined
  /** For TLS and the certificates of both sides. Default: 10 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** Beyond it new ones are closed at once, those still shaking hands included. Default: 0, no limit. */
  readonly maxConnections?: number | undefined
  /** What else it takes on at a time. Default: everything. */
  readonly arriving?: Partial<TlsServer.Limits> | undefined
  /** How long open connections may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
  /** Judges open connections again, besides each change of intentions. Default: every minute. */
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
  /** Whether an open connection may stay. Default: whether it would be admitted now. */
  readonly keep?: ((connection: Connection, authorizer: Authorizer.Authorizer) => Decision.Decision) | undefined
  /**
   * Ends a connection that may not stay, or has lasted long enough, in the way of its protocol. Default: the former is
   * reset, the latter as in `Lifetimes`.
   */
  readonly retire?: ((connection: Connection, why: Lifetimes.Why | "denied") => void) | undefined
  /** Hears of a caller who is known and is not let in, while the connection is still open. */
  readonly denied?: ((refusal: Denied, side: Splice.Stream) => void) | undefined
}

export type Denied = Extract<Refusal.Refusal, { readonly _tag: "Denied" }>

export interface MeshListener {
  readonly host: string
  readonly port: number
  readonly stats: () => Stats
  /** Who was refused, by caller and rule, most frequent first; in audit mode, who would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** Those that are open now. */
  readonly connections: () => Iterable<Connection>
  /** What each caller has used. */
  readonly callers: () => ReadonlyArray<CallerTotals.Caller>
  /** Judges all that is open again, now. */
  readonly judgeAgain: Effect.Effect<void>
  /** Stops accepting. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
  readonly setMaxConnections: (limit: number) => void
  /** From now on. Lifetimes and idle times hold for open connections too. */
  readonly setLimits: (limits: Partial<TlsServer.Limits>, lifetimes: Lifetimes.Options) => void
}

/** Since the listener opened, except `open` and `handshaking`, which are now. */
export interface Stats {
  readonly open: number
  readonly handshaking: number
  /** Admitted: verified and authorized. */
  readonly accepted: number
  /** Their handler failed. */
  readonly failed: number
  /** Ended because policy changed. */
  readonly cut: number
  /** Ended because they had lasted, or been unused, for long enough. */
  readonly retired: Lifetimes.Counts
  readonly refused: Readonly<Partial<Record<Refusal.Reason, number>>>
  /** Bytes into the mesh. */
  readonly sent: number
  /** Bytes from the mesh. */
  readonly received: number
}

/** Opens once intentions have arrived; leaf and roots are there already. */
export const make = Effect.fnUntraced(function*<R = never>(options: Options<R>): Effect.fn.Return<
  MeshListener,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | Scope.Scope | R
> {
  const { handle, host, retire } = options
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const context = yield* Effect.context<never>()
  const handshakeMillis = Duration.toMillis(Duration.fromInputUnsafe(options.handshakeTimeout ?? "10 seconds"))
  const service = () => authorizer().destination.service
  const traffic = ByteCounts.make()
  const lifetimes = yield* Lifetimes.make<Connection>(options, retire)
  const handshakes = ConnectionMetrics.handshakes("inbound", context)
  const cut = (connection: Connection) => retire === undefined ? connection.reset() : retire(connection, "denied")
  const open = OpenConnections.make({ cut, service })
  const callers = CallerTotals.make()
  const connections = () => Iterable.map(open.open(), ([connection]) => connection)

  // Finalizers run last to first: accepting ends, connections drain, what is left is interrupted, judged no more, then reset.
  const { alpn, from, port, tunnels: mayTunnel = false } = options
  let maxConnections = options.maxConnections || Infinity
  const setLimits = (limits: Partial<TlsServer.Limits>) => {
    maxConnections = (limits.maxConnections ?? maxConnections) || Infinity
    server.setLimits(limits)
  }
  const server = yield* TlsServer.make({
    alpn,
    from,
    handshakeMillis,
    host,
    limits: { ...options.arriving, maxConnections: options.maxConnections ?? 0 },
    port,
    tunnels: mayTunnel
  })
  const judge = yield* makeJudge(options, intentions, authorizer, handshakeMillis, (asking) => void run(asking))
  yield* Effect.forkScoped(judge.follow(open))
  yield* Effect.forkScoped(Effect.schedule(judge.again(open), options.reauthorize ?? Schedule.spaced("1 minute")))
  const fibers = yield* Fibers.make<R>()
  const { empty, run } = fibers

  const log = yield* AdmissionLog.make({ service, subject: (remote) => remote, run })
  const refusals = ConnectionRefusals.make({ context, handshakes, log, run })
  const handler = ConnectionHandler.make(handle, log, fibers)
  const admission: ConnectionAdmission.ConnectionAdmission<TLSSocket> = ConnectionAdmission.make({
    presented: PeerVerification.presented,
    judge,
    tunnelled: (socket, identified) => mayTunnel && tunnels.take(socket, identified),
    refuse: (refusal, remote, side, isStream) => {
      if (refusal._tag === "Denied") options.denied?.(refusal, side)
      refusals.refuse(refusal, remote, isStream)
    },
    enter: (connection, verdict, arrival) => {
      if (verdict.decision.audited === true) log.denied(connection, verdict.decision)
      open.admit(connection, verdict)
      callers.entered(connection)
      if (arrival !== undefined) handshakes.accepted(arrival.since)
      traffic.entered(connection.socket)
      lifetimes.entered(connection)
      connection.socket.once("close", () => {
        open.leave(connection)
        callers.left(connection)
        traffic.left(connection.socket)
        lifetimes.left(connection)
      })
      const begin = options.begin?.(connection)
      if (begin === undefined) run(handler.serve(connection))
      else handler.begin(connection, begin)
    }
  })
  const tunnels = yield* AcceptedTunnels.make({
    opened: (side, identified, cut) => {
      if (open.size() < maxConnections) return admission.opened(side, identified, cut)
      const refusal: Refusal.Refusal = { _tag: "TooManyConnections", limit: maxConnections }
      refusals.refuse(refusal, identified.arrival.remote, true)
      cut(refusal)
    },
    accepted: ({ arrival }) => handshakes.accepted(arrival.since)
  })
  const stats = () => read({ handler, lifetimes, open, refusals, server, traffic, tunnels })
  yield* ConnectionMetrics.follow("inbound", () => totals(stats()))
  // A caller takes its connection for made while we still look at its last word of the handshake.
  const idle = Effect.andThen(server.empty, empty)
  const stop = Effect.andThen(Effect.sync(tunnels.retire), server.stop)
  const bound = yield* Effect.acquireRelease(
    server.listen({ finished: admission.finished, refused: refusals.refuse, failed: run }),
    () => stop.pipe(Effect.andThen(idle), Effect.timeoutOption(options.drain ?? "10 seconds"))
  )
  return {
    host,
    port: bound,
    stats,
    denials: log.denials,
    connections,
    callers: () => callers.list(connections()),
    judgeAgain: judge.again(open),
    stop,
    idle,
    setMaxConnections: (limit) => setLimits({ maxConnections: limit }),
    setLimits: (limits, lasting) => {
      setLimits(limits)
      lifetimes.update(lasting)
    }
  }
})

/** The agent where it is to be asked, the intentions otherwise. */
const makeJudge = <R>(
  { keep = (connection, current) => current.connection(connection.caller) }: Pick<Options<R>, "keep">,
  intentions: Watched.Watched<Authorizer.Authorizer>,
  authorizer: () => Authorizer.Authorizer,
  handshakeMillis: number,
  run: AskAgent.Options["run"]
): Effect.Effect<ConnectionJudge.ConnectionJudge> =>
  Effect.map(Authorization.Authorization, (asked) =>
    asked === undefined
      ? ConnectionJudge.byIntentions({ intentions, authorizer, keep })
      : AskAgent.make({ asked, handshakeMillis, run }))

/** The machines of a listener, as far as they count. */
interface Counters {
  readonly handler: Pick<ConnectionHandler.ConnectionHandler<unknown>, "failed">
  readonly lifetimes: Pick<Lifetimes.Lifetimes<Connection>, "retired">
  readonly open: OpenConnections.OpenConnections
  readonly refusals: ConnectionRefusals.ConnectionRefusals
  readonly server: Pick<TlsServer.TlsServer, "size">
  readonly traffic: ByteCounts.ByteCounts
  readonly tunnels: Pick<AcceptedTunnels.AcceptedTunnels, "size" | "streams">
}

const read = ({ handler, lifetimes, open, refusals, server, traffic, tunnels }: Counters): Stats => ({
  open: open.size(),
  handshaking: server.size() - tunnels.size() - (open.size() - tunnels.streams()),
  accepted: open.admitted(),
  failed: handler.failed(),
  cut: open.ended(),
  retired: lifetimes.retired(),
  refused: refusals.counts(),
  ...traffic.total()
})

const totals = (stats: Stats): ConnectionMetrics.Totals => ({ ...stats, ...stats.retired, established: stats.accepted })
