/** A WebSocket application that sends back what it gets, and its clients, by `ws`. */
import type { AddressInfo } from "node:net"
import { Effect, Schema, type Scope } from "effect"
import { WebSocket, WebSocketServer } from "ws"

/** How a connection ended. */
export interface Closed {
  readonly code: number
  readonly reason: string
}

export interface Connection {
  readonly socket: WebSocket
  readonly messages: ReadonlyArray<Buffer>
  readonly pongs: ReadonlyArray<string>
  readonly closed: () => Closed | undefined
}

const watched = (socket: WebSocket): Connection => {
  const messages: Array<Buffer> = []
  const pongs: Array<string> = []
  let closed: Closed | undefined
  socket.on("message", (data: Buffer) => messages.push(data))
  socket.on("pong", (data) => pongs.push(data.toString()))
  socket.on("error", () => {}) // `close` tells
  socket.on("close", (code, reason) => {
    closed = { code, reason: reason.toString() }
  })
  return { socket, messages, pongs, closed: () => closed }
}

export interface Application {
  readonly port: number
  /** One for each client, in order. */
  readonly connections: ReadonlyArray<Connection>
}

export const start: Effect.Effect<Application, never, Scope.Scope> = Effect.gen(function*() {
  const connections: Array<Connection> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<WebSocketServer>((resume) => {
      const made: WebSocketServer = new WebSocketServer(
        { host: "127.0.0.1", port: 0 },
        () => resume(Effect.succeed(made))
      )
      made.on("connection", (socket) => {
        connections.push(watched(socket))
        socket.on("message", (data, binary) => socket.send(data, { binary }))
      })
    }),
    (made) =>
      Effect.sync(() => {
        made.clients.forEach((socket) => socket.terminate())
        made.close()
      })
  )
  return { port: (server.address() as AddressInfo).port, connections }
})

/** The answer was no upgrade. */
export class NotOpened extends Schema.TaggedError<NotOpened>()("NotOpened", { why: Schema.String }) {
  override readonly message = this.why
}

export const connect = (port: number, path = "/"): Effect.Effect<Connection, NotOpened, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Connection, NotOpened>((resume) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
      const connection = watched(socket)
      socket.once("open", () => resume(Effect.succeed(connection)))
      socket.once("unexpected-response", (_, { statusCode }) => {
        resume(Effect.fail(new NotOpened({ why: String(statusCode) })))
        socket.terminate()
      })
      socket.once("error", ({ message }) => resume(Effect.fail(new NotOpened({ why: message }))))
    }),
    ({ socket }) => Effect.sync(() => socket.terminate())
  )
