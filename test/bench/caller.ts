/** A process that calls as `web`: told first where the agent is, then what to do. */
import { Effect, Layer, References } from "effect"
import type * as Tls from "node:tls"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"

/** Says `joined` once it may call. */
export const run = <Message>(act: (message: Message, context: Tls.SecureContext) => void): void => {
  const program = (agent: string) =>
    Effect.flatMap(SecureContexts.SecureContexts, (contexts) => {
      process.on("message", (message: Message) => act(message, contexts.current().client))
      process.send?.("joined")
      return Effect.never
    }).pipe(
      Effect.provide(Layer.provide(Mesh.layer({ service: "web" }), ConsulClient.layer({ address: agent }))),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  process.once("message", (agent: string) => void Effect.runFork(program(agent)))
  process.on("disconnect", () => process.exit(0))
}
