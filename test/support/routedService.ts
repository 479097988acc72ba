/** A service whose clients go by a route that the test writes, without an agent. */
import type * as Undici from "@effect/platform-node/Undici"
import { Effect, type Schema } from "effect"
import type * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as HttpMesh from "./httpMesh.ts"
import * as Mesh from "./mesh.ts"
import * as Parity from "./parity.ts"
import * as ScriptedApp from "./scriptedApp.ts"
import { closedPort } from "./sockets.ts"

export type Sent = Pick<Undici.Dispatcher.RequestOptions, "body" | "headers" | "signal"> & {
  readonly method?: Undici.Dispatcher.HttpMethod | undefined
  readonly target?: string | undefined
}

interface Options extends MeshHttpClient.Options {
  readonly dead?: number
  readonly instances?: number
}

/** Instances of `service`, some of them dead, and what a client sees of them under these config entries. */
export const calling = Effect.fnUntraced(function*(
  service: string,
  config: ReadonlyArray<Schema.JsonObject>,
  { dead = 0, instances = 1, ...options }: Options = {}
) {
  const authority = yield* HttpMesh.authorityOf
  const apps = yield* Effect.forEach(
    Array.from({ length: instances }, (_, i) => `${service}-${i + 1}`),
    (name) => ScriptedApp.start(authority, service, name)
  )
  const ports = [...yield* Effect.replicateEffect(closedPort, dead), ...apps.map(({ port }) => port)]
  const discovery = yield* Mesh.discovery({ [`${service}.default`]: ports.map((port) => Mesh.endpoint(port)) })
  yield* discovery.setChain(service, Parity.compile(service, config))
  const client = yield* HttpMesh.client(authority, discovery.layer, {
    outliers: { maxFailures: Infinity },
    ...options
  })
  const sendBy = (dispatcher: Undici.Dispatcher, { method = "GET", target = "/", ...sent }: Sent = {}) =>
    Effect.promise((): Promise<Outcome> =>
      dispatcher.request({ origin: `http://${service}`, path: target, method, ...sent }).then(
        async ({ body, statusCode: status }) => {
          const text = await body.text().catch((error: Error) => error)
          return typeof text === "string" ? { status, text } : { status, cut: text }
        },
        (failed: Error) => ({ failed })
      )
    )
  const undici = client.dispatcher.undici
  return { ...client, apps, discovery, undici, sendBy, send: (sent?: Sent) => sendBy(undici, sent) }
})

export interface Outcome {
  readonly status?: number
  readonly text?: string
  readonly cut?: Error
  readonly failed?: Error
}

/** All requests for `billing` take this route. */
export const router = (destination: Schema.JsonObject): Schema.JsonObject => ({
  Kind: "service-router",
  Name: "billing",
  Routes: [{ Destination: destination }]
})

export const scripted = (
  script: string
): Pick<Sent, "headers"> & { readonly headers: Readonly<Record<string, string>> } => ({
  headers: { "x-script": script }
})
