/** Accepts plain connections, and owns how each is served: what the listeners have in common that speak no TLS. */
import * as Net from "node:net"
import { type Duration, Effect, Function, type Scope } from "effect"
import * as Fibers from "./Fibers.ts"
import * as Listening from "./Listening.ts"
import * as Turnover from "./Turnover.ts"

export interface Options {
  readonly bind: Listening.Bind
  /** Has to close the connection. Undefined: it is served without a fiber of its own, and what does that is held. */
  readonly serve: (socket: Net.Socket, fibers: Fibers.Fibers<never>) => Effect.Effect<void> | undefined
  /** How long open connections may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
  /** Runs when it stops accepting. */
  readonly draining?: Effect.Effect<void> | undefined
}

export interface LocalServer {
  /** With the port that was given. */
  readonly bound: Listening.Bind
  /** Since it opened. */
  readonly accepted: () => number
  /** Now. */
  readonly open: () => number
  /** Those that are open now, and when they were accepted, as `performance.now()` had it. */
  readonly sockets: () => Iterable<readonly [socket: Net.Socket, since: number]>
  /** Stops accepting, at once. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<LocalServer, Listening.ListenError, Scope.Scope> {
  let accepted = 0
  const open = new Turnover.TurnoverMap<Net.Socket, number>()
  // Finalizers run last to first: accepting ends, connections drain, what is left is interrupted.
  const fibers = yield* Fibers.make()
  const { empty, run } = fibers
  const server = serve((socket) => {
    accepted++
    open.set(socket, performance.now())
    socket.once("close", () => open.delete(socket))
    const serving = options.serve(socket, fibers)
    if (serving !== undefined) run(serving)
  })
  const stop = Effect.andThen(Listening.close(server), options.draining ?? Effect.void)
  const bound = yield* Effect.acquireRelease(
    Listening.listen(server, options.bind),
    () => stop.pipe(Effect.andThen(empty), Effect.timeoutOption(options.drain ?? "10 seconds"))
  )
  const failure = Listening.failures(bound)
  server.on("error", (cause) => run(failure(cause)))
  return { bound, accepted: () => accepted, open: () => open.size, sockets: () => open, stop, idle: empty }
})

const serve = (accept: (socket: Net.Socket) => void): Net.Server =>
  Net.createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    pauseOnConnect: true
  }, (socket) => {
    socket.on("error", Function.constVoid) // an "error" without a listener ends the process
    accept(socket)
  })
