/** From the local application to one service of the mesh: one mesh connection for each local one. */
import * as Net from "node:net"
import { type Duration, Effect, Exit, FiberSet, Function, Scope } from "effect"
import * as LineLimit from "../intention/LineLimit.ts"
import * as Listening from "../native/Listening.ts"
import * as MeshDialer from "../native/MeshDialer.ts"
import * as Metrics from "../native/Metrics.ts"
import * as Splice from "../native/Splice.ts"
import * as Traffic from "../native/Traffic.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import type * as Listener from "./Listener.ts"

export interface Options {
  readonly drain?: Duration.Input | undefined
}

/** What can not change while it is open. */
export const keyOf = ({ bind, datacenter, service }: ProxyRegistration.Upstream): string =>
  JSON.stringify([service, datacenter, bind])

export const make = Effect.fnUntraced(function*(
  upstream: ProxyRegistration.Upstream,
  options: Options
): Effect.fn.Return<
  Listener.Listener,
  Listening.ListenError,
  MeshDialer.MeshDialer | Scope.Scope
> {
  const dialer = yield* MeshDialer.MeshDialer
  const scope = yield* Effect.scope
  const traffic = Traffic.make()
  const lines = LineLimit.make()
  let accepted = 0
  let open = 0
  let failed = 0
  let established = 0
  let relayed = 0
  yield* Metrics.follow("outbound", () => ({ established, open: relayed, cut: 0, failed, ...traffic.total() }))

  const watchRoute = Effect.fnUntraced(function*(upstream: ProxyRegistration.Upstream) {
    const held = yield* Scope.fork(scope)
    const route = yield* Scope.provide(dialer.route(upstream), held)
    return { route, held }
  })
  let current = upstream
  let watching = yield* watchRoute(upstream)

  // Finalizers run last to first: accepting ends, connections drain, what is left is interrupted.
  const connections = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(connections)()

  const relay = (socket: Net.Socket) => {
    const local = Splice.plain(socket)
    return Splice.spliceWith(local, watching.route.acquire, (mesh) => {
      established++
      traffic.track(mesh.socket)
      relayed++
      mesh.socket.once("close", () => relayed--)
    }).pipe(
      Effect.catch((error) => {
        failed++
        const leftOut = lines.admit(error.reason._tag, performance.now())
        if (leftOut === undefined) return Effect.void
        return Effect.annotateLogs(Effect.logWarning(`${error.message}${LineLimit.suffix(leftOut)}`), {
          reason: error.reason._tag,
          direction: "outbound"
        })
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
    Listening.listen(server, upstream.bind),
    () =>
      Listening.close(server).pipe(
        Effect.andThen(FiberSet.awaitEmpty(connections)),
        Effect.timeoutOption(options.drain ?? "10 seconds")
      )
  )
  const failure = Listening.failures(bound)
  server.on("error", (cause) => run(failure(cause)))
  return {
    address: Listening.format(bound),
    stop: Listening.close(server),
    idle: FiberSet.awaitEmpty(connections),
    counts: () => ({ open, handshaking: 0, accepted, failed, cut: 0, refused: {}, ...traffic.total() }),
    update: Effect.fnUntraced(function*({ upstreams }) {
      const next = upstreams.find(({ id }) => id === current.id)
      if (next === undefined || next.connectTimeoutMillis === current.connectTimeoutMillis) return
      const before = watching
      current = next
      watching = yield* watchRoute(next)
      yield* Scope.close(before.held, Exit.void)
    }, Effect.uninterruptible)
  }
})
