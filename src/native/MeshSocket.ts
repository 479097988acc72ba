/**
 * Effect's `Socket` to a service of the mesh, for any protocol over TCP.
 *
 *     const socket = yield* MeshSocket.make({ service: "db" })            // or any `Resolver`
 *
 * As with every `Socket`, acquiring the reader connects and closing its scope disconnects: what was written is sent first,
 * unless the scope closes by a failure, which resets. Each reader is a new connection to an instance chosen anew.
 *
 * Trap: with TLS 1.3 a refusal shows on the first read, as a `SocketReadError`. `failure` finds what the mesh has to say.
 */
import { type Array, Cause, Channel, Effect, Exit, Layer, Option, Scope } from "effect"
import { Socket } from "effect/socket"
import * as ConnectionCut from "./ConnectionCut.ts"
import * as ConnectionSocket from "./ConnectionSocket.ts"
import * as DialError from "../outbound/DialError.ts"
import * as MeshDialer from "../outbound/MeshDialer.ts"
import type * as Resolver from "../outbound/Resolver.ts"
import * as Splice from "../net/Splice.ts"

export interface Options {
  /** At most how many chunks one pull gives. Default: 4096. */
  readonly chunkSize?: number | undefined
}

/**
 * What the mesh has to say about a failure, if it comes from there: nobody was reached, or the connection was cut. Looks into
 * what others have wrapped it in, an `RpcClientError` for one.
 */
export const failure = (error: unknown): Option.Option<DialError.DialError | ConnectionCut.ConnectionCut> => {
  let inner = error
  for (let depth = 0; depth < maxDepth && typeof inner === "object" && inner !== null; depth++) {
    if (inner instanceof DialError.DialError || inner instanceof ConnectionCut.ConnectionCut) return Option.some(inner)
    inner = "cause" in inner && inner.cause !== undefined ? inner.cause : "reason" in inner ? inner.reason : undefined
  }
  return Option.none()
}

/** Wrappers of wrappers: beyond it something refers to itself. */
const maxDepth = 8

/** Connects when its reader is acquired, which fails with a `SocketOpenError` whose cause is a `DialError`. */
export const make = (
  to: Resolver.Input,
  options: Options = {}
): Effect.Effect<Socket.Socket, never, MeshDialer.MeshDialer> =>
  MeshDialer.MeshDialer.use((dialer) => ConnectionSocket.make(open(dialer, to), options))

/** The same as a channel: what it is given is sent, what it gives has arrived. Connects when it is run. */
export const makeChannel = <IE = never>(
  to: Resolver.Input,
  options?: Options
): Channel.Channel<
  Array.NonEmptyReadonlyArray<Uint8Array>,
  Socket.SocketError | IE,
  void,
  Array.NonEmptyReadonlyArray<Uint8Array | string | Socket.CloseEvent>,
  IE,
  unknown,
  MeshDialer.MeshDialer
> => Channel.unwrap(Effect.map(make(to, options), Socket.toChannelWith<IE>()))

export const layer = (
  to: Resolver.Input,
  options?: Options
): Layer.Layer<Socket.Socket, never, MeshDialer.MeshDialer> => Layer.effect(Socket.Socket, make(to, options))

const open = (
  dialer: MeshDialer.MeshDialer["Service"],
  to: Resolver.Input
): Effect.Effect<ConnectionSocket.Link, Socket.SocketError, Scope.Scope> =>
  Effect.scopedWith((held) =>
    Effect.flatMap(Scope.provide(dialer.route(to), held), ({ acquire }) =>
      Effect.acquireRelease(
        Effect.mapError(acquire(false), unopened),
        (connection, exit) => mayFinish(exit) ? Splice.finish(connection) : Effect.sync(connection.reset),
        { interruptible: true }
      ))
  )

/** A reader that is interrupted takes nothing from what was written: clients mostly read in a fiber of its own. */
const mayFinish = (exit: Exit.Exit<unknown, unknown>): boolean =>
  ConnectionSocket.isOrderly(exit) || (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))

const unopened = (cause: DialError.DialError): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({ kind: cause.reason._tag === "TimedOut" ? "Timeout" : "Unknown", cause })
  })
