/**
 * From the start of a sidecar until it accepts callers, and what it holds at rest: ours as it is packed, Consul's built-in proxy under the same
 * development agent, and Envoy with a static configuration like Consul's, so without waiting for anybody. In turns, each round a new process.
 *
 * What ours has compiled is kept from a start before, as anywhere but where it never ran; `NODE_DISABLE_COMPILE_CACHE=1` shows its first start.
 *
 * Envoy and the built-in proxy are used where they are found: `ENVOY_BIN`, `CONSUL_BIN`, or on the PATH. Ours is `dist/cli/bin.js` (`npm run build`),
 * or what `MESH_BIN` names; `BEFORE_BIN` names one more. Runs alone too: `node test/bench/start.ts`.
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { fileURLToPath } from "node:url"
import * as Comparison from "./comparison.ts"
import * as Flags from "./flags.ts"
import * as Proxies from "./http/proxies.ts"
import * as Processes from "./processes.ts"
import * as Programs from "./programs.ts"
import { table } from "./table.ts"

const subject = "sidecar"

export interface Settings {
  readonly rounds: number
  /** Until it counts as being at rest. */
  readonly restMillis: number
}

const full: Settings = { rounds: 5, restMillis: 10_000 }

/** Says only that everything works. */
export const short: Settings = { rounds: 1, restMillis: 100 }

interface Competitor {
  readonly name: string
  readonly port: number
  readonly start: () => ChildProcess
  /** Keeps something for the next time. */
  readonly learns?: true
}

/** `bin`: the executable to look at. */
export const run = async (
  bin: string,
  { restMillis, rounds }: Settings = full
): Promise<ReadonlyArray<Comparison.Row>> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children = new Set<ChildProcess>()
  const keep: Proxies.Keep = (child) => {
    children.add(child)
    return child
  }
  try {
    const mesh = await Proxies.mesh(folder, keep, "tcp")
    const ready = Comparison.sampler("from the start until it accepts", " ms", false)
    const processor = Comparison.sampler("CPU until then", " ms", false)
    const memory = Comparison.sampler("memory at rest", " MB", false)
    const own = Comparison.sampler("  of it not backed by a file", " MB", false)
    const competitors = await all(mesh, bin)
    for (const { learns, port, start } of competitors) {
      if (learns === undefined) continue
      const child = keep(start())
      await open(port, child)
      await ended(child, "SIGTERM")
      children.delete(child)
    }
    for (let round = 0; round < rounds; round++) {
      for (const { name, port, start } of round % 2 === 0 ? competitors : competitors.toReversed()) {
        const since = Processes.clock()
        const child = keep(start())
        await open(port, child)
        ready.add(name, Processes.clock() - since)
        processor.add(name, Processes.cpuSeconds([child]) * 1000)
        await sleep(restMillis)
        memory.add(name, megabytes(child, "VmRSS"))
        own.add(name, megabytes(child, "RssAnon"))
        await ended(child)
        children.delete(child)
      }
    }
    return [ready.row, processor.row, memory.row, own.row]
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

const all = async (mesh: Proxies.Mesh, bin: string): Promise<ReadonlyArray<Competitor>> => {
  const ours = async (name: string, executable: string): Promise<Competitor> => {
    const { port, service } = await registered(mesh, name)
    const args = [executable, "proxy", "--sidecar-for", service, "--http-addr", mesh.agent, "--log-level", "error"]
    const env = { ...process.env, XDG_CACHE_HOME: mesh.folder }
    return { name, port, start: () => spawn(process.execPath, args, { ...quiet, env }), learns: true }
  }
  const before = process.env["BEFORE_BIN"]
  const [envoy, consul] = [await envoyFor(mesh), await consulFor(mesh)]
  return [
    await ours(subject, bin),
    ...(before === undefined ? [] : [await ours("before", before)]),
    ...(envoy === undefined ? [] : [envoy]),
    ...(consul === undefined ? [] : [consul])
  ]
}

const quiet: SpawnOptions = { stdio: ["ignore", "ignore", "inherit"] }

const consulFor = async (mesh: Proxies.Mesh): Promise<Competitor | undefined> => {
  const program = Programs.find("consul")
  if (program === undefined) return undefined
  const { port, service } = await registered(mesh, "built-in")
  const args = ["connect", "proxy", "-sidecar-for", service, "-http-addr", mesh.agent, "-log-level", "error"]
  return { name: "built-in proxy", port, start: () => spawn(program.path, args, quiet) }
}

const envoyFor = async (mesh: Proxies.Mesh): Promise<Competitor | undefined> => {
  const program = Programs.find("envoy")
  if (program === undefined) return undefined
  const port = await Processes.freePort()
  const side = { ...mesh.sides.inbound, role: "inbound", target: mesh.application } as const
  const args = Proxies.envoyArgs(mesh, side, { between: "h2", port })
  return { name: "envoy", port, start: () => spawn(program.path, [...args], quiet) }
}

/** A service of its own, with one upstream. */
const registered = async (mesh: Proxies.Mesh, name: string) => {
  const service = `start-${name}`
  const port = await Processes.freePort()
  await Processes.consulAt(mesh.agent).ask("PUT", "/v1/agent/service/register", {
    Name: service,
    Address: "127.0.0.1",
    Port: mesh.application,
    Connect: {
      SidecarService: {
        Port: port,
        Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: await Processes.freePort() }] },
        Checks: [{ Name: "given", TTL: "24h", Status: "passing" }]
      }
    }
  })
  return { port, service }
}

/** Waits, with little work, until somebody accepts there. */
const open = async (port: number, child: ChildProcess): Promise<void> => {
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = Net.connect({ host: "127.0.0.1", port })
      socket.once("connect", () => resolve((socket.destroy(), true)))
      socket.once("error", () => resolve(false))
    })
    if (accepted) return
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(" ")} ended with ${child.exitCode}`)
    await sleep(4)
  }
}

const megabytes = ({ pid }: ChildProcess, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024 / 1e6

const ended = (child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<unknown> =>
  new Promise((resolve) => {
    child.once("exit", resolve)
    child.kill(signal)
  })

export const format = (rows: ReadonlyArray<Comparison.Row>): string => {
  const names = Object.keys(rows[0]!.samples)
  const others = names.filter((name) => name !== subject)
  return table([
    ["", ...names, ...others.map((name) => `${subject} / ${name}`)],
    ...rows.map((row) => [
      row.what,
      ...names.map((name) => Comparison.formatValue(row, name)),
      ...others.map((name) => Comparison.formatRatio(Comparison.ratio(row, subject, name)))
    ])
  ])
}

/** As the flags ask. */
export const main = async (flags: Flags.Flags): Promise<Comparison.Report> => {
  const bin = process.env["MESH_BIN"] ?? fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url))
  if (!existsSync(bin)) throw new Error(`${bin} is not there: npm run build makes it`)
  const settings = flags.short ? short : full
  const rows = await run(bin, { ...settings, rounds: flags.rounds ?? settings.rounds })
  const others = Object.keys(rows[0]!.samples).filter((name) => name !== subject)
  return { text: format(rows), data: { rows: Comparison.data(rows, subject, others) } }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${(await main(Flags.parse(process.argv.slice(2)))).text}\n`)
}
