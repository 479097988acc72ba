/**
 * The service whose callers are cut off. Told what it is, it tells its port; then whenever its callers are let in; told to cut
 * bare connections, when it did.
 */
import { Effect, Layer, References, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as MeshHttpServer from "../../../src/native/MeshHttpServer.ts"
import * as MeshListener from "../../../src/inbound/MeshListener.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as Intentions from "../../../src/watch/Intentions.ts"
import * as Processes from "../processes.ts"
import * as Kind from "./Kind.ts"

export interface Start {
  readonly kind: Kind.Kind
  readonly service: string
  readonly agent: string
}

export interface Listening {
  readonly port: number
}

export interface Cut {
  /** On the shared clock. */
  readonly at: number
}

const routes = HttpRouter.serve(
  Layer.mergeAll(
    HttpRouter.add("GET", "/hang", Effect.never),
    HttpRouter.add("GET", "/", HttpServerResponse.text("hello"))
  ),
  { disableLogger: true, disableListenLog: true }
)

const http = Effect.map(
  Effect.flatMap(
    Layer.build(Layer.provideMerge(routes, MeshHttpServer.layer({ host: "127.0.0.1", port: 0 }))),
    (context) => Effect.provideContext(MeshHttpServer.MeshHttpServer, context)
  ),
  ({ port }) => port
)

const raw = Effect.map(
  MeshListener.make({
    host: "127.0.0.1",
    port: 0,
    handle: ({ socket }) =>
      Effect.callback<void>((resume) => void socket.resume().once("close", () => resume(Effect.void)))
  }),
  ({ port }) => port
)

const transports = new Set<Net.Socket>()

const bare = Effect.flatMap(SecureContexts.SecureContexts, (contexts) =>
  Effect.callback<number>((resume) => {
    const server = Tls.createServer({ ...contexts.current().server, requestCert: true, rejectUnauthorized: false })
    server.on("connection", (transport) => {
      transports.add(transport)
      transport.once("close", () => transports.delete(transport))
    })
    server.on("secureConnection", (socket) => socket.on("error", () => {}).resume())
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  }))

const cut = (): Cut => {
  const at = Processes.clock()
  for (const transport of transports) transport.resetAndDestroy()
  return { at }
}

const start = ({ agent, kind, service }: Start) =>
  Effect.gen(function*() {
    const port = yield* kind === "bare TLS" ? bare : Kind.isHttp(kind) ? http : raw
    const intentions = yield* Intentions.Intentions
    process.send?.({ port } satisfies Listening)
    // Says so whenever its callers are let in.
    yield* Stream.runForEach(intentions.changes, ({ intentions }) =>
      Effect.sync(() => intentions[0]?.Action === "allow" && process.send?.("allowed")))
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provide(Mesh.layer({ service }), ConsulClient.layer({ address: agent }))),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )

process.on("message", (message: Start | "cut") => {
  if (message === "cut") process.send?.(cut())
  else Effect.runFork(start(message))
})
process.on("disconnect", () => process.exit(0))
