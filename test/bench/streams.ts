/**
 * Many streams in one tunnel: 10,000 connections of an application through two sidecars, what one costs, how soon a few of another
 * caller are cut that is denied beside them, and how soon all of them are. Each program is a process of its own, under the development agent.
 * Connections have a socket on the side of either application, which counts. `MESH_BIN` is as in `http.ts`.
 */
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import type * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as Proxies from "./http/proxies.ts"
import * as Processes from "./processes.ts"
import * as Load from "./relay/load.ts"
import { table } from "./table.ts"

export interface Settings {
  /** Of the caller that has many. */
  readonly streams: number
  /** Of another one beside it. */
  readonly others: number
}

export const full: Settings = { streams: 10_000, others: 100 }

export interface Result extends Settings {
  /** TLS connections of the callee that carry them. */
  readonly connections: number
  readonly opensPerSecond: number
  /** Of all three sidecars, for each stream. */
  readonly cpuMicrosOfOne: number
  /** Of the sidecar of the caller, and of the callee, for each stream. */
  readonly callerKibibytes: number
  readonly calleeKibibytes: number
  /** One message on each, all at once, until the last one is answered. */
  readonly roundMillis: number
  /** Once the other caller is denied. */
  readonly few: Cut
  /** Streams of the one that has many that answer afterwards. */
  readonly untouched: number
  /** Once that one is denied, too. */
  readonly all: Cut
}

export interface Cut {
  readonly count: number
  /** From telling the agent, until the caller's application has seen the end of the first one, the middle one and the last one. */
  readonly millis: readonly [first: number, median: number, last: number]
}

export const run = async (settings: Settings = full): Promise<Result> => {
  const { streams } = settings
  const folder = mkdtempSync(join(tmpdir(), "effect-mesh-bench-"))
  const children: Array<ChildProcess> = []
  const keep: Proxies.Keep = (child) => {
    children.push(child)
    return child
  }
  try {
    const mesh = await Proxies.mesh(folder, keep, "tcp")
    const consul = Processes.consulAt(mesh.agent)
    const ports = { web: await Processes.freePort(), shop: await Processes.freePort() }
    const publicPort = await Proxies.register(consul, "api", "tcp", { Port: mesh.application }, {})
    for (const [name, LocalBindPort] of Object.entries(ports)) {
      await Proxies.register(consul, name, "tcp", {}, { Upstreams: [{ DestinationName: "api", LocalBindPort }] })
    }
    const permit = (web: "allow" | "deny", shop: "allow" | "deny") =>
      consul.entry("service-intentions", "api", {
        Sources: [{ Name: "web", Action: web }, { Name: "shop", Action: shop }]
      })
    await permit("allow", "allow")
    const [api, web, shop] = ["api", "web", "shop"].map((service) =>
      Proxies.sidecar(mesh, service, { bin: process.env["MESH_BIN"] })
    )
    const sidecars = [api!, web!, shop!]
    for (const port of Object.values(ports)) {
      await Processes.accepts(port, 60)
      await Load.answers(port)
    }
    // Node compiles, and the heap grows to its usual size.
    await Load.connections(ports.web, 32, 3)
    await sleep(1000)

    const others = await Load.opened(ports.shop, settings.others)
    const resident = () => [web!, api!].map((child) => Processes.residentMebibytes([child]))
    const before = resident()
    const cpuBefore = Processes.cpuSeconds(sidecars)
    const started = performance.now()
    const sockets = await Load.opened(ports.web, streams)
    const opening = (performance.now() - started) / 1000
    const cpu = Processes.cpuSeconds(sidecars) - cpuBefore
    await sleep(1000)
    const [caller, callee] = resident().map((now, side) => (now - before[side]!) * 1024 / streams)
    const connections = connectionsTo(api!, publicPort)

    const round = performance.now()
    await Promise.all(sockets.map(Load.echo))
    const roundMillis = performance.now() - round

    const few = await cut(others, () => permit("allow", "deny"))
    const untouched = (await Promise.all(sockets.map(Load.echo))).length
    const all = await cut(sockets, () => permit("deny", "deny"))
    return {
      ...settings,
      connections,
      opensPerSecond: streams / opening,
      cpuMicrosOfOne: cpu * 1e6 / streams,
      callerKibibytes: caller!,
      calleeKibibytes: callee!,
      roundMillis,
      few,
      untouched,
      all
    }
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Denies, and sees how connections end. */
const cut = async (sockets: ReadonlyArray<Net.Socket>, deny: () => Promise<unknown>): Promise<Cut> => {
  const ends: Array<number> = []
  let denied = 0
  const closed = Promise.all(sockets.map((socket) =>
    new Promise<void>((resolve) =>
      socket.once("close", () => {
        ends.push(performance.now() - denied)
        resolve()
      })
    )
  ))
  denied = performance.now()
  await deny()
  await Promise.race([closed, sleep(30_000, undefined, { ref: false })])
  const at = (share: number) => ends.length === 0 ? NaN : Processes.quantile(ends, share)
  return { count: ends.length, millis: [at(0), at(0.5), at(1)] }
}

const formatCut = ({ count, millis: [first, middle, last] }: Cut): string =>
  `${count} cut: the first after ${first.toFixed(0)} ms, half after ${middle.toFixed(0)} ms, the last after ${
    last.toFixed(0)
  } ms`

/** Of TLS: what the callee's sidecar has established on the port that it listens on, for callers from this machine. */
const connectionsTo = (sidecar: ChildProcess, port: number): number => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const established = "01"
  return readFileSync(`/proc/${sidecar.pid}/net/tcp`, "utf8").split("\n").filter((line) => {
    const [, local, , state] = line.trim().split(/\s+/)
    return local?.endsWith(`:${hex}`) === true && state === established
  }).length
}

export const format = (result: Result): string => {
  return table([
    ["streams", String(result.streams)],
    ["connections of TLS that carry them, and the other caller's", String(result.connections)],
    ["opened", `${result.opensPerSecond.toFixed(0)}/s`],
    ["CPU of the sidecars for opening one", `${result.cpuMicrosOfOne.toFixed(0)} µs`],
    ["memory of one in the caller's sidecar", `${result.callerKibibytes.toFixed(1)} KiB`],
    ["memory of one in the callee's sidecar", `${result.calleeKibibytes.toFixed(1)} KiB`],
    ["a message on each at once, until the last answer", `${result.roundMillis.toFixed(0)} ms`],
    [`denied: the other caller, of ${result.others}`, formatCut(result.few)],
    ["streams that answer afterwards", `${result.untouched} of ${result.streams}`],
    ["denied: the caller of all of them", formatCut(result.all)]
  ])
}
