/** Two instances of a service that are called all the time, and what a fault does to the calls. */
import { Effect, type Scope } from "effect"
import * as Figures from "./figures.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"
import * as Traffic from "../support/traffic.ts"
import * as TrafficApplication from "../support/trafficApplication.ts"

export interface Options extends Partial<Omit<SidecarMesh.Options, "apps">> {
  /** For the figures. */
  readonly what: string
  /** Calls a second. Default: 200. */
  readonly rate?: number
  /** Has the sidecar of the caller be a process of its own, run by this. */
  readonly under?: ReadonlyArray<string>
}

export interface Running {
  readonly mesh: SidecarMesh.SidecarMesh
  readonly apps: ReadonlyArray<TrafficApplication.TrafficApplication>
  readonly traffic: Traffic.Traffic
  /** Undefined: it is in this process. */
  readonly caller: SidecarProcess.Running | undefined
  /** Waits for so many more calls. */
  readonly calls: (count: number) => Effect.Effect<void>
}

/** Breaks something, and tells how the calls went. */
export const run = Effect.fnUntraced(function*<E, R>(
  { protocol = "http", rate = 200, under, what, ...options }: Options,
  fault: (running: Running) => Effect.Effect<void, E, R>
): Effect.fn.Return<Traffic.Report, unknown, R | Scope.Scope> {
  const served = protocol === "grpc" ? "http2" : protocol
  const apps = [yield* TrafficApplication.open(served), yield* TrafficApplication.open(served)]
  const mesh = yield* SidecarMesh.make({ protocol, ...options, apps: apps.map(({ port }) => port) })
  const caller = under === undefined ? undefined : yield* Effect.andThen(
    mesh.web.stop,
    SidecarProcess.start({
      under,
      args: ["--proxy-id", "web-sidecar-proxy", "--http-addr", mesh.front.address, "--shutdown-delay", "0"]
    })
  )
  const traffic = protocol === "tcp" ? Traffic.tcp(mesh.port, rate) : Traffic.http(mesh.port, rate)
  const calls = (count: number) =>
    Effect.suspend(() => {
      const before = traffic.report().sent
      return Sockets.eventually(() => traffic.report().sent >= before + count)
    })
  yield* calls(rate)
  yield* fault({ mesh, apps, traffic, caller, calls })
  yield* calls(rate)
  const report = yield* Effect.promise(() => traffic.stop())
  Figures.tell(what, report)
  return report
})
