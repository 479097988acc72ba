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
 *
 * A refused connection is reset: with TLS 1.3 the dialler has ended its handshake by then, and an orderly end would look
 * to it like an empty answer.
 */
import type { Socket } from "node:net"
import * as Tls from "node:tls"
import { Cause, Duration, Effect, Exit, FiberSet, Function, Result, Schedule, type Scope, Stream } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import * as DenialLog from "../observe/DenialLog.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as OrderlyEnd from "../tls/OrderlyEnd.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import * as PresentedChain from "../tls/PresentedChain.ts"
import * as Refusal from "../tls/Refusal.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Watched from "../watch/Watched.ts"
import * as PendingHandshakes from "./PendingHandshakes.ts"
import * as AskAgent from "./AskAgent.ts"
import * as Authorization from "./Authorization.ts"
import type { Connection } from "./Connection.ts"
import * as HandlerFailure from "./HandlerFailure.ts"
import * as Lifetimes from "../net/Lifetimes.ts"
import * as Listening from "../net/Listening.ts"
import * as LogKeys from "../observe/LogKeys.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as RefusalLines from "../observe/RefusalLines.ts"
import * as Splice from "../net/Splice.ts"
import * as ByteCounts from "../net/ByteCounts.ts"

export type { Connection } from "./Connection.ts"

export interface Options<R> extends Lifetimes.Options {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Takes connections that somebody else has accepted, instead of listening on `host` and `port`. */
  readonly from?: Source | undefined
  /** Runs once for each admitted connection, which is closed when it is over: reset if it fails, ended otherwise. */
  readonly handle: (connection: Connection) => Effect.Effect<unknown, unknown, R>
  /** The application protocols that are offered, best first. Absent: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** For TLS and the certificates of both sides. Default: 10 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** Beyond it new ones are closed at once, those still shaking hands included. Default: 0, no limit. */
  readonly maxConnections?: number | undefined
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
}

/** Hands each connection that it accepts to `accept`, for good: once the listener is gone they are destroyed. */
export type Source = (accept: (transport: Socket) => void) => void

export interface MeshListener {
  readonly host: string
  readonly port: number
  readonly stats: () => Stats
  /** Who was refused, by caller and rule, most frequent first; in audit mode, who would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** Stops accepting. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
  readonly setMaxConnections: (limit: number) => void
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
  const contexts = yield* SecureContexts.SecureContexts
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const asked = yield* Authorization.Authorization
  const questions = new WeakMap<Connection, Authorization.Question>()
  const context = yield* Effect.context<never>()
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.handshakeTimeout ?? "10 seconds"))
  const refused = new Map<Refusal.Reason, number>()
  const open = new Set<Connection>()
  const arrivals = PendingHandshakes.make<SecureContexts.Material>(options.from === undefined ? options.host : "")
  const limits = yield* RefusalLines.RefusalLines
  const denials = DenialLog.make(limits)
  const lines = LineLimit.make(limits)
  const traffic = ByteCounts.make()
  const lifetimes = yield* Lifetimes.make<Connection>(options, options.retire)
  const keep = options.keep ?? ((connection, current) => current.connection(connection.caller))
  const byIntentions = (current: Authorizer.Authorizer) => (connection: Connection) => keep(connection, current)
  const retire = options.retire ?? ((connection) => connection.reset())
  let accepted = 0
  let failed = 0
  let cut = 0
  const stats = (): Stats => ({
    open: open.size,
    handshaking: arrivals.size() - open.size,
    accepted,
    failed,
    cut,
    retired: lifetimes.retired(),
    refused: Object.fromEntries(refused),
    ...traffic.total()
  })
  const handshakes = ConnectionMetrics.handshakes("inbound", context)
  yield* ConnectionMetrics.follow("inbound", () => ({ ...stats(), ...lifetimes.retired(), established: accepted }))

  // Finalizers run last to first: accepting ends, connections drain, what is left is interrupted, then reset.
  yield* Effect.addFinalizer(() => Effect.sync(arrivals.destroyAll))
  if (asked === undefined) {
    yield* Effect.forkScoped(
      Stream.runForEach(intentions.changes, (changed) => judge(open, byIntentions(changed), "the intentions changed"))
    )
  }
  yield* Effect.forkScoped(
    Effect.schedule(
      Effect.suspend(() => {
        const why = "judged again on schedule"
        return asked === undefined
          ? judge(open, byIntentions(authorizer()), why)
          : AskAgent.again(
            asked,
            open,
            (connection) => questions.get(connection),
            timeout,
            (connections, decision) => judge(connections, () => decision, why)
          )
      }),
      options.reauthorize ?? Schedule.spaced("1 minute")
    )
  )
  const connections = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(connections)<R>()

  const service = () => authorizer().destination.service
  const keys = (peer: Pick<Connection, "caller" | "remote">) => ({
    direction: "inbound",
    service: service(),
    ...LogKeys.peer(peer)
  })

  /** A flood of refusals, or of failures, is counted, and makes a line a minute for each reason. */
  const refuse = (refusal: Refusal.Refusal, remote: string) => {
    const reason = Refusal.reason(refusal)
    refused.set(reason, (refused.get(reason) ?? 0) + 1)
    Refusal.count(refusal, "inbound", context)
    if (refusal._tag !== "TooManyConnections") handshakes.refused()
    if (refusal._tag === "Denied") return recordDenial({ ...refusal, remote })
    const leftOut = lines.admit(reason, performance.now())
    if (leftOut === undefined) return
    run(Effect.annotateLogs(Refusal.log(refusal, "inbound", remote, leftOut), "service", service()))
  }

  /** The same for each caller and rule. */
  const recordDenial = (denied: Pick<Connection, "caller" | "decision" | "remote">) => {
    const { caller, decision, remote } = denied
    const line = denials.record(SpiffeId.display(caller), service(), decision, performance.now())
    if (line === undefined) return
    const verdict = decision.allowed ? "let through, in audit mode," : "refused"
    run(Effect.annotateLogs(Effect.logWarning(`${verdict} ${remote}: ${DenialLog.format(line)}`), {
      ...keys(denied),
      reason: "denied"
    }))
  }

  const serve = (connection: Connection): Effect.Effect<unknown, never, R> =>
    Effect.exit(Effect.onExitPrimitive(options.handle(connection), (exit) => {
      if (Exit.isSuccess(exit)) {
        return connection.socket.destroyed
          ? undefined
          : Effect.interruptible(Splice.finish(connection))
      }
      connection.reset()
      if (Cause.hasInterruptsOnly(exit.cause)) return undefined
      failed++
      return Effect.annotateLogs(HandlerFailure.log(lines, connection.caller, exit.cause), keys(connection))
    }))

  const judge = (
    connections: Iterable<Connection>,
    decide: (connection: Connection) => Decision.Decision,
    why: string
  ) => {
    const started = performance.now()
    const denied = new Map<string, { count: number; readonly peer: string }>()
    for (const connection of connections) {
      const decision = decide(connection)
      if (decision.allowed || !open.delete(connection)) continue
      retire(connection, "denied")
      cut++
      const line = `${SpiffeId.display(connection.caller)} (${Decision.explain(decision)})`
      const same = denied.get(line)
      if (same === undefined) denied.set(line, { count: 1, peer: SpiffeId.format(connection.caller) })
      else same.count++
    }
    const millis = Math.round((performance.now() - started) * 1000) / 1000
    return Effect.forEach(denied, ([line, { count, peer }]) =>
      Effect.annotateLogs(
        Effect.logWarning(`cut ${count} open connection${count === 1 ? "" : "s"} of ${line}: ${why}`),
        { reason: "denied", direction: "inbound", service: service(), peer, count, millis }
      ), { discard: true })
  }

  const turnAway = (
    refusal: Refusal.Refusal,
    { remote, transport }: PendingHandshakes.Arrival<SecureContexts.Material>
  ) => {
    refuse(refusal, remote)
    transport.resetAndDestroy()
  }

  const admit = (socket: Tls.TLSSocket, arrival: PendingHandshakes.Arrival<SecureContexts.Material>) => {
    const presented = PeerVerification.presented(socket)
    const caller = PeerVerification.acceptor(presented, arrival.material)
    if (Result.isFailure(caller)) return turnAway(caller.failure, arrival)
    if (asked === undefined) return enter(socket, arrival, caller.success, authorizer().connection(caller.success))
    const question = Authorization.question(caller.success, presented.certificate!, arrival.material)
    if (Result.isFailure(question)) return turnAway(question.failure, arrival)
    const left = timeout - (performance.now() - arrival.since)
    run(Effect.match(AskAgent.first(asked, question.success, socket, left), {
      onFailure: (refusal) => turnAway(refusal, arrival),
      onSuccess: (decision) => enter(socket, arrival, caller.success, decision, question.success)
    }))
  }

  const enter = (
    socket: Tls.TLSSocket,
    arrival: PendingHandshakes.Arrival<SecureContexts.Material>,
    caller: SpiffeId.Service,
    decision: Decision.Decision,
    question?: Authorization.Question
  ) => {
    if (!decision.allowed) return turnAway({ _tag: "Denied", caller, decision }, arrival)
    const { remote, since, transport } = arrival
    const connection: Connection = { ...Splice.tls(socket, transport), caller, decision, remote }
    if (question !== undefined) questions.set(connection, question)
    if (decision.audited === true) recordDenial(connection)
    open.add(connection)
    accepted++
    handshakes.accepted(since)
    traffic.track(socket)
    lifetimes.track(connection)
    socket.once("close", () => open.delete(connection))
    run(serve(connection))
  }

  let material = contexts.current()
  const server = Tls.createServer({
    ...material.server,
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: timeout,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000
  })
  PresentedChain.keep(server)
  server.maxConnections = options.maxConnections || Infinity
  server.on("connection", (transport: Socket) => {
    if (transport.remoteAddress === undefined) return transport.destroy() // it has left already
    arrivals.add(transport, material)
  })
  server.on("secureConnection", (socket) => {
    socket.on("error", Function.constVoid) // an "error" that nobody listens to ends the process
    // Not before: a peer that leaves during the handshake has to be noticed.
    socket.allowHalfOpen = true
    const arrival = arrivals.of(socket)
    if (arrival !== undefined) OrderlyEnd.demand(socket, arrival.transport)
    // This runs on OpenSSL's stack, where a socket can not be closed by all means. Handlers must be free to.
    setImmediate(() => {
      if (arrival === undefined || socket.destroyed) {
        refuse({ _tag: "Disconnected" }, arrival?.remote ?? "a peer that has left")
        return socket.destroy()
      }
      admit(socket, arrival)
    })
  })
  server.on("tlsClientError", (error, socket) => {
    const arrival = arrivals.of(socket)
    refuse(HandshakeFailure.toRefusal(error, timeout), arrival?.remote ?? "a peer that has left")
    socket.destroy()
  })
  server.on("drop", (dropped) => {
    const remote = dropped === undefined ? "a peer" : `${dropped.remoteAddress}:${dropped.remotePort}`
    refuse({ _tag: "TooManyConnections", limit: server.maxConnections }, remote)
  })

  yield* Effect.forkScoped(
    Stream.runForEach(contexts.changes, (next) =>
      Effect.sync(() => {
        if (next === material) return
        material = next
        server.setSecureContext(next.server)
      }))
  )
  let accepting = true
  const stop = Effect.andThen(
    Effect.sync(() => {
      accepting = false
    }),
    Listening.close(server)
  )
  const bound = yield* Effect.acquireRelease(
    options.from === undefined ? Listening.listen(server, options) : Effect.as(
      Effect.sync(() =>
        options.from?.((transport) => accepting ? server.emit("connection", transport) : transport.destroy())
      ),
      { host: options.host, port: options.port }
    ),
    () =>
      stop.pipe(
        Effect.andThen(FiberSet.awaitEmpty(connections)),
        Effect.timeoutOption(options.drain ?? "10 seconds")
      )
  )
  const failure = Listening.failures(bound)
  server.on("error", (cause) => run(failure(cause)))
  return {
    host: options.host,
    port: "port" in bound ? bound.port : options.port,
    stats,
    denials: denials.counts,
    stop,
    idle: FiberSet.awaitEmpty(connections),
    setMaxConnections: (limit) => {
      server.maxConnections = limit || Infinity
    }
  }
})
