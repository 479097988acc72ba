/**
 * HTTP through pairs of proxies side by side, on loopback: application ◀─ inbound ◀═ mutual TLS ═ outbound ◀─ load. Ours are two
 * `effect-mesh proxy` under the development agent, for services of protocol http. Beside them: Envoy as Consul configures it, with HTTP/1.1
 * and with HTTP/2 between, HAProxy in mode http, and plain `node:http`; and the application without any. Each proxy, the load and the
 * application are processes of their own, and a proxy has one worker. Rounds of the competitors alternate; ratios are of rounds, with their
 * spread.
 *
 * Envoy and HAProxy are used where they are found: `ENVOY_BIN`, `HAPROXY_BIN`, or on the PATH. `MESH_BIN` names another executable of ours, such
 * as `dist/cli/bin.js`: Node needs some 40 MiB a side to read TypeScript. `BEFORE_BIN` names one for a further column, to see in one run what
 * a change does. On a machine that does other work, trust the CPU for each request before the requests per second.
 *
 * `--quick` takes two minutes instead of seven, `--short` only sees that everything works. `--load` and `--peer` choose, `--json FILE` writes
 * everything that was measured. `--peer workers` is our pair with a worker for each core, which is not asked for otherwise. `--profile` profiles our sidecars under each load instead: how to read that is said in `http/profile.ts`.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Schema } from "effect"
import * as Comparison from "./comparison.ts"
import * as Flags from "./flags.ts"
import type * as Load from "./http/load.ts"
import * as Profile from "./http/profile.ts"
import * as Proxies from "./http/proxies.ts"
import * as Processes from "./processes.ts"
import * as Programs from "./programs.ts"
import * as Pair from "./relay/Pair.ts"
import { table } from "./table.ts"

/** What the application has to see of our pair: below layer 7 proxies add nothing to a request. */
const expectedLayer: Layer = 7

export type Layer = 4 | 7

export interface Settings {
  readonly rounds: number
  /** Rounds that do not count, with `warmConnections` at least: Node compiles what has run often, not what has run long. */
  readonly warmups: number
  /** Of each load in a round. */
  readonly seconds: number
  /** Loads with more connections have this many. */
  readonly mostConnections: number
  readonly competitors: ReadonlyArray<Name>
  readonly loads: typeof loads
}

export interface Result {
  readonly rows: ReadonlyArray<Comparison.Row>
  readonly found: ReadonlyArray<Name>
  readonly missing: ReadonlyArray<Name>
  /** What the application saw that the load did not send, by competitor. */
  readonly added: Readonly<Record<string, ReadonlyArray<string>>>
}

const starts = {
  direct: (mesh: Proxies.Mesh) => Promise.resolve({ port: mesh.application, children: [] }),
  sidecars: Proxies.sidecars({ bin: process.env["MESH_BIN"] }),
  workers: Proxies.sidecars({ bin: process.env["MESH_BIN"], suffix: "-workers", args: ["--workers", "auto"] }),
  before: (mesh) => {
    const bin = process.env["BEFORE_BIN"]
    return bin === undefined ? Promise.resolve(undefined) : Proxies.sidecars({ bin, suffix: "-before" })(mesh)
  },
  "envoy, http/1.1": Proxies.envoy("http/1.1"),
  "envoy, h2": Proxies.envoy("h2"),
  haproxy: Proxies.haproxy,
  node: Proxies.node
} satisfies Record<string, Proxies.Start>

export type Name = keyof typeof starts

const names = Object.keys(starts) as ReadonlyArray<Name>

const loads: ReadonlyArray<{ readonly what: string; readonly kind: Load.Kind; readonly connections: number }> = [
  { what: "small requests, 1 kept connection", kind: "small", connections: 1 },
  { what: "small requests, 32 kept connections", kind: "small", connections: 32 },
  { what: "small requests, 256 kept connections", kind: "small", connections: 256 },
  { what: "answers of 64 KiB, 32 kept connections", kind: "answer", connections: 32 },
  { what: "requests of 64 KiB, 32 kept connections", kind: "upload", connections: 32 },
  { what: "a new connection for each, 16 at a time", kind: "new", connections: 16 }
]

const warmConnections = 32

const full: Settings = {
  rounds: 5,
  warmups: 5,
  seconds: 1.5,
  mostConnections: 256,
  competitors: names.filter((name) =>
    name !== "workers" && (name !== "before" || process.env["BEFORE_BIN"] !== undefined)
  ),
  loads
}

const quick: Settings = { ...full, rounds: 3, seconds: 0.7 }

/** Says only that everything works. */
export const short: Settings = {
  rounds: 1,
  warmups: 0,
  seconds: 0.05,
  mostConnections: 8,
  competitors: ["direct", "sidecars", "node"],
  loads
}

interface Competitor extends Proxies.Proxies {
  readonly name: Name
}

/** Calls `started` once the clock runs. */
type Run = (run: Load.Run, started?: () => void) => Promise<Load.Ran>

const runWith = (load: ChildProcess): Run => (run, started = () => {}) =>
  new Promise((resolve, reject) => {
    const settle = (error: Error | undefined, ran?: Load.Ran) => {
      load.off("message", told)
      load.off("exit", gone)
      if (error === undefined && ran !== undefined) resolve(ran)
      else reject(error)
    }
    const gone = () => settle(new Error("the process of the load has ended"))
    const told = (message: Load.Started | Load.Ran | Load.Failed) => {
      if (message === "started") return started()
      if ("failed" in message) return settle(new Error(`${run.kind} to port ${run.port}: ${message.failed}`))
      settle(undefined, message)
    }
    load.on("message", told)
    load.on("exit", gone)
    load.send(run)
  })

/** A mesh and the process of the load, for as long as `use` takes. */
const withMesh = async <A>(use: (mesh: Proxies.Mesh, run: Run) => Promise<A>) => {
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children: Array<ChildProcess> = []
  const keep: Proxies.Keep = (child) => {
    children.push(child)
    return child
  }
  try {
    const mesh = await Proxies.mesh(folder, keep, "http")
    const load = keep(fork(new URL("./http/load.ts", import.meta.url), { execArgv: [...Pair.collectorFlags] }))
    return await use(mesh, runWith(load))
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

export const run = (settings: Settings = full): Promise<Result> =>
  withMesh(async (mesh, run) => {
    const competitors: Array<Competitor> = []
    const added: Record<string, ReadonlyArray<string>> = {}
    for (const name of settings.competitors) {
      const proxies = await starts[name](mesh)
      if (proxies === undefined) continue
      competitors.push({ name, ...proxies })
      added[name] = await seen(proxies.port)
    }
    if (settings.competitors.includes("sidecars") && layerOf(added["sidecars"]!) < expectedLayer) {
      throw new Error(`our sidecars work at layer 4: the application saw only ${added["sidecars"]!.join(", ")}`)
    }
    const rest = memory("memory of one, at rest", competitors)
    const measured = await underLoad(competitors, settings, run)
    const found = competitors.map(({ name }) => name)
    return {
      rows: [...measured, rest, memory("memory of one, after load", competitors)],
      found,
      missing: settings.competitors.filter((name) => !found.includes(name)),
      added
    }
  })

const underLoad = async (
  competitors: ReadonlyArray<Competitor>,
  { loads, mostConnections, rounds, seconds, warmups }: Settings,
  run: Run
): Promise<ReadonlyArray<Comparison.Row>> => {
  const rows: Array<Comparison.Row> = []
  for (const { connections, kind, what } of loads) {
    const rates = Comparison.sampler(what, "/s", true)
    const p50s = Comparison.sampler("  50th percentile", " µs", false)
    const p99s = Comparison.sampler("  99th percentile", " µs", false)
    const costs = Comparison.sampler("  CPU of the pair for each", " µs", false)
    for (let round = 0; round < warmups + rounds; round++) {
      for (const { children, name, port } of round % 2 === 0 ? competitors : competitors.toReversed()) {
        let before = 0
        const asked = round < warmups ? Math.max(connections, warmConnections) : connections
        const load = { port, kind, connections: Math.min(asked, mostConnections), seconds }
        // Without the handshakes of kept connections.
        const ran = await run(load, () => (before = Processes.cpuSeconds(children)))
        if (round < warmups) continue
        rates.add(name, ran.count / ran.seconds)
        p50s.add(name, ran.p50 * 1000)
        p99s.add(name, ran.p99 * 1000)
        if (children.length > 0) costs.add(name, (Processes.cpuSeconds(children) - before) * 1e6 / ran.count)
      }
    }
    rows.push(...[rates, p50s, p99s, costs].map(({ row }) => row))
  }
  return rows
}

/** Nobody is asked to collect garbage first, as not everybody can be. */
const memory = (what: string, competitors: ReadonlyArray<Competitor>): Comparison.Row => {
  const { add, row } = Comparison.sampler(what, " MiB", false)
  for (const { children, name } of competitors) {
    if (children.length > 0) add(name, Processes.residentMebibytes(children) / children.length)
  }
  return row
}

const Lines = Schema.Array(Schema.String)

/** Names of the headers that the application sees and `fetch` does not send. Instances may not be known yet. */
const seen = async (port: number): Promise<ReadonlyArray<string>> => {
  const deadline = Processes.clock() + 30_000
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/seen`, { headers: { connection: "close" } }).catch(() =>
      undefined
    )
    if (answer?.status === 200) {
      const [, ...lines] = Schema.decodeUnknownSync(Lines)(await answer.json())
      const sent = new Set([
        "host",
        "connection",
        "accept",
        "accept-language",
        "accept-encoding",
        "sec-fetch-mode",
        "user-agent"
      ])
      return lines.map((line) => line.slice(0, line.indexOf(":")).toLowerCase()).filter((name) => !sent.has(name))
    }
    if (Processes.clock() > deadline) throw new Error(`no answer through port ${port}`)
    await sleep(100)
  }
}

const layerOf = (added: ReadonlyArray<string>): Layer =>
  added.includes("x-request-id") && added.includes("x-forwarded-client-cert") ? 7 : 4

/** Whom our pair is measured by. */
const others: ReadonlyArray<Name> = ["envoy, http/1.1", "envoy, h2", "haproxy"]

export const format = ({ added, found, missing, rows }: Result): string => {
  const columns = names.filter((name) => found.includes(name) || missing.includes(name))
  const cells = rows.map((row) => [
    row.what,
    ...columns.map((name) => missing.includes(name) ? "not found" : Comparison.formatValue(row, name))
  ])
  const beside = [...others, "before" as const, "workers" as const].filter((name) => found.includes(name))
  const layer = layerOf(added["sidecars"] ?? [])
  return [
    table([["", ...columns], ...cells]),
    ...(found.includes("sidecars") && beside.length > 0
      ? [table([
        ["our sidecars as a multiple of (and the least and the most of a round)", ...beside],
        ...rows.map((row) => [
          row.what,
          ...beside.map((other) => Comparison.formatRatio(Comparison.ratio(row, "sidecars", other)))
        ])
      ])]
      : []),
    [
      "What the application sees that was not sent:",
      ...found.map((name) => `  ${name}: ${added[name]?.join(", ") || "nothing"}`)
    ].join("\n"),
    ...(found.includes("sidecars")
      ? [
        layer === 7
          ? "Our sidecars work at layer 7."
          : "OUR SIDECARS WORK AT LAYER 4: they relay bytes, where the others read requests. The columns do not compare."
      ]
      : []),
    ...(layer > expectedLayer ? [`Hold them to it: expectedLayer in test/bench/http.ts.`] : [])
  ].join("\n\n")
}

/** Where the time of our sidecars goes, load by load. The profiles stay in the folder. */
export const profile = (seconds = 5): Promise<string> =>
  withMesh(async (mesh, run) => {
    const folder = mkdtempSync(join(tmpdir(), "effect-mesh-profile-"))
    const texts: Array<string> = []
    for (const { connections, kind, what } of loads) {
      const file = (role: Pair.Side["role"]) => `${kind}-${connections}-${role}.cpuprofile`
      const flags = (
        role: Pair.Side["role"]
      ) => ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${file(role)}`]
      const { children, port } = await Proxies.sidecars({ bin: process.env["MESH_BIN"], flags })(mesh)
      await seen(port)
      await run({ port, kind, connections, seconds: 2 })
      const from = Processes.clock()
      const { count } = await run({ port, kind, connections, seconds })
      const window = { from, until: Processes.clock() }
      // In turn, lest a sidecar takes the end of the other one for a fault of its connections.
      for (const child of children.toReversed()) {
        const ended = once(child, "exit")
        child.kill("SIGTERM")
        await ended
      }
      for (const role of ["outbound", "inbound"] as const) {
        const summary = Profile.summarize(Profile.read(join(folder, file(role))), window)
        texts.push(Profile.format(`${what}, ${role}, ${(count / seconds).toFixed(0)}/s`, summary))
      }
    }
    return [...texts, `The profiles are in ${folder}. How to read them: test/bench/http/profile.ts.`].join("\n\n")
  })

/** As the flags ask. */
export const main = async (flags: Flags.Flags): Promise<Comparison.Report | string> => {
  if (flags.profile) return profile()
  const settings = flags.short ? short : flags.quick ? quick : full
  const result = await run({
    ...settings,
    rounds: flags.rounds ?? settings.rounds,
    competitors: flags.peer.length === 0 ? settings.competitors : names.filter((name) => flags.peer.includes(name)),
    loads: Flags.chosen(settings.loads, flags)
  })
  return {
    text: format(result),
    data: {
      versions: Programs.versions(),
      seconds: settings.seconds,
      missing: result.missing,
      added: result.added,
      rows: Comparison.data(result.rows, "sidecars", others)
    }
  }
}
