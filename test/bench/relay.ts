/**
 * Bytes through pairs of proxies side by side, on loopback: application ◀─ inbound ◀═ mutual TLS ═ outbound ◀─ load. Ours are two
 * `effect-mesh proxy` under the development agent, with tunnels and without. Beside them: Envoy as Consul configures it for bytes, HAProxy in
 * mode tcp, the proxy that is built into Consul, under an agent of its own, and plain `node:tls` and `node:net`. Each proxy and the
 * application are processes of their own, and a proxy has one worker. Rounds of the competitors alternate; ratios are of rounds, with their
 * spread.
 *
 * The others are used where they are found: `ENVOY_BIN`, `HAPROXY_BIN`, `CONSUL_BIN`, or on the PATH. `MESH_BIN` and `BEFORE_BIN` are as in
 * `http.ts`, and so are `--load`, `--peer`, `--rounds`, `--short` and `--json`.
 */
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as V8 from "node:v8"
import * as Comparison from "./comparison.ts"
import * as Flags from "./flags.ts"
import * as Proxies from "./http/proxies.ts"
import * as Processes from "./processes.ts"
import * as Programs from "./programs.ts"
import * as Load from "./relay/load.ts"
import * as Pair from "./relay/Pair.ts"
import { table } from "./table.ts"

const starts = {
  sidecars: Proxies.sidecars({ bin: process.env["MESH_BIN"] }),
  "without tunnels": Proxies.sidecars({
    bin: process.env["MESH_BIN"],
    suffix: "-apart",
    args: ["--without-tunnels"]
  }),
  workers: Proxies.sidecars({ bin: process.env["MESH_BIN"], suffix: "-workers", args: ["--workers", "auto"] }),
  before: (mesh) => {
    const bin = process.env["BEFORE_BIN"]
    return bin === undefined ? Promise.resolve(undefined) : Proxies.sidecars({ bin, suffix: "-before" })(mesh)
  },
  node: Proxies.node,
  haproxy: Proxies.haproxy,
  envoy: Proxies.envoy("http/1.1"),
  consul: Proxies.consul
} satisfies Record<string, Proxies.Start>

export type Name = keyof typeof starts

const names = Object.keys(starts) as ReadonlyArray<Name>

/** Whom our pair is measured by. */
const others: ReadonlyArray<Name> = ["haproxy", "envoy", "consul"]

interface Competitor extends Proxies.Proxies {
  readonly name: Name
}

interface ALoad {
  readonly what: string
  readonly unit: string
  readonly scale: number
  readonly run: (port: number, seconds: number) => Promise<Load.Result>
}

export interface Settings {
  readonly rounds: number
  /** Rounds that do not count: Node compiles meanwhile. */
  readonly warmups: number
  /** Of each load in a round. */
  readonly seconds: number
  readonly idleConnections: number
  readonly competitors: ReadonlyArray<Name>
  readonly loads: ReadonlyArray<ALoad>
}

const memory = "memory"

const full: Settings = {
  rounds: 5,
  warmups: 1,
  seconds: 1.5,
  idleConnections: 1000,
  competitors: names.filter((name) =>
    name !== "workers" && (name !== "before" || process.env["BEFORE_BIN"] !== undefined)
  ),
  loads: [
    ...[1, 32, 256].map((connections) => ({
      what: `small requests, ${connections} kept connection${connections === 1 ? "" : "s"}`,
      unit: "/s",
      scale: 1,
      run: (port: number, seconds: number) => Load.requests(port, connections, seconds)
    })),
    {
      what: "new connections, 8 at a time",
      unit: "/s",
      scale: 1,
      run: (port, seconds) => Load.connections(port, 8, seconds)
    },
    {
      what: "bulk, 4 connections",
      unit: " MiB/s",
      scale: 1 / 1_048_576,
      run: (port, seconds) => Load.bulk(port, 4, seconds)
    }
  ]
}

/** Says only that everything works. */
export const short: Settings = {
  ...full,
  rounds: 1,
  warmups: 0,
  seconds: 0.05,
  idleConnections: 10,
  competitors: ["sidecars", "without tunnels", "node"]
}

export interface Result {
  readonly rows: ReadonlyArray<Comparison.Row>
  readonly missing: ReadonlyArray<Name>
}

export const run = async (settings: Settings = full, holds = true): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children: Array<ChildProcess> = []
  const keep: Proxies.Keep = (child) => {
    children.push(child)
    return child
  }
  try {
    const mesh = await Proxies.mesh(folder, keep, "tcp")
    const competitors: Array<Competitor> = []
    for (const name of settings.competitors) {
      const proxies = await starts[name](mesh)
      if (proxies === undefined) continue
      await Load.answers(proxies.port)
      competitors.push({ name, ...proxies })
    }
    const rows = [
      ...(holds ? await held(competitors, settings) : []),
      ...await underLoad(competitors, settings)
    ]
    return { rows, missing: settings.competitors.filter((name) => !competitors.some((it) => it.name === name)) }
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

const underLoad = async (
  competitors: ReadonlyArray<Competitor>,
  { loads, rounds, seconds, warmups }: Settings
): Promise<ReadonlyArray<Comparison.Row>> => {
  const rows: Array<Comparison.Row> = []
  for (const load of loads) {
    const rates = Comparison.sampler(load.what, load.unit, true)
    const p50s = Comparison.sampler("  50th percentile", " µs", false)
    const p99s = Comparison.sampler("  99th percentile", " µs", false)
    const costs = Comparison.sampler("  CPU of the pair for each", " µs", false)
    for (let round = 0; round < warmups + rounds; round++) {
      for (const { children, name, port } of round % 2 === 0 ? competitors : competitors.toReversed()) {
        const before = Processes.cpuSeconds(children)
        const { count, latencies, seconds: spent } = await load.run(port, seconds)
        if (round < warmups) continue
        const scaled = count * load.scale
        rates.add(name, scaled / spent)
        costs.add(name, (Processes.cpuSeconds(children) - before) * 1e6 / scaled)
        if (latencies.length === 0) continue
        p50s.add(name, Processes.quantile(latencies, 0.5) * 1000)
        p99s.add(name, Processes.quantile(latencies, 0.99) * 1000)
      }
    }
    rows.push(
      ...[rates, p50s, p99s, costs].map(({ row }) => row).filter(({ samples }) => Object.keys(samples).length > 0)
    )
  }
  return rows
}

/** Of each, one after the other and once. Nobody is asked to collect garbage first, as not everybody can be. */
const held = async (
  competitors: ReadonlyArray<Competitor>,
  { idleConnections, seconds }: Settings
): Promise<ReadonlyArray<Comparison.Row>> => {
  const start = Comparison.sampler(`${memory} of one, at the start`, " MiB", false)
  const rest = Comparison.sampler(`${memory} of one, after new connections`, " MiB", false)
  const idle = Comparison.sampler(`${memory} of one for ${idleConnections} idle connections`, " MiB", false)
  for (const { children, name, port } of competitors) {
    const ofOne = async () => {
      await sleep(500)
      return Processes.residentMebibytes(children) / children.length
    }
    start.add(name, await ofOne())
    await Load.connections(port, 8, 2 * seconds)
    const before = await ofOne()
    rest.add(name, before)
    idle.add(name, await Load.idle(port, idleConnections, ofOne) - before)
  }
  return [start.row, rest.row, idle.row]
}

export const format = ({ missing, rows }: Result): string => {
  const columns = names.filter((name) => missing.includes(name) || rows.some(({ samples }) => name in samples))
  const found = (name: Name) => columns.includes(name) && !missing.includes(name)
  const cells = rows.map((row) => [
    row.what,
    ...columns.map((name) => missing.includes(name) ? "not found" : Comparison.formatValue(row, name))
  ])
  const beside = (["haproxy", "envoy", "consul", "node", "before", "without tunnels", "workers"] as const).filter(found)
  const ratios = rows.map((row) => {
    const best = Comparison.best(row, others)
    return [
      row.what,
      best === undefined ? "-" : `${Comparison.formatRatio(Comparison.ratio(row, "sidecars", best))} ${best}`,
      ...beside.map((other) => Comparison.formatRatio(Comparison.ratio(row, "sidecars", other)))
    ]
  })
  return [
    table([["", ...columns], ...cells]),
    table([
      ["our sidecars as a multiple of (and the least and the most of a round)", "the best of the others", ...beside],
      ...ratios
    ]),
    `Ours and node run with ${Pair.collectorFlags.join(" ") || "V8's defaults"}.`
  ].join("\n\n")
}

/** As the flags ask. */
export const main = async (flags: Flags.Flags): Promise<Comparison.Report> => {
  const settings = flags.short ? short : full
  // The load runs in this process.
  for (const flag of Pair.collectorFlags) V8.setFlagsFromString(flag)
  const result = await run({
    ...settings,
    rounds: flags.rounds ?? settings.rounds,
    competitors: flags.peer.length === 0 ? settings.competitors : names.filter((name) => flags.peer.includes(name)),
    loads: Flags.chosen(settings.loads, flags)
  }, flags.load.length === 0 || flags.load.some((text) => memory.includes(text)))
  return {
    text: format(result),
    data: {
      versions: Programs.versions(),
      seconds: settings.seconds,
      missing: result.missing,
      rows: Comparison.data(result.rows, "sidecars", others)
    }
  }
}
