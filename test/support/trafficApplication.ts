/** What `Traffic` calls: it answers with the path and the length of the body; over TCP with what it gets. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import { Effect, type Scope } from "effect"
import { freePort } from "./ports.ts"

export type Protocol = "tcp" | "http" | "http2"

/** What it does with a request, or a new connection over TCP. */
export type Mood = "well" | "hanging" | "resetting"

export interface TrafficApplication {
  readonly port: number
  readonly become: (mood: Mood) => void
  /** Requests so far; over TCP: connections. */
  readonly served: () => number
  /** Accepts no more, and has no connection left; or accepts again. */
  readonly refuse: Effect.Effect<void>
  readonly accept: Effect.Effect<void>
}

export const open = (protocol: Protocol): Effect.Effect<TrafficApplication, never, Scope.Scope> =>
  Effect.gen(function*() {
    let mood: Mood = "well"
    let served = 0
    const sockets = new Set<Net.Socket>()
    const isWell = (socket: Net.Socket): boolean => {
      if (mood === "resetting") socket.resetAndDestroy()
      return mood === "well"
    }
    const answer = (
      request: Http.IncomingMessage | Http2.Http2ServerRequest,
      response: Http.ServerResponse | Http2.Http2ServerResponse
    ): void => {
      served++
      const { socket } = request
      if (socket instanceof Net.Socket && !isWell(socket)) return
      void text(request).then((body) => response.end(`${request.url} ${body.length}`), () => {})
    }
    const make = (): Net.Server => {
      switch (protocol) {
        case "tcp":
          return Net.createServer((socket) => {
            served++
            if (isWell(socket)) socket.pipe(socket)
          })
        case "http":
          return Http.createServer(answer)
        case "http2":
          return Http2.createServer(answer)
      }
    }
    const server = make()
    server.on("connection", (socket: Net.Socket) => {
      socket.on("error", () => {})
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })
    const listen = (port: number) =>
      Effect.callback<void>((resume) => void server.listen(port, "127.0.0.1", () => resume(Effect.void)))
    const refuse = Effect.sync(() => {
      server.close()
      sockets.forEach((socket) => socket.destroy())
    })
    // One that is still its own when it accepts again.
    const port = yield* freePort
    yield* Effect.acquireRelease(listen(port), () => refuse)
    return { port, served: () => served, become: (next) => void (mood = next), refuse, accept: listen(port) }
  })
