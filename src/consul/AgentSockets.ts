/**
 * Sockets to one agent, for Node's own HTTP client. undici would cost a sidecar that needs it for nothing else 12 MB, a fifth of the CPU of its
 * start: it parses HTTP in WebAssembly, which V8 compiles.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, type Scope } from "effect"
import type { Agent } from "node:http"
import type { AgentOptions } from "node:https"
import type { Duplex } from "node:stream"

export interface Options extends Pick<AgentOptions, "ca" | "cert" | "key" | "rejectUnauthorized" | "servername"> {
  /** Instead of an address and a port. */
  readonly socketPath?: string
  /** No more than this at once; further requests wait. */
  readonly connections: number
}

/** A connection that nobody used for so long is closed: something on the way may have forgotten it. */
const idleMillis = 4000

/** Closed with the scope. `connectMillis`: until a connection is there, with its handshake. */
export const make = (
  { connections, ...connect }: Options,
  connectMillis = 5000
): Effect.Effect<NodeHttpClient.HttpAgent["Service"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const options = { ...connect, keepAlive: true, maxSockets: connections, timeout: idleMillis }
    const agents = yield* NodeHttpClient.makeAgent(options)
    const dialing = yield* Effect.acquireRelease(Effect.succeed(new Set<Duplex>()), (dialing) =>
      Effect.sync(() => {
        for (const socket of dialing) socket.destroy()
      }))
    onceConnected(agents.http, "connect", dialing, connectMillis)
    onceConnected(agents.https, "secureConnect", dialing, connectMillis)
    return agents
  })

/**
 * Has requests wait for the connection and its handshake: a request that is written before hides what was wrong with TLS behind its own
 * failure. Node itself would wait for two minutes, as the operating system does.
 */
const onceConnected = (
  agent: Agent,
  connected: "connect" | "secureConnect",
  dialing: Set<Duplex>,
  connectMillis: number
): void => {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const socket = create(options)
    if (!socket) return socket
    dialing.add(socket)
    const timer = setTimeout(() => socket.destroy(new ConnectTimeout(connectMillis)), connectMillis)
    const settled = (error: Error | null) => {
      clearTimeout(timer)
      dialing.delete(socket)
      socket.off(connected, succeeded).off("error", settled).off("close", closed)
      callback?.(error, socket)
    }
    const succeeded = () => settled(null)
    const closed = () => settled(new Error("the connection was closed before it was made"))
    socket.on(connected, succeeded).on("error", settled).on("close", closed)
    return undefined
  }
}

class ConnectTimeout extends Error {
  override readonly name = "ConnectTimeout"
  readonly code = "ETIMEDOUT"
  constructor(millis: number) {
    super(`no connection within ${millis / 1000} seconds`)
  }
}
