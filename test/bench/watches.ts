/**
 * How soon a service hears that a caller is no longer allowed, where 200 services of one process watch one agent: from the
 * write of the intention, as it is sent, until the caller sees its connection end. One after the other, then all at once by
 * one wildcard. Agent, services and caller are processes of their own; with CONSUL_HTTP_ADDR it is that agent.
 * Runs alone too: `node test/bench/watches.ts`.
 */
import type { ChildProcess } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"
import type * as Callers from "./watches/callers.ts"
import type * as Services from "./watches/services.ts"

export interface Result {
  readonly services: number
  /** Milliseconds. */
  readonly oneByOne: ReadonlyArray<number>
  readonly together: ReadonlyArray<number>
  /** While they started, and since then. */
  readonly waits: readonly [Services.Waits, Services.Waits]
}

const count = 200

/** Gives up on an end that nobody sees. */
const patience = 60_000

export const run = (): Promise<Result> =>
  Processes.withChildren(async (start) => {
    const given = process.env["CONSUL_HTTP_ADDR"]
    const address = given === undefined
      ? await Processes.told<string>(start(new URL("./watches/agent.ts", import.meta.url)))
      : given.includes("://")
      ? given
      : `http://${given}`
    const consul = Processes.consulAt(address)
    const prefix = `watched-${process.pid}-`
    const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`)
    const allow = (name: string) =>
      consul.entry("service-intentions", name, { Sources: [{ Name: "web", Action: "allow" }] })
    const deny = (name: string) =>
      consul.entry("service-intentions", name, { Sources: [{ Name: "web", Action: "deny" }] })
    try {
      for (const name of names) await allow(name)
      const caller = start(new URL("./watches/callers.ts", import.meta.url))
      caller.send(address)
      await Processes.told(caller)
      const services = start(new URL("./watches/services.ts", import.meta.url))
      services.send({ agent: address, names } satisfies Services.Start)
      const { ports } = await Processes.told<Services.Listening>(services)
      const waitsNow = () => {
        services.send("waits")
        return Processes.told<Services.Waits>(services)
      }
      const atStart = await waitsNow()

      await opened(caller, ports)
      const oneByOne: Array<number> = []
      for (const [i, name] of names.entries()) {
        const ends = endsOf(caller, [ports[i]!])
        const sent = Processes.clock()
        await deny(name)
        oneByOne.push((await ends)[0]! - sent)
      }

      // By default allowed, and denied to everybody by one entry.
      for (const name of names) await consul.ask("DELETE", `/v1/config/service-intentions/${name}`)
      await consul.entry("service-intentions", "*", { Sources: [{ Name: "web", Action: "allow" }] })
      // All of them have to have heard that the caller may come.
      await sleep(3000)
      await opened(caller, ports)
      const ends = endsOf(caller, ports)
      const sent = Processes.clock()
      await deny("*")
      const together = (await ends).map((at) => at - sent)
      const all = await waitsNow()
      return {
        services: count,
        oneByOne,
        together,
        waits: [atStart, { all: all.all - atStart.all, overOneSecond: all.overOneSecond - atStart.overOneSecond }]
      }
    } finally {
      for (const name of ["*", ...names]) {
        await consul.ask("DELETE", `/v1/config/service-intentions/${name}`).catch(() => {})
      }
    }
  })

const opened = async (caller: ChildProcess, ports: ReadonlyArray<number>): Promise<void> => {
  caller.send({ ports } satisfies Callers.Open)
  await Processes.told(caller)
}

/** When the caller has seen the ends of its connections to these. */
const endsOf = (caller: ChildProcess, ports: ReadonlyArray<number>): Promise<ReadonlyArray<number>> =>
  new Promise((resolve, reject) => {
    const awaited = new Set(ports)
    const at: Array<number> = []
    const late = setTimeout(() => {
      caller.off("message", seen)
      reject(new Error(`${awaited.size} connections were not cut within ${patience} ms`))
    }, patience)
    const seen = (message: Callers.Ended) => {
      if (!awaited.delete(message.port)) return
      at.push(message.at)
      if (awaited.size > 0) return
      clearTimeout(late)
      caller.off("message", seen)
      resolve(at)
    }
    caller.on("message", seen)
  })

export const format = ({ oneByOne, services, together, waits: [atStart, since] }: Result): string => {
  const row = (title: string, times: ReadonlyArray<number>) => [
    title,
    String(services),
    Processes.quantile(times, 0.5).toFixed(1),
    Processes.quantile(times, 0.99).toFixed(1),
    Math.max(...times).toFixed(1)
  ]
  return `${
    table([
      ["from the write", "services", "p50 ms", "p99 ms", "max ms"],
      row("one after the other", oneByOne),
      row("all by one wildcard", together)
    ])
  }\n\nRequests that waited for a connection: ${since.all}, longer than a second: ${since.overOneSecond} ` +
    `(while the services started: ${atStart.all}, longer than a second: ${atStart.overOneSecond})`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
