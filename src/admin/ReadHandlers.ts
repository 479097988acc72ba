/** What the admin interface tells. */
import { Clock, Effect, Schedule, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as LogThreshold from "../observe/LogThreshold.ts"
import * as Watched from "../watch/Watched.ts"
import * as AdminApi from "./AdminApi.ts"
import type * as Documents from "./Documents.ts"
import * as Graphs from "./Graphs.ts"
import type * as Fleet from "./Fleet.ts"
import * as Health from "./Health.ts"
import * as LogLevels from "./LogLevels.ts"
import * as Snapshots from "./Snapshots.ts"
import * as Views from "./Views.ts"

export interface Options {
  readonly fleet: Fleet.Fleet
  readonly about: About
  /** Whose intentions can be changed: those of a development agent. Undefined: nobody's. */
  readonly intentions?: ConsulClient.ConsulClient["Service"] | undefined
}

/** What the process knows of itself. */
export interface About extends Pick<typeof Documents.Configuration.Type, "version" | "agent" | "settings"> {}

/** Of the sidecar that is called so, or of the first that runs. */
const snapshot = ({ about, fleet }: Options, name: string | undefined) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const context = yield* Effect.context<never>()
    const threshold = yield* LogThreshold.LogThreshold
    const members = fleet.members()
    const running = Views.running(members)
    const chosen = name === undefined ? running[0] : running.find((each) => Views.isNamed(each, name))
    const watches = Watched.followed(context)
    const document: Documents.Snapshot = {
      at: now,
      version: about.version,
      agent: about.agent,
      uptimeSeconds: process.uptime(),
      logLevel: LogLevels.current(threshold).level,
      sidecars: Health.readiness(members, watches, now).sidecars,
      sidecar: chosen === undefined ? null : Snapshots.summary(chosen, Snapshots.requestCounts(context), now),
      watches: Views.watches(watches, now).watches
    }
    return document
  })

const graph = ({ about, fleet, intentions }: Options) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const context = yield* Effect.context<never>()
    const document: Documents.Graph = {
      at: now,
      version: about.version,
      agent: about.agent,
      changeable: intentions !== undefined,
      ...Graphs.of({ members: fleet.members(), context, now })
    }
    return document
  })

export const layer = (options: Options) =>
  HttpApiBuilder.group(AdminApi.AdminApi, "read", (handlers) => {
    const { about, fleet } = options
    const running = () => Views.running(fleet.members())
    return handlers
      .handle("ready", () =>
        Effect.gen(function*() {
          const watches = Watched.followed(yield* Effect.context<never>())
          const readiness = Health.readiness(fleet.members(), watches, yield* Clock.currentTimeMillis)
          return readiness.ready ? readiness : HttpServerResponse.jsonUnsafe(readiness, { status: 503 })
        }))
      .handle("live", () => Effect.sync(() => ({ live: true as const, uptimeSeconds: process.uptime() })))
      .handle("certificates", () => Effect.map(Clock.currentTimeMillis, (now) => Views.certificates(running(), now)))
      .handle("intentions", () => Effect.sync(() => Views.intentions(running())))
      .handle("connections", ({ query: { limit = AdminApi.listed } }) =>
        Effect.map(Clock.currentTimeMillis, (now) =>
          Views.connections(running(), limit, now)))
      .handle("upstreams", () =>
        Effect.sync(() => Views.upstreams(running())))
      .handle("routes", () => Effect.sync(() => Views.routes(running())))
      .handle("watches", () =>
        Effect.flatMap(Effect.context<never>(), (context) =>
          Effect.map(Clock.currentTimeMillis, (now) =>
            Views.watches(Watched.followed(context), now))))
      .handle("snapshot", ({ query }) =>
        snapshot(options, query.sidecar))
      .handle("events", ({ query }) =>
        Effect.map(Effect.context<LogThreshold.LogThreshold>(), (context) =>
          Stream.fromEffectSchedule(
            Effect.provideContext(snapshot(options, query.sidecar), context),
            Schedule.spaced("1 second")
          )))
      .handle("graph", () =>
        graph(options))
      .handle("graphEvents", () =>
        Effect.map(
          Effect.context<never>(),
          (context) =>
            Stream.fromEffectSchedule(
              Effect.provideContext(graph(options), context),
              Schedule.spaced("1 second")
            )
        ))
      .handle("logging", () =>
        Effect.map(LogThreshold.LogThreshold, LogLevels.current))
      .handle("configuration", () =>
        Effect.sync(() => ({
          ...about,
          node: process.version,
          pid: process.pid,
          startedAt: new Date(performance.timeOrigin).toISOString(),
          sidecars: Views.registrations(running())
        })))
  })
