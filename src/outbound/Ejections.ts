/** Counts and logs the instances of a service that are ejected. */
import { Effect } from "effect"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as Meter from "../observe/Meter.ts"
import type * as InstancePicker from "./InstancePicker.ts"

/** For an instance whose `report` says that it is ejected. */
export type Ejected = (instance: InstancePicker.Instance) => Effect.Effect<void>

/** `calls` are what fails: requests, or connections. */
export const make = (service: string, calls: "requests" | "connections"): Effect.Effect<Ejected> =>
  Effect.map(Effect.context<never>(), (context) => {
    const lines = LineLimit.make()
    return ({ address, id, target }) =>
      Effect.suspend(() => {
        Meter.count(MetricCatalogue.ejections, { destination: service }, context).value++
        const leftOut = lines.admit(id, performance.now())
        if (leftOut === undefined) return Effect.void
        const what = `${service}: ejected ${id} at ${address} for a while, as ${calls} to it fail`
        return Effect.annotateLogs(Effect.logWarning(`${what}${LineLimit.suffix(leftOut)}`), {
          direction: "outbound",
          reason: "ejected",
          destination: target.service,
          instance: id,
          remote: address
        })
      })
  })
