/**
 * The relay of HTTP/1.1 between clients and an instance that may send anything: nothing may crash, hang, or be left behind when
 * all clients have gone.
 */
import * as Net from "node:net"
import { Effect } from "effect"
import * as Relays from "../support/relays.ts"
import * as Sockets from "../support/sockets.ts"
import * as Generate from "./generate.ts"

export interface Outcome {
  readonly runs: number
  /** Requests that were relayed. */
  readonly requests: number
  readonly differences: ReadonlyArray<string>
}

const perRound = 8

/** Writes in pieces, each in a turn of the event loop of its own. */
const write = (socket: Net.Socket, bytes: Buffer, next: Generate.Random): void => {
  const at = Math.floor(next() * (bytes.length + 1))
  socket.write(bytes.subarray(0, at))
  setImmediate(() => {
    if (socket.writable) socket.write(bytes.subarray(at))
  })
}

const leave = (socket: Net.Socket, next: Generate.Random): void => {
  const way = Math.floor(next() * 4)
  if (way === 0) socket.resetAndDestroy()
  else if (way === 1) socket.end()
  else if (way === 2) socket.destroy()
}

/** What a client does, until the proxy or itself has ended the connection. */
const talk = (port: number, bytes: Buffer, next: Generate.Random): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    const timer = setTimeout(() => socket.destroy(), 5 + next() * 20)
    socket.on("error", () => {})
    socket.once("connect", () => write(socket, bytes, next))
    socket.on("data", () => {
      if (next() < 0.2) leave(socket, next)
    })
    socket.once("end", () => socket.destroy())
    socket.once("close", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
  })

/** What is still at hand although nobody is there any more. */
const left = ({ budget, circuit, deadlines }: Relays.Proxy): string =>
  JSON.stringify({
    pending: circuit.pending,
    requests: budget.requests,
    retries: budget.retries,
    watched: deadlines.size
  })

const nothing = left({
  budget: { requests: 0, retries: 0 },
  circuit: { pending: 0 },
  deadlines: { size: 0 }
} as Relays.Proxy)

/** Until `isOver`, or the first hang. */
export const run = (seed: number, isOver: (runs: number) => boolean): Effect.Effect<Outcome> =>
  Effect.scoped(Effect.gen(function*() {
    const next = Generate.random(seed)
    const instance = yield* Sockets.server((socket) => {
      socket.on("data", (bytes: Buffer) => {
        if (!bytes.includes("HTTP/1.1\r\n")) return
        write(socket, Generate.answers(next), next)
        if (next() < 0.2) leave(socket, next)
      })
      socket.on("end", () => socket.end())
    })
    const proxy = yield* Relays.make(instance.port, {
      retry: { times: 2, on: new Set(["5xx", "reset"]), onStatus: new Set() },
      limits: { maxConnections: 4, maxPendingRequests: 6 },
      // A client that is not read from, as there is no room, can leave without being noticed.
      timeoutMillis: 100,
      denies: (path) => path.length % 7 === 0
    })
    const differences: Array<string> = []
    let runs = 0
    for (; !isOver(runs) && differences.length === 0; runs += perRound) {
      const inputs = Array.from({ length: perRound }, () => Generate.conversation(next))
      yield* Effect.forEach(inputs, (bytes) => talk(proxy.port, bytes, next), { concurrency: "unbounded" })
      yield* Effect.timeoutOption(Sockets.eventually(() => left(proxy) === nothing), "10 seconds")
      if (left(proxy) === nothing) continue
      differences.push(
        `${left(proxy)} after ${JSON.stringify(inputs.map((bytes) => bytes.toString("latin1", 0, 500)))}`
      )
    }
    yield* proxy.connections.destroy
    yield* Effect.timeoutOption(Sockets.eventually(() => proxy.circuit.connections === 0), "10 seconds")
    if (proxy.circuit.connections !== 0) differences.push(`${proxy.circuit.connections} connections are left`)
    return { runs, requests: proxy.reports.length, differences }
  }))
