/**
 * Ports on loopback that nobody listens on and nobody is given. They lie below those that the system takes for outgoing
 * connections: one of ours may have to stay without a listener, and a connection to it could otherwise meet itself.
 */
import { Effect } from "effect"
import * as Net from "node:net"

const [lowest, highest] = [12_000, 30_000]

/** Those of this process: a port is free until something listens there, which takes a while. */
const given = new Set<number>()

export const free = (count: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const found: Array<number> = []
    while (found.length < count) {
      const port = lowest + Math.floor(Math.random() * (highest - lowest))
      if (given.has(port) || !(yield* isFree(port))) continue
      given.add(port)
      found.push(port)
    }
    return found
  })

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = Net.createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })
