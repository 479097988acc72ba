/** The applications behind the sidecars. They know nothing of a mesh: plain HTTP on a local port. */
import * as Http from "node:http"
import * as Net from "node:net"
import { Effect } from "effect"

export interface Application {
  readonly id: string
  readonly service: string
  readonly version: string
  readonly port: number
  /** What it has answered to requests that were to fail once. */
  readonly failed: () => number
  readonly stop: () => void
}

/** Those that have failed once: one list for all instances, as a retry may reach another one. */
const failedOnce = new Set<string>()

/** Answers who it is. A request with `x-fail-once: KEY` is answered 503 the first time. */
export const start = Effect.fnUntraced(function*(
  { id, service, version }: Pick<Application, "id" | "service" | "version">
) {
  let failed = 0
  const server = Http.createServer((request, response) => {
    const key = request.headers["x-fail-once"]
    if (typeof key !== "string" || failedOnce.has(key)) return response.end(id)
    failedOnce.add(key)
    failed++
    return response.writeHead(503).end("not now")
  })
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  const port = yield* Effect.acquireRelease(listen(server), () => Effect.sync(stop))
  const application: Application = { id, service, version, port, failed: () => failed, stop }
  return application
})

const listen = (server: Net.Server): Effect.Effect<number> =>
  Effect.callback((resume) => {
    server.listen(0, "127.0.0.1", () => {
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
