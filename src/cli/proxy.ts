/** `effect-mesh proxy`: the sidecar of one service, or of several. */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as IdleMemory from "../sidecar/IdleMemory.ts"
import * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Consul from "./consul.ts"
import { reopenOnHangup } from "./executable.ts"
import * as Log from "./Log.ts"
import { flags, type Options } from "./proxy/Flags.ts"
import { print } from "./proxy/PrintConfig.ts"
import { serve } from "./proxy/Serve.ts"
import * as Telemetry from "./proxy/Telemetry.ts"
import * as Refusals from "./refusals.ts"

const run = Effect.fnUntraced(function*(options: Options) {
  if (!options.printConfig) return yield* serve(options)
  yield* print(options)
})

export const proxy = Command.make(
  "proxy",
  flags,
  Effect.fn("cli.proxy")(function*(options) {
    GarbageCollection.tuneForRelaying()
    yield* IdleMemory.giveBack
    reopenOnHangup(yield* AccessLogWriter.Reopening)
    const telemetry = options.printConfig
      ? Telemetry.none
      : yield* Effect.provide(Telemetry.open(process.env), Log.layer(options))
    // The scope closes inside: what has to be said to the agent at the end needs the client.
    yield* run(options).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(Consul.layer(options), Log.layer(options, telemetry.loggers), Refusals.layer(options))
      ),
      Effect.provideContext(telemetry.context)
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run the sidecar proxy of a service: it accepts callers from the mesh, and opens a local port for each upstream, as " +
      "the registration with the local Consul agent says, or flags do. Where a service speaks HTTP, each request is " +
      "authorized and routed, otherwise each connection. It replaces `consul connect proxy`."
  ),
  Command.withShortDescription("Run the sidecar of a service of a Consul agent"),
  Command.withExamples([
    { command: "effect-mesh proxy --sidecar-for web", description: "The sidecar that was registered with web" },
    {
      command: "effect-mesh proxy --node",
      description: "Every sidecar that is registered at the agent, in one process"
    },
    {
      command: "effect-mesh proxy --proxy-id web-sidecar-proxy --token-file /run/secrets/token",
      description: "By its own id, with a token"
    },
    {
      command: "effect-mesh proxy --service frontend --upstream db:8181",
      description: "Without a registration: reach db at 127.0.0.1:8181, as frontend"
    },
    {
      command: "effect-mesh proxy --service db --service-addr 127.0.0.1:5432 --listen :8443 --register",
      description: "Let the mesh reach db, and register the proxy while it runs"
    }
  ])
)
