/** Plain HTTP to a local port, as an application sends it. */
import { Effect, Schema, type Scope } from "effect"
import { get as httpGet } from "node:http"
import { connect, type Socket } from "node:net"
import { text } from "node:stream/consumers"

/** A call got no proper answer. */
export class CallFailed extends Schema.TaggedError<CallFailed>()("CallFailed", { why: Schema.String }) {
  override readonly message = this.why
}

const failed = (error: { readonly message: string }) => Effect.fail(new CallFailed({ why: error.message }))

/** `GET /` on a connection of its own. Fails when there is no whole answer within 5 seconds. */
export const get = (port: number): Effect.Effect<string, CallFailed> =>
  Effect.callback<string, CallFailed>((resume) => {
    const request = httpGet({ host: "127.0.0.1", port, agent: false }, (response) => {
      text(response).then(
        (body) => resume(response.statusCode === 200 ? Effect.succeed(body.trim()) : failed({ message: body.trim() })),
        (error: Error) => resume(failed(error))
      )
    })
    request.setTimeout(5000, () => request.destroy(new Error("no answer within 5 seconds")))
    request.on("error", (error) => resume(failed(error)))
    return Effect.sync(() => request.destroy())
  })

/** A connection that stays open until the scope closes or the other side closes it. */
export const open = (port: number): Effect.Effect<Socket, CallFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Socket, CallFailed>((resume) => {
      const socket = connect({ host: "127.0.0.1", port })
      socket.once("connect", () => resume(Effect.succeed(socket)))
      socket.on("error", (error) => resume(failed(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Sends a request over an open connection and waits for the beginning of the answer. */
export const ask = (socket: Socket): Effect.Effect<string, CallFailed> =>
  Effect.callback<string, CallFailed>((resume) => {
    socket.once("data", (data: Buffer) => resume(Effect.succeed(data.toString("latin1"))))
    socket.once("close", () => resume(failed({ message: "the connection was closed without an answer" })))
    socket.write("GET / HTTP/1.1\r\nHost: upstream\r\n\r\n")
  })

/** Waits until either side has closed the connection. */
export const closed = (socket: Socket): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (socket.closed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.resume()
  })
