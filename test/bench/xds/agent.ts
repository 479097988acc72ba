/** A development agent that serves Envoys, in a process of its own: says where it is, and what it holds when it is asked. */
import { Effect, Scope } from "effect"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"

const scope = Scope.makeUnsafe()
const agent = await Effect.runPromise(Scope.provide(scope)(DevelopmentAgent.make({ port: 0, grpcPort: 0 })))

process.on("message", (message) => {
  if (message === "rotate") {
    void Effect.runPromise(agent.rotateRoots).then(() => process.send?.("rotated"))
    return
  }
  process.send?.({ ...Effect.runSync(agent.envoys), memory: process.memoryUsage.rss() / 1e6 })
})
process.send?.({ address: agent.address, grpc: `127.0.0.1:${agent.grpcPort}` })
