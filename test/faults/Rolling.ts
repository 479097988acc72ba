/** Both instances of a service are restarted one after the other, again and again, while they are called. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import { Effect, type Scope } from "effect"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"
import * as Traffic from "../support/traffic.ts"

export type Protocol = "tcp" | "http" | "http2"

export interface Options {
  readonly protocol: Protocol
  /** Calls a second. */
  readonly rate: number
  /** How often each instance is restarted. */
  readonly rounds: number
  /** Starts the sidecar of an instance, which is ready when it has started and leaves by `stop`. */
  readonly start: (mesh: SidecarMesh.SidecarMesh, id: string) => Effect.Effect<Started, unknown, Scope.Scope>
}

export interface Started {
  readonly stop: Effect.Effect<void>
}

/** Answers with the path and the length of the body; over TCP with what it gets. */
const application = (protocol: Protocol): Effect.Effect<number, never, Scope.Scope> => {
  const answer = (
    request: Http.IncomingMessage | Http2.Http2ServerRequest,
    response: Http.ServerResponse | Http2.Http2ServerResponse
  ) => void text(request).then((body) => response.end(`${request.url} ${body.length}`), () => {})
  const make = (): Net.Server => {
    switch (protocol) {
      case "tcp":
        return Net.createServer((socket) => {
          socket.on("error", () => {})
          socket.pipe(socket)
        })
      case "http":
        return Http.createServer(answer)
      case "http2":
        return Http2.createServer(answer)
    }
  }
  return Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = make()
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )
}

export const run = Effect.fnUntraced(function*({ protocol, rate, rounds, start }: Options) {
  const apps = [yield* application(protocol), yield* application(protocol)]
  const mesh = yield* SidecarMesh.make({ apps, protocol, drain: "10 seconds", shutdownDelay: "500 millis" })
  const ids = apps.map((_, index) => `api-${index + 1}`)
  const inService = (id: string) =>
    Effect.map(
      mesh.call("checks", (api) => api.agent.checks({ query: {} })),
      ({ body }) => body[`_service_maintenance:${id}-sidecar-proxy`] === undefined
    )
  const running: Array<Started> = []
  for (const [index, id] of ids.entries()) {
    yield* mesh.api[index]!.stop
    running.push(yield* start(mesh, id))
  }
  const traffic = protocol === "tcp" ? Traffic.tcp(mesh.port, rate) : Traffic.http(mesh.port, rate)
  const begun = performance.now()
  yield* Sockets.eventually(() => traffic.report().sent >= rate / 2)
  for (let round = 0; round < rounds; round++) {
    for (const [index, id] of ids.entries()) {
      yield* running[index]!.stop
      running[index] = yield* start(mesh, id)
      yield* Sockets.eventuallyEffect(inService(id))
    }
  }
  const report = yield* Effect.promise(() => traffic.stop())
  return { ...report, restarts: rounds * ids.length, seconds: (performance.now() - begun) / 1000 }
})
