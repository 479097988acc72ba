/**
 * How long a caller that is not allowed any more keeps its connections: from the agent's answer that says so, as it leaves
 * the agent, until the caller sees the end of each. Agent, service and caller are processes of their own. Beside it the
 * same number of plain TLS connections, from the moment that a loop begins to destroy them.
 * Runs alone too: `node test/bench/deny.ts`.
 */
import type { ChildProcess } from "node:child_process"
import * as Diagnostics from "node:diagnostics_channel"
import { readFile } from "node:fs/promises"
import type { IncomingMessage } from "node:http"
import { pathToFileURL } from "node:url"
import { Effect, Exit, Scope } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as OpenFiles from "../../src/sidecar/OpenFiles.ts"
import type * as Client from "./deny/client.ts"
import type * as Connections from "./deny/connections.ts"
import * as Kind from "./deny/Kind.ts"
import type * as Server from "./deny/server.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Row {
  readonly kind: Kind.Kind
  readonly connections: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const sizes: ReadonlyArray<readonly [connections: number, rounds: number, kinds: ReadonlyArray<Kind.Kind>]> = [
  [1000, 3, Kind.kinds],
  // It takes much longer to open them than to cut them.
  [10_000, 1, ["bare TLS", "raw", "HTTP/1.1 idle"]]
]

export const run = async (): Promise<ReadonlyArray<Row>> => {
  const scope = await Effect.runPromise(Scope.make())
  const agent = await Effect.runPromise(
    Scope.provide(DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" }), scope)
  )
  const limit = OpenFiles.parse(await readFile("/proc/self/limits", "utf8").catch(() => ""))
  try {
    return await Processes.withChildren(async (start) => {
      const consul = Processes.consulAt(agent.address)
      const client = start(new URL("./deny/client.ts", import.meta.url))
      client.send(agent.address)
      await Processes.told(client)
      const rows: Array<Row> = []
      for (const [connections, rounds, kinds] of sizes) {
        if (limit !== undefined && connections * 1.1 > limit) continue
        for (const kind of kinds) {
          const service = kind.toLowerCase().replace(/\W+/g, "-")
          if (Kind.isHttp(kind)) await consul.entry("service-defaults", service, { Protocol: "http" })
          const server = start(new URL("./deny/server.ts", import.meta.url))
          server.send({ kind, service, agent: agent.address } satisfies Server.Start)
          const { port } = await Processes.told<Server.Listening>(server)
          const results: Array<Omit<Row, "kind" | "connections">> = []
          for (let round = 0; round < rounds; round++) {
            const allowed = kind === "bare TLS" && round > 0 ? undefined : Processes.told(server)
            await consul.entry("service-intentions", service, { Sources: [{ Name: "web", Action: "allow" }] })
            await allowed
            client.send({ kind, count: connections, port } satisfies Connections.Open)
            const { open } = await Processes.told<Client.Opened>(client)
            if (open !== connections) {
              throw new Error(`${kind}: ${connections - open} connections ended before their time`)
            }
            const closed = Processes.told<Client.Closed>(client)
            const said = kind === "bare TLS" ? await cut(server) : await deny(consul, service)
            const times = (await closed).at.map((at) => at - said)
            results.push({
              p50: Processes.quantile(times, 0.5),
              p99: Processes.quantile(times, 0.99),
              max: Math.max(...times)
            })
          }
          server.kill()
          const median = (field: "p50" | "p99") => Processes.quantile(results.map((result) => result[field]), 0.5)
          rows.push({
            kind,
            connections,
            p50: median("p50"),
            p99: median("p99"),
            max: Math.max(...results.map(({ max }) => max))
          })
        }
      }
      return rows
    })
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const cut = async (server: ChildProcess): Promise<number> => {
  server.send("cut")
  return (await Processes.told<Server.Cut>(server)).at
}

/** When the agent had handed the answer to the system that carries the news. */
const deny = (consul: ReturnType<typeof Processes.consulAt>, service: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const finished = (message: unknown) => {
      const { request } = message as { readonly request: IncomingMessage }
      if (request.url?.includes(`/v1/connect/intentions/match`) !== true || !request.url.includes(`name=${service}`)) {
        return
      }
      Diagnostics.unsubscribe("http.server.response.finish", finished)
      resolve(Processes.clock())
    }
    Diagnostics.subscribe("http.server.response.finish", finished)
    consul.entry("service-intentions", service, { Sources: [{ Name: "web", Action: "deny" }] }).catch(reject)
  })

export const format = (rows: ReadonlyArray<Row>): string => {
  const bareOf = (connections: number) =>
    rows.find((row) => row.kind === "bare TLS" && row.connections === connections)?.p99
  return table([
    ["from the agent's answer", "connections", "p50 ms", "p99 ms", "max ms", "p99 / bare"],
    ...rows.map(({ connections, kind, max, p50, p99 }) => [
      kind,
      String(connections),
      p50.toFixed(1),
      p99.toFixed(1),
      max.toFixed(1),
      (p99 / bareOf(connections)!).toFixed(2)
    ])
  ])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
