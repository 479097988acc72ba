/** `effect-mesh proxy`: the sidecar of one service, or of several. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { flags } from "./proxy/Flags.ts"
import { print } from "./proxy/PrintConfig.ts"
import { check, serve } from "./proxy/Serve.ts"
import { relaying, relayingByWorkers } from "./relaying.ts"

export const proxy = Command.make(
  "proxy",
  flags,
  Effect.fn("cli.proxy")(function*(options) {
    if (options.printConfig) return yield* relaying(options, print(options), { silent: true })
    yield* relayingByWorkers(options, serve(options), check(options))
  })
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
