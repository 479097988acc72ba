/** Both instances of a service are restarted one after the other, again and again, while they are called. */
import { Effect, type Scope } from "effect"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"
import * as Traffic from "../support/traffic.ts"
import * as TrafficApplication from "../support/trafficApplication.ts"

export interface Options {
  readonly protocol: TrafficApplication.Protocol
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

export const run = Effect.fnUntraced(function*({ protocol, rate, rounds, start }: Options) {
  const opened = [yield* TrafficApplication.open(protocol), yield* TrafficApplication.open(protocol)]
  const apps = opened.map(({ port }) => port)
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
