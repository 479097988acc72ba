/** `effect-mesh gateway`: a door of the mesh. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { flags } from "./gateway/Flags.ts"
import { check, serve } from "./gateway/Serve.ts"
import { relayingByWorkers } from "./relaying.ts"

export const gateway = Command.make(
  "gateway",
  flags,
  Effect.fn("cli.gateway")((options) => relayingByWorkers(options, serve(options), check(options)))
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
