/** A local port that leads to one service of the mesh: one mesh connection for each local one, whatever its protocol. */
import * as Net from "node:net"
import { type Duration, Effect, Exit, FiberSet, Function, Scope } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as Catalogue from "../observe/Catalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as Refusal from "../tls/Refusal.ts"
import type * as Connect from "./Connect.ts"
import * as Listening from "../net/Listening.ts"
import * as MeshDialer from "./MeshDialer.ts"
import type * as MeshListener from "../inbound/MeshListener.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as RefusalLines from "../observe/RefusalLines.ts"
import type * as Resolver from "./Resolver.ts"
import * as Splice from "../net/Splice.ts"
import * as ByteCounts from "../net/ByteCounts.ts"

export interface Options {
  readonly bind: Listening.Bind
  /** Where it leads. */
  readonly to: Resolver.Input
  /** In whose name it dials, for the log. */
  readonly caller?: string | undefined
  /** How long open connections may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
}

export interface Forwarder {
  /** With the port that was given. */
  readonly bound: Listening.Bind
  /** `accepted` are connections of the application. None are refused. */
  readonly stats: () => MeshListener.Stats
  /** From now on new connections lead there. */
  readonly redirect: (to: Resolver.Input) => Effect.Effect<void>
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
  const dialer = yield* MeshDialer.MeshDialer
  const scope = yield* Effect.scope
  const traffic = ByteCounts.make()
  const lines = LineLimit.make(yield* RefusalLines.RefusalLines)
  const context = yield* Effect.context<never>()
  let accepted = 0
  let open = 0
  let failed = 0
  let established = 0
  let relayed = 0
  yield* ConnectionMetrics.follow(
    "outbound",
    () => ({ established, open: relayed, cut: 0, lifetime: 0, idle: 0, failed, ...traffic.total() })
  )

  const watchRoute = Effect.fnUntraced(function*(to: Resolver.Input) {
    const held = yield* Scope.fork(scope)
    const route = yield* Scope.provide(dialer.route(to), held)
    return { route, held }
  })
  let watching = yield* watchRoute(options.to)

  // Finalizers run last to first: accepting ends, connections drain, what is left is interrupted.
  const connections = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(connections)()

  const warn = (kind: string, text: string, keys: Readonly<Record<string, string>>) => {
    const leftOut = lines.admit(kind, performance.now())
    return leftOut === undefined ? Effect.void : Effect.annotateLogs(
      Effect.logWarning(`${text}${LineLimit.suffix(leftOut)}`),
      { direction: "outbound", ...keys }
    )
  }

  /** With TLS 1.3 the other side judges us when our handshake is over: its refusal is the first that we read. */
  const hear = ({ peer, remote }: Connect.Connection, code: string) => {
    const destination = SpiffeId.display(peer)
    const keys = { destination, remote, code }
    const refusal = HandshakeFailure.toRefusal(Object.assign(new Error(code), { code }), 0)
    if (refusal._tag === "RefusedByPeer") {
      const reason = Refusal.reason(refusal)
      Refusal.count(refusal, "outbound", context)
      return warn(`${destination} ${reason}`, `${destination} (${remote}): ${Refusal.explain(refusal)}`, {
        ...keys,
        reason
      })
    }
    Meter.count(Catalogue.connectionsUnanswered, { destination }, context).value++
    return warn(
      `${destination} unanswered`,
      `${destination} (${remote}) cut the connection before its first byte (${code}): it refused us, or its application ` +
        `was not reached or reset it. Check the intentions ${
          options.caller ?? "of this caller"
        } → ${peer.service}; the ` +
        "log of the other side says which it was",
      { ...keys, reason: "unanswered" }
    )
  }

  const relay = (socket: Net.Socket) => {
    const local = Splice.plain(socket)
    let connection: Connect.Connection | undefined
    return Splice.spliceWith(local, watching.route.acquire, (mesh) => {
      connection = mesh
      established++
      traffic.track(mesh.socket)
      relayed++
      mesh.socket.once("close", () => relayed--)
    }).pipe(
      Effect.flatMap((outcome) =>
        connection !== undefined && outcome._tag === "Broken" && outcome.side === "right" &&
          connection.socket.bytesRead === 0
          ? hear(connection, outcome.code)
          : Effect.void
      ),
      Effect.catch((error) => {
        failed++
        return warn(error.reason._tag, error.message, { reason: error.reason._tag, destination: error.service })
      }),
      Effect.ensuring(Effect.sync(local.reset))
    )
  }

  const server = Net.createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    pauseOnConnect: true
  }, (socket) => {
    socket.on("error", Function.constVoid) // an "error" that nobody listens to ends the process
    accepted++
    open++
    socket.once("close", () => open--)
    run(relay(socket))
  })
  const bound = yield* Effect.acquireRelease(
    Listening.listen(server, options.bind),
    () =>
      Listening.close(server).pipe(
        Effect.andThen(FiberSet.awaitEmpty(connections)),
        Effect.timeoutOption(options.drain ?? "10 seconds")
      )
  )
  const failure = Listening.failures(bound)
  server.on("error", (cause) => run(failure(cause)))
  return {
    bound,
    stop: Listening.close(server),
    idle: FiberSet.awaitEmpty(connections),
    stats: () => ({
      open,
      handshaking: 0,
      accepted,
      failed,
      cut: 0,
      retired: { lifetime: 0, idle: 0 },
      refused: {},
      ...traffic.total()
    }),
    redirect: Effect.fnUntraced(function*(to: Resolver.Input) {
      const before = watching
      watching = yield* watchRoute(to)
      yield* Scope.close(before.held, Exit.void)
    }, Effect.uninterruptible)
  }
})
