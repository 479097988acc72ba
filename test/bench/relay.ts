/**
 * Pairs of relays side by side, on loopback: application ◀─ inbound ◀═ mutual TLS ═ outbound ◀─ load. Ours with tunnels and without,
 * plain `node:tls`/`node:net` with the same garbage collection and with V8's own, and HAProxy and Envoy where they are found: `HAPROXY_BIN`,
 * `ENVOY_BIN`, or on the PATH. Rounds of the competitors alternate, medians count. Runs alone too: `node test/bench/relay.ts`.
 */
import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import { ciphers } from "../../src/tls/SecureContexts.ts"
import { issue, root, service } from "../support/certificates.ts"
import { accepts, cpuSeconds, freePort, medians, told } from "./processes.ts"
import * as Envoy from "./http/envoy.ts"
import * as Haproxy from "./relay/haproxy.ts"
import * as Load from "./relay/load.ts"
import * as Pair from "./relay/Pair.ts"
import { table } from "./table.ts"

interface Competitor {
  readonly name: string
  readonly port: number
  readonly children: ReadonlyArray<ChildProcess>
}

export interface Row {
  readonly what: string
  readonly unit: string
  /** Whether more is better. */
  readonly more: boolean
  /** By competitor. */
  readonly values: Readonly<Record<string, number>>
}

const rounds = 5
const seconds = 1.5
const idleConnections = 1000

const loads: ReadonlyArray<{
  readonly what: string
  readonly unit: string
  readonly scale: number
  readonly run: (port: number) => Promise<Load.Result>
}> = [
  ...[1, 32, 256].map((connections) => ({
    what: `small requests, ${connections} kept connection${connections === 1 ? "" : "s"}`,
    unit: "/s",
    scale: 1,
    run: (port: number) => Load.requests(port, connections, seconds)
  })),
  { what: "new connections, 8 at a time", unit: "/s", scale: 1, run: (port) => Load.connections(port, 8, seconds) },
  { what: "bulk, 4 connections", unit: " MiB/s", scale: 1 / 1_048_576, run: (port) => Load.bulk(port, 4, seconds) }
]

export const run = async (): Promise<ReadonlyArray<Row>> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children: Array<ChildProcess> = []
  try {
    const application = fork(file("application.ts"))
    children.push(application)
    const target = (await told<Pair.Listening>(application)).port
    const sides = await certificates()
    const competitors: Array<Competitor> = []
    for (const start of [ours, apart, raw, rawByDefault, haproxy, envoy]) {
      const competitor = await start(sides, target, folder)
      if (competitor === undefined) continue
      children.push(...competitor.children)
      competitors.push(competitor)
    }
    return [...await memory(competitors), ...await underLoad(competitors)]
  } finally {
    for (const child of children) child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

export const format = (rows: ReadonlyArray<Row>): string => {
  const names = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))]
  const others = ["node", "haproxy", "envoy"].filter((name) => names.includes(name))
  const cells = rows.map((row) => [
    row.what,
    ...names.map((name) => {
      const value = row.values[name]
      return value === undefined ? "-" : `${value.toFixed(value < 100 ? 1 : 0)}${row.unit}`
    }),
    ...others.map((other) => ratio(row, other))
  ])
  const lines = table([["", ...names, ...others.map((other) => `sidecar / ${other}`)], ...cells])
  return `${lines}\n\nsidecar and node run with ${Pair.collectorFlags.join(" ") || "V8's defaults"}.`
}

const ratio = ({ values }: Row, name: string): string => {
  const [mine, other] = [values["sidecar"], values[name]]
  return mine === undefined || other === undefined || other <= 0 ? "-" : (mine / other).toFixed(2)
}

const underLoad = async (competitors: ReadonlyArray<Competitor>): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const load of loads) {
    const rates = new Map<string, Array<number>>()
    const costs = new Map<string, Array<number>>()
    const tails = new Map<string, Array<number>>()
    for (let round = 0; round < rounds; round++) {
      for (const { children, name, port } of round % 2 === 0 ? competitors : competitors.toReversed()) {
        const before = cpuSeconds(children)
        const { count, latencies, seconds } = await load.run(port)
        const scaled = count * load.scale
        add(rates, name, scaled / seconds)
        add(costs, name, (cpuSeconds(children) - before) * 1e6 / scaled)
        if (latencies.length > 0) {
          const sorted = latencies.toSorted((a, b) => a - b)
          add(tails, name, sorted[Math.floor(sorted.length * 0.99)]! * 1000)
        }
      }
    }
    rows.push({ what: load.what, unit: load.unit, more: true, values: medians(rates) })
    rows.push({ what: "  CPU of the pair for each", unit: " µs", more: false, values: medians(costs) })
    if (tails.size > 0) rows.push({ what: "  99th percentile", unit: " µs", more: false, values: medians(tails) })
  }
  return rows
}

const memory = async (competitors: ReadonlyArray<Competitor>): Promise<ReadonlyArray<Row>> => {
  const start: Record<string, number> = {}
  const rest: Record<string, number> = {}
  const held: Record<string, number> = {}
  for (const { children, name, port } of competitors) {
    start[name] = await residentMebibytes(children)
    await Load.connections(port, 8, 2 * seconds)
    rest[name] = await residentMebibytes(children)
    const full = await Load.idle(port, idleConnections, () => residentMebibytes(children))
    held[name] = full - rest[name]
  }
  return [
    { what: "memory at the start, both sides", unit: " MiB", more: false, values: start },
    { what: "memory at rest, after some load, both sides", unit: " MiB", more: false, values: rest },
    { what: "memory of 1,000 idle connections, both sides", unit: " MiB", more: false, values: held }
  ]
}

type Sides = Readonly<Record<Pair.Side["role"], Omit<Pair.Side, "role" | "target">>>

const certificates = async (): Promise<Sides> => {
  const ca = await root("bench")
  const side = async (name: string) => {
    const { chainPem, keyPem } = await issue(ca, { uris: [SpiffeId.format(service(name))] })
    return { chainPem, keyPem, rootPem: ca.pem, ciphers }
  }
  return { inbound: await side("api"), outbound: await side("web") }
}

const nodePair =
  (name: string, script: string, flags: ReadonlyArray<string> = [], args: ReadonlyArray<string> = []) =>
  async (sides: Sides, target: number): Promise<Competitor> => {
    const start = async (role: Pair.Side["role"], to: number) => {
      const child = fork(file(script), args, { execArgv: ["--expose-gc", ...flags] })
      child.send({ ...sides[role], role, target: to } satisfies Pair.Side)
      return { child, port: (await told<Pair.Listening>(child)).port }
    }
    const inbound = await start("inbound", target)
    const outbound = await start("outbound", inbound.port)
    return { name, port: outbound.port, children: [inbound.child, outbound.child] }
  }

const ours = nodePair("sidecar", "sidecar.ts", [], ["tunnels"])
const apart = nodePair("sidecar, no tunnels", "sidecar.ts")
const raw = nodePair("node", "raw.ts", Pair.collectorFlags)
const rawByDefault = nodePair("node, V8's defaults", "raw.ts")

/** A program that is started once for each side, from files that `prepare` writes for it. */
const program = (
  name: string,
  version: string,
  prepare: (
    of: { readonly role: Pair.Side["role"]; readonly side: Pair.Side; readonly port: number; readonly path: string }
  ) => ReadonlyArray<string>
) =>
async (sides: Sides, target: number, folder: string): Promise<Competitor | undefined> => {
  const bin = process.env[`${name.toUpperCase()}_BIN`] ?? name
  if (spawnSync(bin, [version]).error !== undefined) {
    process.stderr.write(`${name} is not found, hence not compared: set ${name.toUpperCase()}_BIN\n`)
    return undefined
  }
  const start = async (role: Pair.Side["role"], to: number) => {
    const port = await freePort()
    const args = prepare({
      role,
      side: { ...sides[role], role, target: to },
      port,
      path: join(folder, `${name}-${role}`)
    })
    const child = spawn(bin, [...args], { stdio: ["ignore", "ignore", "inherit"] })
    await accepts(port, 20)
    return { child, port }
  }
  const inbound = await start("inbound", target)
  const outbound = await start("outbound", inbound.port)
  return { name, port: outbound.port, children: [inbound.child, outbound.child] }
}

const haproxy = program("haproxy", "-v", ({ path, port, role, side }) => {
  const files = { pem: `${path}.pem`, ca: `${path}-ca.pem` }
  writeFileSync(files.pem, side.chainPem + side.keyPem)
  writeFileSync(files.ca, side.rootPem)
  writeFileSync(`${path}.cfg`, Haproxy.config(role, files, { port, target: side.target }))
  return ["-db", "-q", "-f", `${path}.cfg`]
})

const envoy = program("envoy", "--version", ({ path, port, side }) => {
  writeFileSync(`${path}.json`, Envoy.tcpConfig(side, port, SpiffeId.format(service("api"))))
  return Envoy.args(`${path}.json`)
})

const file = (name: string): string => new URL(`./relay/${name}`, import.meta.url).pathname

const residentMebibytes = async (children: ReadonlyArray<ChildProcess>): Promise<number> => {
  for (const child of children) {
    if (child.send === undefined || !child.connected) continue
    for (let times = 0; times < 2; times++) {
      const collected = told(child)
      child.send("gc")
      await collected
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  return children.reduce((sum, { pid }) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
  }, 0)
}

const add = (map: Map<string, Array<number>>, name: string, value: number) =>
  map.set(name, [...map.get(name) ?? [], value])

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
