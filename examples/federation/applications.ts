/** The applications behind the sidecars. They know nothing of a mesh: plain HTTP on a local port. */
import * as Http from "node:http"
import * as Net from "node:net"
import { Effect } from "effect"

export interface Application {
  readonly port: number
  readonly stop: Effect.Effect<void>
  /** On the same port again. */
  readonly start: Effect.Effect<void>
}

/** Answers who it is. */
export const start = Effect.fnUntraced(function*(name: string) {
  const server = Http.createServer((_, response) => response.end(name))
  const stop = Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  })
  const port = yield* Effect.acquireRelease(listen(server), () => stop)
  const application: Application = { port, stop, start: Effect.asVoid(listen(server, port)) }
  return application
})

const listen = (server: Net.Server, port = 0): Effect.Effect<number> =>
  Effect.callback((resume) => {
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** One on which nobody listens now. */
export const freePort: Effect.Effect<number> = Effect.suspend(() => {
  const server = Net.createServer()
  return Effect.tap(
    listen(server),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
})
