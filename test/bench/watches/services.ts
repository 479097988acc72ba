/** Many services in one process. Tells their ports; told to, how its requests to the agent have waited for connections. */
import { Effect, Layer, Metric, References } from "effect"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as MetricCatalogue from "../../../src/observe/MetricCatalogue.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as MeshListener from "../../../src/inbound/MeshListener.ts"

export interface Start {
  readonly agent: string
  readonly names: ReadonlyArray<string>
}

export interface Listening {
  readonly ports: ReadonlyArray<number>
}

export interface Waits {
  readonly all: number
  readonly overOneSecond: number
}

const listen = (service: string) =>
  Effect.gen(function*() {
    const mesh = yield* Layer.build(Mesh.layer({ service, readyWithin: "2 minutes" }))
    const { port } = yield* Effect.provideContext(
      MeshListener.make({
        host: "127.0.0.1",
        port: 0,
        handle: ({ socket }) =>
          Effect.callback<void>((resume) => void socket.resume().once("close", () => resume(Effect.void)))
      }),
      mesh
    )
    return port
  })

const waits = Effect.map(Metric.snapshot, (metrics): Waits => {
  let all = 0
  let within = 0
  for (const metric of metrics) {
    if (metric.id !== MetricCatalogue.agentWaits.name || metric.type !== "Histogram") continue
    all += metric.state.count
    within += metric.state.buckets.findLast(([boundary]) => boundary <= 1)?.[1] ?? 0
  }
  return { all, overOneSecond: all - within }
})

const start = ({ agent, names }: Start) =>
  Effect.gen(function*() {
    const ports = yield* Effect.forEach(names, listen, { concurrency: 8 })
    process.send?.({ ports } satisfies Listening)
    const context = yield* Effect.context<never>()
    process.on("message", () => process.send?.(Effect.runSyncWith(context)(waits)))
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provide(ConsulClient.layer({ address: agent })),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )

process.once("message", (message: Start) => {
  Effect.runPromise(start(message)).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  })
})
process.on("disconnect", () => process.exit(0))
