/**
 * One HTTP service called by another, on loopback, doing the same in each column: `https` and undici by hand, Effect's
 * server and client over them, this package, and two sidecars between Effect's server and client. Nothing is turned off, and nobody
 * collects spans. Client and server are
 * processes of their own. Rounds of the competitors alternate; ratios are of rounds. Runs alone too: `node test/bench/native-http.ts`.
 */
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import { ciphers } from "../../src/tls/SecureContexts.ts"
import { issue, root, service } from "../support/certificates.ts"
import type * as Client from "./native-http/client.ts"
import type * as Side from "./native-http/Side.ts"
import * as Comparison from "./comparison.ts"
import * as Proxies from "./http/proxies.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

const competing = {
  "https + undici": "raw",
  Effect: "effect",
  mesh: "mesh",
  "mesh, in a trace": "traced",
  sidecars: "plain"
} as const satisfies Record<string, Side.Kind>

export type Name = keyof typeof competing

const names = Object.keys(competing) as ReadonlyArray<Name>

export interface Settings {
  readonly rounds: number
  /** Rounds that do not count: Node compiles meanwhile. */
  readonly warmups: number
  readonly load: Client.Run
  readonly competitors: ReadonlyArray<Name>
}

export const full: Settings = {
  rounds: 7,
  warmups: 3,
  load: { seconds: 1, concurrency: 16 },
  competitors: names
}

/** Says only that everything works. */
export const short: Settings = { ...full, rounds: 1, warmups: 0, load: { seconds: 0.5, concurrency: 2 } }

export const run = async (settings: Settings = full): Promise<ReadonlyArray<Comparison.Row>> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children: Array<ChildProcess> = []
  try {
    return await Processes.withChildren(async (start) => {
      const child = (script: string) => start(new URL(script, import.meta.url))
      const behindSidecars = async (application: number): Promise<Proxies.Proxies> => {
        const keep: Proxies.Keep = (child) => {
          children.push(child)
          return child
        }
        const mesh = await Proxies.mesh(folder, keep, "http")
        return Proxies.sidecars()({ ...mesh, application })
      }
      const competitors = await compete(child, behindSidecars, settings.competitors)
      return await measure(competitors, settings)
    })
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Competitor {
  readonly name: Name
  readonly client: ChildProcess
  /** All that takes part. */
  readonly children: ReadonlyArray<ChildProcess>
}

const compete = async (
  child: (script: string) => ChildProcess,
  behindSidecars: (application: number) => Promise<Proxies.Proxies>,
  names: ReadonlyArray<Name>
): Promise<ReadonlyArray<Competitor>> => {
  const ca = await root("bench")
  const side = async (name: string) => {
    const { chainPem, keyPem } = await issue(ca, { uris: [SpiffeId.format(service(name))] })
    return { chainPem, keyPem, rootPem: ca.pem, ciphers }
  }
  const [api, web] = [await side("api"), await side("web")]
  const competitors: Array<Competitor> = []
  for (const name of names) {
    const kind = competing[name]
    const server = child("native-http/server.ts")
    server.send({ ...api, kind, port: 0 } satisfies Side.Side)
    const { port } = await Processes.told<{ readonly port: number }>(server)
    const between = kind === "plain" ? await behindSidecars(port) : { port, children: [] }
    const client = child("native-http/client.ts")
    client.send({ ...web, kind, port: between.port } satisfies Side.Side)
    await Processes.told(client)
    competitors.push({ name, client, children: [client, server, ...between.children] })
  }
  return competitors
}

const measure = async (
  competitors: ReadonlyArray<Competitor>,
  { load, rounds, warmups }: Settings
): Promise<ReadonlyArray<Comparison.Row>> => {
  const rates = Comparison.sampler(`requests, ${load.concurrency} at a time`, "/s", true)
  const p50s = Comparison.sampler("  50th percentile", " µs", false)
  const p99s = Comparison.sampler("  99th percentile", " µs", false)
  const costs = Comparison.sampler("  CPU of both sides for each", " µs", false)
  for (let round = 0; round < warmups + rounds; round++) {
    for (const { children, client, name } of round % 2 === 0 ? competitors : competitors.toReversed()) {
      const before = Processes.cpuSeconds(children)
      client.send(load)
      const { p50, p99, perSecond, requests } = await Processes.told<Client.Ran>(client)
      if (round < warmups) continue
      costs.add(name, (Processes.cpuSeconds(children) - before) * 1e6 / requests)
      rates.add(name, perSecond)
      p50s.add(name, p50 * 1000)
      p99s.add(name, p99 * 1000)
    }
  }
  return [rates.row, p50s.row, p99s.row, costs.row]
}

export const format = (rows: ReadonlyArray<Comparison.Row>): string => {
  const columns = names.filter((name) => rows.some(({ samples }) => name in samples))
  const others = columns.filter((name) => name !== "mesh")
  return [
    table([
      ["", ...columns],
      ...rows.map((row) => [
        row.what,
        ...columns.map((name) => Comparison.formatValue(row, name))
      ])
    ]),
    table([
      ["the mesh as a multiple of (and the least and the most of a round)", ...others],
      ...rows.map((row) => [
        row.what,
        ...others.map((name) => Comparison.formatRatio(Comparison.ratio(row, "mesh", name)))
      ])
    ])
  ].join("\n\n")
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
