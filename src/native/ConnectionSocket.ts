/**
 * A connection of the mesh as Effect's `Socket`: what `MeshSocket` and `MeshSocketServer` have in common.
 *
 * `NodeSocket.fromDuplex` reads and writes. What it leaves to be desired for a TLS socket that policy may cut is added:
 * - a stream that was cut is a read error, never the orderly end that a destroyed TLS socket looks like;
 * - writing to a connection that is gone fails, where it would wait for a `drain` that never comes;
 * - a `CloseEvent` first sends what was written, or with a code above 1000 resets;
 * - a writer whose scope ends by a failure or an interruption resets, as the other side must not take the rest for a whole.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Cause, Effect, Exit, Latch, type Scope } from "effect"
import { Socket } from "effect/socket"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as ConnectionCut from "./ConnectionCut.ts"
import * as Splice from "../net/Splice.ts"

/** One end of a connection. */
export interface Link extends Splice.Side {
  readonly peer: SpiffeId.Service
  readonly remote: string
}

/** Each reader opens, and its scope closes what it opened. `chunkSize` as for `NodeSocket`. */
export const make = Effect.fnUntraced(function*<R>(
  open: Effect.Effect<Link, Socket.SocketError, R>,
  options?: { readonly chunkSize?: number | undefined }
): Effect.fn.Return<Socket.Socket, never, Exclude<R, Scope.Scope>> {
  let link: Link | undefined
  let closing: Socket.CloseEvent | undefined
  const opened = Latch.makeUnsafe(false)
  const inner = yield* NodeSocket.fromDuplex(
    Effect.map(open, (connection) => {
      link = connection
      closing = undefined
      return connection.socket
    }),
    options
  )

  const reader = Effect.gen(function*() {
    const { pull } = yield* inner.reader
    const current = link!
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        link = undefined
        opened.closeUnsafe()
      })
    )
    opened.openUnsafe()
    return {
      // Gone before anybody listened: no event will tell.
      pull: current.socket.destroyed
        ? Effect.fail(unreadable(current, current.socket.errored))
        : Effect.mapError(pull, (error) => ended(current, error, closing)),
      // It is encrypted already, and by whom it should be.
      upgrade: Socket.SocketUpgradeError.unsupported
    }
  })

  const unlessGone = (write: Effect.Effect<void, Socket.SocketError>) =>
    Effect.suspend(() => link === undefined ? write : writing(link, write))
  const close = (event: Socket.CloseEvent) =>
    opened.whenOpen(Effect.suspend(() => {
      closing = event
      if (link === undefined) return Effect.void
      return event.code > 1000 ? Effect.sync(link.reset) : Splice.finish(link)
    }))
  const writer = Effect.map(
    Effect.tap(inner.writer, () =>
      Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          if (!isOrderly(exit)) link?.reset()
        })
      )),
    ({ write, writeAll }): Socket.Writer => ({
      write: (chunk) => Socket.isCloseEvent(chunk) ? close(chunk) : unlessGone(write(chunk)),
      writeAll: (chunks) => unlessGone(writeAll(chunks))
    })
  )
  return Socket.make({ reader, writer })
})

/** How reading has ended: by what was done to the connection, whatever `NodeSocket` takes it for. */
const ended = (
  link: Link,
  error: Socket.SocketError,
  closing: Socket.CloseEvent | undefined
): Socket.SocketError => {
  if (error.reason._tag === "SocketReadError") return unreadable(link, error.reason.cause)
  if (closing !== undefined) {
    const { code, reason: closeReason } = closing
    return new Socket.SocketError({
      reason: new Socket.SocketCloseError(closeReason === undefined ? { code } : { code, closeReason })
    })
  }
  return isEnd(error) && !link.socket.readableEnded ? unreadable(link, undefined) : error
}

/** Whether a scope closed with nothing wrong. That the other side has ended is a failure of Effect's reader, and in order. */
export const isOrderly = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isSuccess(exit) || exit.cause.reasons.every((reason) => Cause.isFailReason(reason) && isEnd(reason.error))

/** Whether the other side has ended in order. */
export const isEnd = (error: unknown): boolean =>
  Socket.isSocketError(error) && error.reason._tag === "SocketCloseError" && error.reason.code === 1000

const writing = (link: Link, write: Effect.Effect<void, Socket.SocketError>): Effect.Effect<void, Socket.SocketError> =>
  link.socket.destroyed
    ? Effect.fail(unwritable(link, link.socket.errored))
    : Effect.mapError(
      write,
      (error) => error.reason._tag === "SocketWriteError" ? unwritable(link, error.reason.cause) : error
    )

const unreadable = (link: Link, cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketReadError({ cause: cut(link, cause) }) })

const unwritable = (link: Link, cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: cut(link, cause) }) })

const cut = ({ peer, remote, socket }: Link, cause: unknown): ConnectionCut.ConnectionCut =>
  new ConnectionCut.ConnectionCut({
    peer: SpiffeId.display(peer),
    remote,
    code: cause instanceof Error && "code" in cause ? String(cause.code) : "closed",
    received: socket.bytesRead
  })
