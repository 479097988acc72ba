/** What the process can be told to do. */
import { Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as LogThreshold from "../observe/LogThreshold.ts"
import * as AdminApi from "./AdminApi.ts"
import type * as Documents from "./Documents.ts"
import type * as Fleet from "./Fleet.ts"
import * as LogLevels from "./LogLevels.ts"
import * as Profiles from "./Profiles.ts"
import * as Views from "./Views.ts"

export interface Options {
  readonly fleet: Fleet.Fleet
}

export const layer = ({ fleet }: Options) =>
  HttpApiBuilder.group(AdminApi.AdminApi, "control", (handlers) => {
    const running = () => Views.running(fleet.members())
    return handlers
      .handle("setLogging", ({ query }) =>
        Effect.gen(function*() {
          const threshold = yield* LogThreshold.LogThreshold
          const before = LogLevels.current(threshold)
          threshold.set(LogLevels.of(query.level))
          if (before.level !== query.level) {
            yield* Effect.logInfo(`the log level was ${before.level}, and is ${query.level} now`)
          }
          return LogLevels.current(threshold)
        }))
      .handle("reauthorize", () => Effect.map(Effect.forEach(running(), reauthorize), (sidecars) => ({ sidecars })))
      .handle("rotate", () =>
        Effect.map(Effect.forEach(running(), renew, { concurrency: "unbounded" }), (all) => {
          const sidecars = all.map(({ renewal }) => renewal)
          return all.every(({ answered }) => answered)
            ? { sidecars }
            : HttpServerResponse.jsonUnsafe({ sidecars }, { status: 502 })
        }))
      .handle("cpuProfile", ({ query: { seconds = 10 } }) =>
        Profiles.cpu(Duration.seconds(seconds)).pipe(
          Effect.map((profile) =>
            HttpServerResponse.text(profile, { contentType: "application/json", headers: download("cpuprofile") })
          ),
          Effect.catch(({ message }) =>
            Effect.succeed(HttpServerResponse.jsonUnsafe({ error: message }, { status: 409 }))
          )
        ))
      .handle("heapSnapshot", () =>
        Effect.as(
          Effect.logWarning("a heap snapshot is taken: it holds tokens and keys, and everything stops meanwhile"),
          HttpServerResponse.stream(Profiles.heap, {
            contentType: "application/octet-stream",
            headers: download("heapsnapshot")
          })
        ))
  })

const download = (extension: string) => ({
  "content-disposition": `attachment; filename="effect-mesh-${process.pid}.${extension}"`
})

const reauthorize = Effect.fnUntraced(function*({ head, sidecar, status }: Views.Running) {
  const inbound = status.listeners.filter(({ direction }) => direction === "inbound")
  const judged = inbound.reduce((sum, { counts }) => sum + counts.open, 0)
  const before = cutOf(status)
  yield* Effect.forEach(inbound, ({ details }) => details.judgeAgain, { discard: true })
  return { ...head, judged, cut: cutOf(sidecar.status()) - before }
})

const cutOf = ({ listeners }: Views.Running["status"]): number =>
  listeners.reduce((sum, { counts }) => sum + counts.cut, 0)

const renew = ({ head, sidecar }: Views.Running) => {
  const before = sidecar.material().leaf.certificate.serial
  const renewal = (why: string): typeof Documents.Renewal.Type["sidecars"][number] => {
    const { notAfter, serial } = sidecar.material().leaf.certificate
    const renewed = serial !== before
    return { ...head, before, after: serial, renewed, notAfter: notAfter.toISOString(), why: renewed ? null : why }
  }
  return Effect.match(sidecar.renew, {
    onSuccess: () => ({ answered: true, renewal: renewal(unchanged) }),
    onFailure: ({ message }) => ({ answered: false, renewal: renewal(message) })
  })
}

const unchanged =
  "the agent has no other one: it renews a leaf by itself when its end is near, and when the CA root changes (consul connect ca set-config)"
