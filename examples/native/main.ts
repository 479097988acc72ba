/**
 * Two services in one program, without a sidecar: `greeter` answers, `visitor` calls. The bytes between them are encrypted, each
 * knows who the other is, and an intention decides. Runs against the agent at CONSUL_HTTP_ADDR, or one of its own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { text } from "node:stream/consumers"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/native/Mesh.ts"
import * as MeshDialer from "../../src/native/MeshDialer.ts"
import * as MeshListener from "../../src/native/MeshListener.ts"
import { register } from "./register.ts"

const port = 9301

/** Greets each caller by the name that its certificate proves. */
const greeter = Layer.effectDiscard(
  MeshListener.make({
    host: "127.0.0.1",
    port,
    handle: ({ caller, socket }) => Effect.sync(() => socket.end(`hello ${caller.service}\n`))
  })
).pipe(Layer.provide(Mesh.layer({ service: "greeter" })))

const visitor = Effect.gen(function*() {
  const dialer = yield* MeshDialer.MeshDialer
  const { peer, socket } = yield* dialer.dial({ service: "greeter" })
  socket.end()
  yield* Console.log(`${peer.service} says: ${yield* Effect.promise(() => text(socket))}`)
}).pipe(Effect.provide(Mesh.layer({ service: "visitor" })))

const agent = process.env["CONSUL_HTTP_ADDR"] === undefined
  ? Layer.unwrap(Effect.map(DevelopmentAgent.make({ port: 0 }), ({ address }) => ConsulClient.layer({ address })))
  : ConsulClient.layer()

register(port).pipe(
  Effect.andThen(Effect.provide(visitor, greeter)),
  Effect.scoped,
  Effect.provide(agent),
  NodeRuntime.runMain
)
