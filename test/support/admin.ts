/** The admin interface of sidecars of a test, and what it answers. */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpApiClient } from "effect/http-api"
import * as Http from "node:http"
import * as AdminApi from "../../src/admin/AdminApi.ts"
import * as AdminServer from "../../src/admin/AdminServer.ts"
import * as ThisProcess from "../../src/admin/ThisProcess.ts"
import * as LogThreshold from "../../src/observe/LogThreshold.ts"
import type * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"

/** Of sidecars that run, by their names. */
export const fleetOf = (sidecars: Readonly<Record<string, ConsulSidecar.ConsulSidecar>>) => ({
  members: () => Object.entries(sidecars).map(([name, sidecar]) => ({ name, sidecar }))
})

const threshold = Layer.effect(LogThreshold.LogThreshold, LogThreshold.LogThreshold).pipe(
  Layer.provide(LogThreshold.layer([]))
)

/** Answers on loopback, or at `bind`. */
export const open = Effect.fnUntraced(function*(
  { bind = { host: "127.0.0.1", port: 0 }, tokenFile, ...options }:
    & Partial<Pick<AdminServer.Options, "bind" | "tokenFile">>
    & Omit<Parameters<typeof ThisProcess.source>[0], "about">
) {
  const { bound } = yield* AdminServer.make({
    bind,
    tokenFile,
    source: ThisProcess.source({
      about: { version: "1.2.3", agent: "http://127.0.0.1:8500", settings: [] },
      ...options
    })
  }).pipe(Effect.provideContext(yield* Layer.build(Layer.fresh(threshold))))
  const port = "port" in bound ? bound.port : 0
  const baseUrl = `http://127.0.0.1:${port}`
  const http = yield* Layer.build(NodeHttpClient.layerUndici)
  const client = yield* Effect.provideContext(HttpApiClient.make(AdminApi.AdminApi, { baseUrl }), http)
  const ask = (method: string, path: string, headers: Readonly<Record<string, string>> = {}) =>
    request({ ...("path" in bound ? { socketPath: bound.path } : { host: "127.0.0.1", port }), method, path, headers })
  return { bound, baseUrl, port, client, ask }
})

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

/** As any program may ask, whatever it says of itself. */
export const request = (options: Http.RequestOptions): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const asked = Http.request({ ...options, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => text += chunk)
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, text }))
      )
    })
    asked.on("error", (error) => resume(Effect.die(error)))
    asked.end()
    return Effect.sync(() => asked.destroy())
  })
