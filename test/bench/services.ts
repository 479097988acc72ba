/**
 * What a further service costs in a process of sidecars: memory at rest, and the time from the start of the program until all of
 * them accept. Each figure is of a process of its own, `effect-mesh proxy` from source or as `MESH_BIN` names it, and the median of several, taken in
 * turns. Runs alone too: `node test/bench/services.ts`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { fileURLToPath } from "node:url"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Cost {
  readonly services: number
  /** MB of 10^6 bytes that are resident. */
  readonly memory: number
  /** Seconds. */
  readonly ready: number
}

export interface Options {
  /** How many services there are in a process, the smallest number first. */
  readonly counts: ReadonlyArray<number>
  readonly rounds: number
  readonly restMillis: number
}

export const full: Options = { counts: [1, 11, 51], rounds: 3, restMillis: 10_000 }

/** Each calls two others. */
const upstreamsOfEach = 2

const bin = process.env["MESH_BIN"] ?? fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

interface Service {
  readonly name: string
  readonly port: number
}

export const run = ({ counts, restMillis, rounds }: Options): Promise<ReadonlyArray<Cost>> =>
  Processes.withChildren(async (start) => {
    const address = await Processes.told<string>(start(new URL("./watches/agent.ts", import.meta.url)))
    const services = await register(address, Math.max(...counts))
    const costs = new Map<number, Array<Cost>>(counts.map((count) => [count, []]))
    for (let round = 0; round < rounds; round++) {
      for (const count of counts) {
        costs.get(count)!.push(await measure(address, services.slice(0, count), restMillis))
      }
    }
    return counts.map((services) => ({
      services,
      memory: Processes.quantile(costs.get(services)!.map(({ memory }) => memory), 0.5),
      ready: Processes.quantile(costs.get(services)!.map(({ ready }) => ready), 0.5)
    }))
  })

const register = async (address: string, count: number): Promise<ReadonlyArray<Service>> => {
  const consul = Processes.consulAt(address)
  const services: Array<Service> = []
  for (let i = 0; i < count; i++) services.push({ name: `service-${i}`, port: await Processes.freePort() })
  for (const [i, { name, port }] of services.entries()) {
    await consul.entry("service-intentions", name, { Sources: [{ Name: "service-0", Action: "allow" }] })
    const upstreams: Array<object> = []
    for (let next = 1; next <= upstreamsOfEach; next++) {
      const { name } = services[(i + next) % count]!
      upstreams.push({ DestinationName: name, LocalBindPort: await Processes.freePort() })
    }
    await consul.ask("PUT", "/v1/agent/service/register", {
      Name: name,
      Port: 1,
      Connect: { SidecarService: { Port: port, Proxy: { Upstreams: upstreams } } }
    })
  }
  return services
}

const measure = async (address: string, services: ReadonlyArray<Service>, restMillis: number): Promise<Cost> => {
  const since = Processes.clock()
  const args = services.flatMap(({ name }) => ["--sidecar-for", name])
  const child = spawn(process.execPath, [bin, "proxy", "--http-addr", address, ...args], { stdio: "ignore" })
  try {
    await Promise.all(services.map(({ port }) => Processes.accepts(port, 120)))
    const ready = (Processes.clock() - since) / 1000
    await sleep(restMillis)
    return { services: services.length, memory: resident(child), ready }
  } finally {
    await ended(child)
  }
}

const resident = ({ pid }: ChildProcess): number => {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]
  return Number(kilobytes) * 1024 / 1e6
}

const ended = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => {
    child.once("exit", resolve)
    child.kill()
  })

export const format = (costs: ReadonlyArray<Cost>): string => {
  const [one] = costs
  const further = ({ memory, services }: Cost) => (memory - one!.memory) / (services - one!.services)
  return table([
    ["services", "MB at rest", "MB for each further one", "of the first", "seconds to ready", "of the first"],
    ...costs.map((cost) => [
      String(cost.services),
      cost.memory.toFixed(0),
      cost === one ? "" : further(cost).toFixed(2),
      cost === one ? "" : (further(cost) / one!.memory).toFixed(3),
      cost.ready.toFixed(2),
      (cost.ready / one!.ready).toFixed(2)
    ])
  ])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run(full))}\n`)
}
