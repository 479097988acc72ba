/** The callers: told to open connections, and then, by their ends, when each of them was seen to be cut. */
import { Effect, Layer, References } from "effect"
import type * as Tls from "node:tls"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as Processes from "../processes.ts"
import * as Connections from "./connections.ts"

export interface Opened {
  readonly open: number
}

/** Times on the shared clock. */
export interface Closed {
  readonly at: ReadonlyArray<number>
}

const run = (message: Connections.Open, context: Tls.SecureContext): void => {
  const at: Array<number> = []
  const ended = () => {
    at.push(Processes.clock())
    if (at.length === message.count) process.send?.({ at } satisfies Closed)
  }
  void Connections.open(message, context, ended).then(() =>
    process.send?.({ open: message.count - at.length } satisfies Opened)
  )
}

const program = (agent: string) =>
  Effect.flatMap(SecureContexts.SecureContexts, (contexts) => {
    process.on("message", (message: Connections.Open) => run(message, contexts.current().client))
    process.send?.("joined")
    return Effect.never
  }).pipe(
    Effect.provide(Layer.provide(Mesh.layer({ service: "web" }), ConsulClient.layer({ address: agent }))),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )

process.once("message", (agent: string) => void Effect.runFork(program(agent)))
process.on("disconnect", () => process.exit(0))
