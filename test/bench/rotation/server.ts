/** A service that speaks HTTP, and one that sends back whatever it is sent. Told to count, it says what it has seen so far. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Context, Effect, Layer, References, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as MeshHttpServer from "../../../src/native/MeshHttpServer.ts"
import * as MeshListener from "../../../src/inbound/MeshListener.ts"
import * as CaRoots from "../../../src/watch/CaRoots.ts"
import * as LeafCertificate from "../../../src/watch/LeafCertificate.ts"

export interface Start {
  readonly agent: string
  readonly http: string
  readonly echo: string
}

export interface Ports {
  readonly http: number
  readonly echo: number
}

/** Since the start. */
export interface Counted {
  /** Connections for HTTP that have ended. */
  readonly ended: number
  readonly leaves: number
  readonly roots: number
  /** Since it was last counted: for how long the loop stood still at most, in milliseconds. */
  readonly stall: number
}

const routes = HttpRouter.serve(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")), {
  disableLogger: true,
  disableListenLog: true
})

const program = ({ agent, echo, http }: Start) =>
  Effect.gen(function*() {
    const consul = yield* Layer.build(ConsulClient.layer({ address: agent }))
    const join = (service: string) => Effect.provideContext(Layer.build(Mesh.layer({ service })), consul)
    const member = yield* join(http)
    const server = yield* Layer.build(
      routes.pipe(
        Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, limits: { idleTimeout: "1 hour" } }))
      )
    ).pipe(Effect.provideContext(member))
    const { port, stats } = Context.get(server, MeshHttpServer.MeshHttpServer)
    const echoing = yield* MeshListener.make({
      host: "127.0.0.1",
      port: 0,
      handle: ({ socket }) =>
        Effect.callback<void>((resume) => {
          socket.pipe(socket)
          socket.on("error", () => {}).once("close", () => resume(Effect.void))
        })
    }).pipe(Effect.provideContext(yield* join(echo)))
    let leaves = 0
    let roots = 0
    const { changes } = Context.get(member, LeafCertificate.LeafCertificate)
    yield* Effect.forkScoped(Stream.runForEach(changes, () => Effect.sync(() => leaves++)))
    const bundles = Context.get(member, CaRoots.CaRoots).changes.pipe(
      Stream.map(({ roots }) => roots.find(({ active }) => active)?.id),
      Stream.changes
    )
    yield* Effect.forkScoped(Stream.runForEach(bundles, () => Effect.sync(() => roots++)))
    const turns = monitorEventLoopDelay({ resolution: 1 })
    turns.enable()
    process.on("message", () => {
      const { accepted, open } = stats().connections
      process.send?.({ ended: accepted - open, leaves, roots, stall: turns.max / 1e6 } satisfies Counted)
      turns.reset()
    })
    process.send?.({ http: port, echo: echoing.port } satisfies Ports)
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

process.once("message", (message: Start) => void Effect.runFork(program(message)))
process.on("disconnect", () => process.exit(0))
