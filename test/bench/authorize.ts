/**
 * What it costs to ask the agent about each new connection, beside intentions that are watched: the same listener, the same
 * callers, in alternating rounds; medians count. Clients and listener share this process, the agent has one of its own: the
 * development agent, and the Consul at CONSUL_HTTP_ADDR where that is set. Runs alone too: `node test/bench/authorize.ts`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as Tls from "node:tls"
import { pathToFileURL } from "node:url"
import { fileURLToPath } from "node:url"
import { Effect, Layer, type Scope } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import { table } from "./table.ts"

export interface Row {
  readonly agent: string
  readonly mode: "cached" | "ask"
  readonly perSecond: number
  /** Of this process, which is both sides of the connection. */
  readonly cpuMicros: number
  /** Milliseconds from the first packet to the first byte of the answer. */
  readonly p50: number
  readonly p99: number
}

const rounds = 7
const warmups = 2
const seconds = 1
const parallel = 16

type Sample = Omit<Row, "agent" | "mode">

export const run = async (): Promise<ReadonlyArray<Row>> => {
  const development = await startAgent()
  try {
    const agents = [["development agent", development.address]] as Array<[string, string]>
    const consul = process.env["CONSUL_HTTP_ADDR"]
    if (consul !== undefined) agents.push([`Consul ${await versionOf(consul)}`, consul])
    const rows: Array<Row> = []
    for (const [agent, address] of agents) rows.push(...await Effect.runPromise(Effect.scoped(compare(agent, address))))
    return rows
  } finally {
    development.child.kill()
  }
}

const compare = (agent: string, address: string) =>
  Effect.gen(function*() {
    const client = yield* Layer.build(ConsulClient.layer({ address }))
    const join = (service: string, authorization: Row["mode"]) =>
      Effect.provideContext(Layer.build(Mesh.layer({ service, authorization })), client)
    yield* allow.pipe(Effect.provideContext(client))
    const web = yield* Effect.provideContext(SecureContexts.SecureContexts, yield* join("bench-web", "cached"))
    const modes = yield* Effect.forEach(["cached", "ask"] as const, (mode) =>
      Effect.gen(function*() {
        const listener = yield* MeshListener.make({ host: "127.0.0.1", port: 0, drain: 0, handle: answer }).pipe(
          Effect.provideContext(yield* join("bench-api", mode))
        )
        return { mode, port: listener.port, samples: Array<Sample>() }
      }))
    for (let round = -warmups; round < rounds; round++) {
      for (const { port, samples } of modes) {
        const sample = yield* Effect.promise(() => load(port, web.current().client))
        if (round >= 0) samples.push(sample)
      }
    }
    return modes.map(({ mode, samples }): Row => ({
      agent,
      mode,
      perSecond: median(samples.map((sample) => sample.perSecond)),
      cpuMicros: median(samples.map((sample) => sample.cpuMicros)),
      p50: median(samples.map((sample) => sample.p50)),
      p99: median(samples.map((sample) => sample.p99))
    }))
  })

const answer = ({ socket }: MeshListener.Connection) => Effect.sync(() => void socket.end("hello"))

const allow: Effect.Effect<void, unknown, ConsulClient.ConsulClient | Scope.Scope> = Effect.gen(function*() {
  const consul = yield* ConsulClient.ConsulClient
  const edge = { source: "bench-web", destination: "bench-api" }
  yield* Effect.acquireRelease(
    consul.call("PUT intention", (api) => api.connect.setIntention({ query: edge, payload: { Action: "allow" } })),
    () => Effect.ignore(consul.call("DELETE intention", (api) => api.connect.deleteIntention({ query: edge })))
  )
})

/** New connections for a while, so many at a time. */
const load = async (port: number, secureContext: Tls.SecureContext): Promise<Sample> => {
  const latencies: Array<number> = []
  const cpu = process.cpuUsage()
  const started = performance.now()
  const until = started + seconds * 1000
  await Promise.all(Array.from({ length: parallel }, async () => {
    while (performance.now() < until) latencies.push(await greeted(port, secureContext))
  }))
  const spent = performance.now() - started
  const { system, user } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  return {
    perSecond: latencies.length / spent * 1000,
    cpuMicros: (system + user) / latencies.length,
    p50: latencies[Math.floor(latencies.length / 2)]!,
    p99: latencies[Math.floor(latencies.length * 0.99)]!
  }
}

const greeted = (port: number, secureContext: Tls.SecureContext): Promise<number> =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const socket = Tls.connect({ host: "127.0.0.1", port, secureContext, rejectUnauthorized: false })
    let took: number | undefined
    socket.on("error", reject)
    socket.on("data", () => {
      took ??= performance.now() - started
    })
    socket.on("close", () => took === undefined ? reject(new Error("refused")) : resolve(took))
  })

const startAgent = async (): Promise<{ readonly child: ChildProcess; readonly address: string }> => {
  const main = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))
  const child = spawn(process.execPath, [main, "agent", "--port", "0", "--default-policy", "deny"], {
    stdio: ["ignore", "pipe", "ignore"]
  })
  let text = ""
  for await (const chunk of child.stdout) {
    text += String(chunk)
    const address = /answers at (\S+)\. /.exec(text)?.[1]
    if (address !== undefined) return { child, address }
  }
  throw new Error("the development agent did not start")
}

const versionOf = (address: string): Promise<string> =>
  Effect.runPromise(
    Effect.scoped(Effect.gen(function*() {
      const context = yield* Layer.build(ConsulClient.layer({ address }))
      const consul = yield* Effect.provideContext(ConsulClient.ConsulClient, context)
      const { body } = yield* consul.call("GET /v1/agent/self", (api) => api.agent.self({}))
      return String(body.Config["Version"])
    }))
  )

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** A table; the last column holds asking against watching, of one agent. */
export const format = (rows: ReadonlyArray<Row>): string => {
  const cells = rows.map((row) => {
    const cached = rows.find(({ agent, mode }) => agent === row.agent && mode === "cached")!
    return [
      row.agent,
      row.mode,
      row.perSecond.toFixed(0),
      row.cpuMicros.toFixed(0),
      row.p50.toFixed(1),
      row.p99.toFixed(1),
      (row.perSecond / cached.perSecond).toFixed(2)
    ]
  })
  const text = table(
    [["agent", "authorization", "connections/s", "µs CPU each", "p50 ms", "p99 ms", "x cached"], ...cells],
    new Set([0, 1])
  )
  return rows.length > 2 ? text : `${text}\n\nA real Consul is compared too where CONSUL_HTTP_ADDR names one.`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${format(await run())}\n`)
}
