/** A caller with one connection to each of many services. Told to open them; tells of each when it has seen its end. */
import { Effect, Layer, References } from "effect"
import type * as Tls from "node:tls"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as Connections from "../deny/connections.ts"
import * as Processes from "../processes.ts"

export interface Open {
  readonly ports: ReadonlyArray<number>
}

/** On the shared clock. */
export interface Ended {
  readonly port: number
  readonly at: number
}

const open = async (ports: ReadonlyArray<number>, context: Tls.SecureContext): Promise<void> => {
  for (const port of ports) {
    await Connections.open(
      { kind: "raw", count: 1, port },
      context,
      () => process.send?.({ port, at: Processes.clock() } satisfies Ended)
    )
  }
  process.send?.("open")
}

const program = (agent: string) =>
  Effect.flatMap(SecureContexts.SecureContexts, (contexts) => {
    process.on("message", ({ ports }: Open) => void open(ports, contexts.current().client))
    process.send?.("joined")
    return Effect.never
  }).pipe(
    Effect.provide(Layer.provide(Mesh.layer({ service: "web" }), ConsulClient.layer({ address: agent }))),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )

process.once("message", (agent: string) => void Effect.runFork(program(agent)))
process.on("disconnect", () => process.exit(0))
