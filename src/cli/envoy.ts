/** `effect-mesh envoy`: an Envoy as a proxy of the mesh, as `consul connect envoy` starts it. */
import { Console, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as Consul from "./consul.ts"
import * as Bootstrap from "./envoy/Bootstrap.ts"
import { flags } from "./envoy/Flags.ts"
import * as Run from "./envoy/Run.ts"
import * as Target from "./envoy/Target.ts"
import * as Log from "./Log.ts"

export const envoy = Command.make(
  "envoy",
  flags,
  Effect.fn("cli.envoy")(function*(options) {
    const bootstrap = yield* Target.find(options, process.env).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(Consul.layer(options), Log.layer(options)))
    )
    if (options.bootstrap) return yield* Console.log(JSON.stringify(Bootstrap.make(bootstrap), undefined, 2))
    const { ended } = yield* Run.start({
      binary: options.envoyBinary,
      bootstrap,
      args: options.args,
      output: "inherit"
    })
    yield* ended
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run an Envoy as a sidecar or a mesh gateway: writes what it starts with, and starts it. Everything else it is told by the " +
      "agent, over xDS: a development agent with --grpc-port, or a real one. It replaces `consul connect envoy`, with its flags. " +
      "Ends with the exit code of Envoy."
  ),
  Command.withShortDescription("Run an Envoy as a proxy of the mesh"),
  Command.withExamples([
    { command: "effect-mesh envoy --sidecar-for web", description: "The sidecar that was registered with web" },
    {
      command: "effect-mesh envoy --sidecar-for web -- -l debug --concurrency 2",
      description: "With flags of Envoy's own"
    },
    { command: "effect-mesh envoy --sidecar-for web --bootstrap", description: "Print what it would start with" },
    { command: "effect-mesh envoy --gateway mesh", description: "The mesh gateway that is registered at the agent" }
  ])
)
