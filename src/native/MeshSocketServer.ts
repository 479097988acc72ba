/**
 * Effect's `SocketServer` in the mesh, for any protocol over TCP: `MeshListener` accepts, verifies and authorizes, and each
 * admitted connection is a `Socket`, whose handler has `PeerIdentity`.
 *
 *     Layer.effectDiscard(Effect.forkScoped(SocketServer.SocketServer.use((server) => server.run(handler)))).pipe(
 *       Layer.provide(MeshSocketServer.layer({ port: 6379 })),
 *       Layer.provide(Mesh.layer({ service: "cache" }))
 *     )
 *
 * Connections wait, unread, until `run` is called. When it is interrupted, which is how a program ends, the server stops
 * accepting, open connections have `drain` to finish, and what is left is reset; nothing is accepted after that.
 * A handler that fails resets its connection, other than by the end of its caller, and is logged; `run` goes on.
 */
import { Cause, Context, Effect, Fiber, Latch, Layer, Scope } from "effect"
import { Socket, SocketServer } from "effect/socket"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Intentions from "../watch/Intentions.ts"
import * as ConnectionSocket from "./ConnectionSocket.ts"
import * as Listening from "../net/Listening.ts"
import * as LogKeys from "../observe/LogKeys.ts"
import * as MeshListener from "../inbound/MeshListener.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import * as Splice from "../net/Splice.ts"
import * as Turnover from "../net/Turnover.ts"

export interface Options extends Omit<MeshListener.Options<never>, "handle" | "from" | "host" | "keep" | "retire"> {
  /** Where to listen: an IP address. Default: `0.0.0.0`. */
  readonly host?: string | undefined
  /** At most how many chunks one pull gives. Default: 4096. */
  readonly chunkSize?: number | undefined
}

/** What can be seen of the server, besides Effect's view of it. */
export class MeshSocketServer extends Context.Service<
  MeshSocketServer,
  Pick<MeshListener.MeshListener, "host" | "port" | "stats" | "denials" | "setMaxConnections">
>()("effect-mesh/native/MeshSocketServer") {}

type Serve = (connection: MeshListener.Connection) => Effect.Effect<unknown, unknown>

/** Opens once intentions have arrived. Where it can not listen, the cause of the error is a `ListenError`. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  { readonly sockets: SocketServer.SocketServer["Service"]; readonly mesh: MeshSocketServer["Service"] },
  SocketServer.SocketServerError,
  SecureContexts.SecureContexts | Intentions.Intentions | Scope.Scope
> {
  const { attached, running, serve } = handlers()
  const listener = yield* Effect.mapError(
    MeshListener.make({ ...options, host: options.host ?? "0.0.0.0", handle: serve }),
    unopened
  )
  // Runs before the listener drains: what still waits for a handler will not get one.
  yield* Effect.addFinalizer(() => Effect.andThen(listener.stop, attached.open))

  const run: SocketServer.SocketServer["Service"]["run"] = Effect.fnUntraced(function*<R, E, A>(
    handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>
  ) {
    const context = Context.omit(Scope.Scope)(yield* Effect.context<R>())
    const fibers = new Turnover.TurnoverSet<Fiber.Fiber<unknown, unknown>>()
    const serve: Serve = (connection) =>
      Effect.withFiber((fiber) => {
        const { caller, decision, remote } = connection
        fibers.add(fiber)
        const handled = ConnectionSocket.make(own(connection), options).pipe(
          Effect.flatMap(handler),
          Effect.scoped,
          Effect.annotateLogs(LogKeys.peer(connection)),
          Effect.provideContext(
            Context.add(context, PeerIdentity.PeerIdentity, { caller, decision, remote, tokens: PeerIdentity.noTokens })
          ),
          Effect.catchCauseIf((cause) => isOver(cause, connection), () => Effect.void),
          Effect.ensuring(Effect.sync(() => fibers.delete(fiber)))
        )
        return handled as Effect.Effect<unknown, unknown>
      })
    const end = Effect.suspend(() => {
      running.splice(running.indexOf(serve), 1)
      if (running.length > 0) return Effect.void
      attached.closeUnsafe()
      return listener.stop
    }).pipe(
      Effect.andThen(Effect.suspend(() => Fiber.awaitAll(fibers))),
      Effect.timeoutOption(options.drain ?? "10 seconds"),
      Effect.andThen(Effect.suspend(() => Fiber.interruptAll(fibers)))
    )
    return yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        running.push(serve)
        attached.openUnsafe()
      }),
      () => Effect.never,
      () => end
    )
  })

  const address = yield* Effect.mapError(Listening.inetAddress(listener), unopened)
  return { sockets: SocketServer.SocketServer.of({ address, run }), mesh: listener }
})

/** Those that run, of which the last one serves. Connections wait for the first. */
const handlers = () => {
  const running: Array<Serve> = []
  const attached = Latch.makeUnsafe(false)
  const wait: Serve = (connection) =>
    Effect.flatMap(
      Effect.raceFirst(Effect.as(attached.await, false), Effect.as(closed(connection), true)),
      (gone) => gone ? Effect.void : running.at(-1)?.(connection) ?? Effect.interrupt
    )
  const serve: Serve = (connection) => running.at(-1)?.(connection) ?? wait(connection)
  return { running, attached, serve }
}

/** Needs no control plane: whoever provides secure contexts and intentions. */
export const layer = (options: Options): Layer.Layer<
  SocketServer.SocketServer | MeshSocketServer | PeerIdentity.PeerIdentity,
  SocketServer.SocketServerError,
  SecureContexts.SecureContexts | Intentions.Intentions
> =>
  Layer.merge(
    Layer.effectContext(Effect.map(make(options), ({ mesh, sockets }) =>
      Context.make(SocketServer.SocketServer, sockets).pipe(Context.add(MeshSocketServer, mesh)))),
    PeerIdentity.layerOfRequests
  )

/** For its reader. The listener closes it at the latest. */
const own = ({ caller, remote, reset, socket }: MeshListener.Connection) =>
  Effect.acquireRelease(
    Effect.succeed<ConnectionSocket.Link>({ peer: caller, remote, reset, socket }),
    (link, exit) =>
      ConnectionSocket.isOrderly(exit)
        ? Effect.interruptible(Splice.finish(link)) // what the drain does not wait for is reset
        : Effect.sync(reset)
  )

/** The caller has left, in order or not, or was cut: news about the connection, and no fault of the handler. */
const isOver = (cause: Cause.Cause<unknown>, { socket }: MeshListener.Connection): boolean =>
  cause.reasons.every((reason) => {
    if (Cause.isInterruptReason(reason)) return false
    const error = Cause.isFailReason(reason) ? reason.error : reason.defect
    return Socket.isSocketError(error) && (socket.destroyed || ConnectionSocket.isEnd(error))
  })

const closed = ({ socket }: MeshListener.Connection): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const done = () => resume(Effect.void)
    if (socket.destroyed) return done()
    socket.once("close", done)
    return Effect.sync(() => socket.off("close", done))
  })

const unopened = (cause: Listening.ListenError): SocketServer.SocketServerError =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
