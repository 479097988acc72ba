/** The process that is soaked: the sidecars of all services of an agent. Told `measure`, it tells what it holds. */
import { Effect, Metric, References } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as GarbageCollection from "../../src/sidecar/GarbageCollection.ts"
import * as IdleMemory from "../../src/sidecar/IdleMemory.ts"
import * as Sidecars from "../../src/sidecar/Sidecars.ts"
import * as Resources from "./Resources.ts"

export interface Told {
  readonly resources: Resources.Resources
  readonly running: number
}

let fibers = 0

const start = (address: string) =>
  Effect.gen(function*() {
    GarbageCollection.tuneForRelaying()
    yield* IdleMemory.giveBack
    const sidecars = yield* Sidecars.make({ wanted: "node", keep: "1 second", drain: "2 seconds" })
    process.on("message", () => {
      const running = sidecars.status().members.filter(({ state }) => state._tag === "Running").length
      process.send?.({ resources: Resources.now(fibers), running } satisfies Told)
    })
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provide(ConsulClient.layer({ address })),
    Effect.provideService(References.MinimumLogLevel, "Error"),
    Effect.provideService(Metric.FiberRuntimeMetrics, {
      recordFiberStart: () => void fibers++,
      recordFiberEnd: () => void fibers--
    })
  )

process.once("message", (address: string) => {
  Effect.runPromise(start(address)).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  })
})
process.on("disconnect", () => process.exit(0))
