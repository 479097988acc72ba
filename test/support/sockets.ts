/** Plain TCP clients and servers for tests, closed with the test. */
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { Effect, type Scope } from "effect"

/** Listens on a free port of 127.0.0.1 and counts what it accepted. */
export const server = (
  accept: (socket: Net.Socket) => void
): Effect.Effect<
  { readonly port: number; readonly sockets: ReadonlyArray<Net.Socket>; readonly close: () => void },
  never,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.callback<{ port: number; sockets: Array<Net.Socket>; close: () => void }>((resume) => {
      const sockets: Array<Net.Socket> = []
      const listener = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        socket.on("error", () => {})
        sockets.push(socket)
        accept(socket)
      })
      listener.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (listener.address() as Net.AddressInfo).port,
          sockets,
          close: () => {
            listener.close()
            sockets.forEach((socket) => socket.destroy())
          }
        })))
    }),
    ({ close }) => Effect.sync(close)
  )

/** Answers in upper case, and ends when its client has. */
export const shouting = server((socket) => {
  socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()))
  socket.on("end", () => socket.end())
})

/** `from`: the address that the other side sees. */
export const connect = (
  port: number,
  host = "127.0.0.1",
  from?: string
): Effect.Effect<Net.Socket, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, Error>((resume) => {
      const source = from === undefined ? {} : { localAddress: from }
      const socket = Net.connect({ host, port, ...source, allowHalfOpen: true, noDelay: true })
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** What comes back for `text` on a connection of its own. Fails with why there is none, or `closed`, be it by a reset. */
export const said = (port: number, text = "hello"): Effect.Effect<string, string> =>
  Effect.scoped(
    Effect.flatMap(Effect.mapError(connect(port), String), (socket) =>
      Effect.callback<string, string>((resume) => {
        socket.once("data", (data: Buffer) => resume(Effect.succeed(data.toString())))
        socket.once("close", () => resume(Effect.fail("closed")))
        socket.write(text)
      }))
  )

/** Where nobody listens, and nobody else begins to: it is the near end of a connection. */
export const closedPort = Effect.gen(function*() {
  const { port } = yield* server(() => {})
  return (yield* Effect.orDie(connect(port))).localPort!
})

/** How a stream went on: its text so far, and how it ended. */
export type Ending = "open" | "ended" | "closed" | string

export interface Recorder {
  readonly text: () => string
  readonly bytes: () => number
  /** Waits until the text has this ending. */
  readonly until: (text: string) => Effect.Effect<void>
  /** Waits for the end: `ended`, or `closed` without one, or the code of the error. */
  readonly ending: Effect.Effect<Ending>
}

/** Reads everything. */
export const record = (socket: Duplex): Recorder => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  let ending: Ending = "open"
  const listeners = new Set<() => void>()
  const notify = () => listeners.forEach((listener) => listener())
  const end = (how: Ending) => {
    if (ending === "open") ending = how
    notify()
  }
  const text = () => Buffer.concat(chunks).toString()
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    notify()
  })
  socket.on("end", () => end("ended"))
  socket.on("error", (error) => end("code" in error ? String(error.code) : error.message))
  socket.on("close", () => end("closed"))
  if (socket.destroyed) end("closed")
  const wait = (holds: () => boolean) =>
    Effect.callback<void>((resume) => {
      const check = () => {
        if (!holds()) return
        listeners.delete(check)
        resume(Effect.void)
      }
      listeners.add(check)
      check()
      return Effect.sync(() => listeners.delete(check))
    })
  return {
    text,
    bytes: () => bytes,
    until: (suffix) => wait(() => text().endsWith(suffix)),
    ending: Effect.map(wait(() => ending !== "open"), () => ending)
  }
}

/** Waits for a fact that nobody announces. */
export const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), eventually(holds)))

/** The same of what has to be asked for. */
export const eventuallyEffect = <E, R>(holds: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(
    holds,
    (held) => held ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), eventuallyEffect(holds))
  )
