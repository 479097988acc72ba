/**
 * Requests through two sidecars while all that they follow changes: every kind of config entry that has to do with HTTP, leaves that
 * live for seconds, a new root, and an agent that goes away and comes back. Runs alone too: `node test/bench/http-changes.ts`.
 */
import * as Http from "node:http"
import { pathToFileURL } from "node:url"
import { Effect, Exit, Logger, type Schema, Scope } from "effect"
import { faults } from "../support/agents.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Options {
  /** Requests a second, at most. */
  readonly rate: number
  /** Between two changes. */
  readonly millis: number
  /** How often all of them are made. */
  readonly rounds: number
  /** Of leaves, in seconds: many times what a slow machine may be late with a new one. */
  readonly leafSeconds: number
}

export interface Row {
  readonly change: string
  readonly sent: number
  readonly failures: ReadonlyArray<string>
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

type Mesh = Effect.Success<ReturnType<typeof SidecarMesh.make>>

const entry = (Kind: string, Name: string, rest: Schema.JsonObject): SidecarMesh.Entry => ({ Kind, Name, ...rest })

const entries: ReadonlyArray<SidecarMesh.Entry> = [
  entry("proxy-defaults", "global", { Config: { protocol: "http", local_idle_timeout_ms: 200_000 } }),
  entry("service-defaults", "api", { Protocol: "http", MaxInboundConnections: 500, LocalRequestTimeoutMs: 9000 }),
  entry("service-resolver", "api", { ConnectTimeout: "4s", RequestTimeout: "9s" }),
  entry("service-splitter", "api", {
    Splits: [{ Weight: 100, RequestHeaders: { Set: { "x-leg": "a" } } }]
  }),
  entry("service-router", "api", {
    Routes: [{
      Match: { HTTP: { PathPrefix: "/" } },
      Destination: { NumRetries: 2, RequestHeaders: { Set: { "x-route": "1" } } }
    }]
  }),
  SidecarMesh.intention({ Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }] }),
  entry("mesh", "mesh", { HTTP: { SanitizeXForwardedClientCert: true } })
]

/** What is taken back in the end, the last one first. */
const taken = entries.filter(({ Kind }) => !["service-defaults", "service-intentions"].includes(Kind)).toReversed()

const changes = (mesh: Mesh): ReadonlyArray<readonly [what: string, change: Effect.Effect<unknown, unknown>]> => [
  ["nothing", Effect.void],
  ...entries.map((written) => [`${written.Kind} written`, mesh.write(written)] as const),
  ["the root replaced", mesh.agent.rotateRoots],
  ["the agent gone", Effect.sync(() => mesh.front.become(faults["has gone"]))],
  ["the agent back", Effect.sync(() => mesh.front.become(undefined))],
  ...taken.map((written) => [`${written.Kind} deleted`, mesh.remove(written)] as const),
  ["intentions as before", mesh.write(SidecarMesh.intention({ Action: "allow" }))],
  ["service-defaults as before", mesh.write(SidecarMesh.defaults("api", "http"))]
]

/** What went wrong; undefined: nothing. Every tenth request has a connection of its own. */
const ask = (agent: Http.Agent, port: number, number: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const request = Http.get(
      { agent: number % 10 === 0 ? false : agent, host: "127.0.0.1", port, path: `/${number}` },
      (response) => {
        let text = ""
        response.on("data", (chunk: Buffer) => text += chunk.toString())
        response.on("error", ({ message }) => resolve(`cut: ${message}`))
        response.on("end", () =>
          resolve(
            response.statusCode === 200 && text === `/${number}` ? undefined : `${response.statusCode} ${text}`
          ))
      }
    )
    request.on("error", ({ message }) => resolve(message))
  })

/** Sends requests all the time; each counts for the change that was the last one when it was sent. */
const makeTraffic = (port: number, rate: number, rows: ReadonlyArray<RowInTheMaking>, current: () => number) => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: 32 })
  const pending = new Set<Promise<void>>()
  let number = 0
  const since = performance.now()
  const send = async () => {
    const row = rows[current()]!
    const begun = performance.now()
    row.sent++
    const what = await ask(agent, port, ++number)
    row.latencies.push(performance.now() - begun)
    if (what !== undefined) row.failures.push(what)
  }
  const timer = setInterval(() => {
    // What a slow machine is late with is left out.
    const due = Math.floor((performance.now() - since) * rate / 1000)
    for (let count = Math.min(due - number, 32 - pending.size); count > 0; count--) {
      const one = send().finally(() => pending.delete(one))
      pending.add(one)
    }
  }, 5)
  return async () => {
    clearInterval(timer)
    await Promise.all(pending)
    agent.destroy()
  }
}

interface RowInTheMaking {
  readonly change: string
  sent: number
  readonly failures: Array<string>
  readonly latencies: Array<number>
}

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(effect, Logger.layer([]))

export const run = async ({ leafSeconds, millis, rate, rounds }: Options): Promise<ReadonlyArray<Row>> => {
  const scope = await Effect.runPromise(Scope.make())
  try {
    const mesh = await Effect.runPromise(
      Effect.gen(function*() {
        const app = yield* HttpApplication.start((request, response) => void response.end(request.url))
        return yield* SidecarMesh.make({ apps: [app], protocol: "http", agent: { leafTtl: `${leafSeconds} seconds` } })
      }).pipe(Scope.provide(scope), quietly)
    )
    const all = changes(mesh)
    const rows = all.map(([change]): RowInTheMaking => ({ change, sent: 0, failures: [], latencies: [] }))
    let current = 0
    const stop = makeTraffic(mesh.port, rate, rows, () => current)
    for (let round = 0; round < rounds; round++) {
      for (const [index, [, change]] of all.entries()) {
        current = index
        await Effect.runPromise(change)
        await new Promise<void>((resolve) => void setTimeout(resolve, millis))
      }
    }
    await stop()
    return rows
  } finally {
    await Effect.runPromise(quietly(Scope.close(scope, Exit.void)))
  }
}

export const full: Options = { rate: 500, millis: 1500, rounds: 2, leafSeconds: 20 }

export const format = (rows: ReadonlyArray<Row>): string => {
  const lines = table([
    ["", "sent", "failed", "p50 ms", "p99 ms"],
    ...rows.map(({ change, failures, latencies, sent }) => [
      change,
      String(sent),
      String(failures.length),
      latencies.length === 0 ? "-" : Processes.quantile(latencies, 0.5).toFixed(1),
      latencies.length === 0 ? "-" : Processes.quantile(latencies, 0.99).toFixed(1)
    ])
  ])
  const why = [...new Set(rows.flatMap(({ change, failures }) => failures.map((what) => `${change}: ${what}`)))]
  return [lines, "", ...why.slice(0, 10)].join("\n")
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run(full))}\n`)
}
