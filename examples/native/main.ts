/**
 * Two services in one program, without a sidecar: `greeter` answers, `visitor` calls. The bytes between them are encrypted, each
 * knows the identity of the other, and an intention decides. Runs against the agent at CONSUL_HTTP_ADDR, or one of its own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { text } from "node:stream/consumers"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import { agent } from "./agent.ts"

const port = 9301

/** Greets each caller by the name that its certificate proves. */
const greeter = ServiceRegistration.layer({ name: "greeter", port, drain: 0 }).pipe(
  Layer.provideMerge(Layer.effectDiscard(MeshListener.make({
    host: "127.0.0.1",
    port,
    handle: ({ caller, socket }) => Effect.sync(() => socket.end(`hello ${caller.service}\n`))
  }))),
  Layer.provide(Mesh.layer({ service: "greeter" }))
)

const visitor = Effect.gen(function*() {
  const dialer = yield* MeshDialer.MeshDialer
  const { peer, socket } = yield* dialer.dial({ service: "greeter" })
  socket.end()
  yield* Console.log(`${peer.service} says: ${yield* Effect.promise(() => text(socket))}`)
}).pipe(Effect.provide(Mesh.layer({ service: "visitor" })))

/** Without this intention the call is denied: the agent of this example denies by default. */
const allowVisitor = Effect.flatMap(
  ConsulClient.ConsulClient,
  (consul) =>
    consul.call("allow visitor", (api) =>
      api.config.write({
        query: {},
        payload: { Kind: "service-intentions", Name: "greeter", Sources: [{ Name: "visitor", Action: "allow" }] }
      }))
)

allowVisitor.pipe(
  Effect.andThen(Effect.provide(visitor, greeter)),
  Effect.scoped,
  Effect.provide(agent),
  NodeRuntime.runMain
)
