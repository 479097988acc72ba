/** `effect-mesh gateway`: a door of the mesh. */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as IdleMemory from "../sidecar/IdleMemory.ts"
import * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Consul from "./consul.ts"
import { reopenOnHangup } from "./executable.ts"
import { flags } from "./gateway/Flags.ts"
import { serve } from "./gateway/Serve.ts"
import * as Log from "./Log.ts"
import * as Telemetry from "./proxy/Telemetry.ts"
import * as Refusals from "./refusals.ts"

export const gateway = Command.make(
  "gateway",
  flags,
  Effect.fn("cli.gateway")(function*(options) {
    GarbageCollection.tuneForRelaying()
    yield* IdleMemory.giveBack
    reopenOnHangup(yield* AccessLogWriter.Reopening)
    const telemetry = yield* Effect.provide(Telemetry.open(process.env), Log.layer(options))
    // The scope closes inside: what has to be said to the agent at the end needs the client.
    yield* serve(options).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(Consul.layer(options), Log.layer(options, telemetry.loggers), Refusals.layer(options))
      ),
      Effect.provideContext(telemetry.context)
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run a gateway, as it is registered with the local Consul agent or as flags describe it. A mesh gateway is the door between " +
      "datacenters: it reads the name that a TLS client asks for, and passes its bytes on unopened, to a healthy instance " +
      "here or to a gateway there. A terminating gateway takes callers from the mesh to services that are not in it, in the names " +
      "of these and by their intentions. An API gateway lets those outside call services of the mesh. It replaces `consul connect envoy -gateway=…`."
  ),
  Command.withShortDescription("Run a gateway of the mesh"),
  Command.withExamples([
    { command: "effect-mesh gateway --mesh", description: "The mesh gateway that is registered at the agent" },
    { command: "effect-mesh gateway --terminating", description: "The terminating gateway that is registered there" },
    { command: "effect-mesh gateway --api", description: "The API gateway that is registered there" },
    {
      command: "effect-mesh gateway --mesh --register --address 10.0.0.5:8443 --wan-address 198.51.100.7:443",
      description: "One that is registered while it runs"
    }
  ])
)
