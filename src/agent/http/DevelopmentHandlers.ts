/** `/v1/development/…` */
import { Duration, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as GoDuration from "../../consul/GoDuration.ts"
import type * as AgentState from "../AgentState.ts"
import * as Answer from "./Answer.ts"
import { DevelopmentApi } from "./DevelopmentApi.ts"

export const layer = ({ federation, peerings, settings }: AgentState.AgentState) =>
  HttpApiBuilder.group(DevelopmentApi, "lines", (handlers) =>
    handlers
      .handle("list", () =>
        Effect.sync(() =>
          federation.wan.changed().map(({ between, delay, isCut }) => ({
            Between: between,
            Cut: isCut,
            DelayMs: Duration.toMillis(delay)
          }))
        ))
      .handle("set", ({ params: { from, to }, query: { cut, delay } }) =>
        Effect.gen(function*() {
          const known = [
            ...federation.datacenters(settings.datacenter),
            ...peerings.list().map(({ Remote }) => Remote.Datacenter)
          ]
          const unknown = [from, to].find((name) => !known.includes(name))
          if (unknown !== undefined || from === to) {
            return yield* Answer.badRequest(
              `no line ${from} to ${to}: this process has the datacenters ${known.toSorted().join(", ")}`
            )
          }
          if (cut !== undefined && cut !== "true" && cut !== "false") {
            return yield* Answer.badRequest("cut is true or false")
          }
          const parsed = delay === undefined ? undefined : Option.getOrUndefined(GoDuration.parse(delay))
          if (delay !== undefined && parsed === undefined) {
            return yield* Answer.badRequest("delay is a duration such as 100ms")
          }
          federation.wan.set(from, to, {
            ...(cut !== undefined && { isCut: cut === "true" }),
            ...(parsed !== undefined && { delay: parsed })
          })
        })))
