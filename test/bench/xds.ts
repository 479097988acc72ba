/**
 * An agent that tells many Envoys what to do: how long it takes until the last of them has acknowledged a change, what goes over the
 * wire for it, and what the agent holds. The subscribers are a driver: they ask and acknowledge as Envoys do, and apply nothing.
 * Runs alone too: `node test/bench/xds.ts`.
 */
import { Effect, Exit, Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import * as XdsClient from "../support/xdsClient.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Options {
  readonly services: number
  /** The first so many services have a sidecar that subscribes. */
  readonly subscribers: number
  /** Of each of them. All of them call the first service. */
  readonly upstreams: number
}

export const full: Options = { services: 1000, subscribers: 200, upstreams: 50 }

export interface Change {
  readonly what: string
  /** From the request to the agent until the last acknowledgement. */
  readonly millis: number
  readonly resources: number
  readonly bytes: number
}

export interface Result extends Options {
  readonly changes: ReadonlyArray<Change>
  /** Of the agent, MB of 10^6 bytes: with the services, and with the subscribers. */
  readonly memory: readonly [before: number, after: number]
}

interface Status {
  readonly told: number
  readonly settled: number
  readonly memory: number
}

export const run = (options: Options): Promise<Result> =>
  Processes.withChildren(async (start) => {
    const child = start(new URL("./xds/agent.ts", import.meta.url))
    const { address, grpc } = await Processes.told<{ readonly address: string; readonly grpc: string }>(child)
    const consul = Processes.consulAt(address)
    for (let i = 0; i < options.services; i++) {
      await consul.ask("PUT", "/v1/agent/service/register", service(i, options))
    }
    const before = await status(child)
    const scope = await Effect.runPromise(Scope.make())
    const clients: Array<XdsClient.Client> = []
    try {
      const changes: Array<Change> = []
      let last = 0
      const measured = async (what: string, change: () => Promise<unknown>) => {
        const counts = clients.map((client) => client.got())
        const since = Processes.clock()
        last = since
        await change()
        await settled(child, options.subscribers)
        const now = clients.map((client) => client.got())
        const grown = (key: "resources" | "bytes") =>
          now.reduce((sum, count, i) => sum + count[key] - (counts[i]?.[key] ?? 0), 0)
        changes.push({ what, millis: last - since, resources: grown("resources"), bytes: grown("bytes") })
      }
      await measured("all of them start", async () => {
        for (let i = 0; i < options.subscribers; i++) {
          const client = await Effect.runPromise(
            Scope.provide(scope)(XdsClient.make(grpc, `service-${i}-sidecar-proxy`, { keep: false }))
          )
          client.onResponse = () => {
            last = Processes.clock()
          }
          clients.push(client)
        }
      })
      await measured("an instance that all of them call fails", () => consul.ask("PUT", "/v1/agent/check/fail/check:0"))
      await measured(
        "an intention of one of them",
        () => consul.entry("service-intentions", "service-1", { Sources: [{ Name: "service-2", Action: "deny" }] })
      )
      await measured(
        "the resolver of a service that all of them call",
        () => consul.entry("service-resolver", "service-0", { ConnectTimeout: "3s" })
      )
      await measured(
        "the protocol of a service that nobody calls",
        () => consul.entry("service-defaults", "nobody", { Protocol: "http" })
      )
      await measured("another root signs", async () => {
        const rotated = Processes.told(child)
        child.send("rotate")
        await rotated
      })
      return { ...options, changes, memory: [before.memory, (await status(child)).memory] as const }
    } finally {
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  })

const service = (i: number, { services, subscribers, upstreams }: Options): object => ({
  Name: `service-${i}`,
  Port: 1000 + i,
  Check: { CheckID: `check:${i}`, TTL: "24h", Status: "passing" },
  Connect: {
    SidecarService: {
      Port: 20_000 + i,
      Checks: [{ Name: "application", AliasService: `service-${i}` }],
      Proxy: {
        Upstreams: i >= subscribers ? [] : Array.from({ length: upstreams }, (_, position) => ({
          // The first one, and others that lie apart.
          DestinationName: `service-${position === 0 ? 0 : 1 + (i * 7 + position * 19) % (services - 1)}`,
          LocalBindPort: 30_000 + position
        }))
      }
    }
  }
})

const status = (child: ChildProcess): Promise<Status> => {
  const answer = Processes.told<Status>(child)
  child.send("status")
  return answer
}

/** Waits until all of them have had nothing to answer for a while. */
const settled = async (child: ChildProcess, subscribers: number): Promise<void> => {
  for (let quiet = 0; quiet < 5;) {
    const { settled, told } = await status(child)
    quiet = told === subscribers && settled === told ? quiet + 1 : 0
    await sleep(50)
  }
}

export const format = ({ changes, memory, services, subscribers, upstreams }: Result): string =>
  `${services} services; ${subscribers} subscribers with ${upstreams} upstreams each, all of one agent\n\n${
    table([
      ["change", "last acknowledgement", "resources", "KB"],
      ...changes.map(({ bytes, millis, resources, what }) => [
        what,
        `${Math.round(millis)} ms`,
        String(resources),
        (bytes / 1000).toFixed(1)
      ])
    ])
  }\n\nThe agent holds ${Math.round(memory[0])} MB with the services, ${Math.round(memory[1])} MB with the subscribers`

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.stdout.write(`${format(await run(full))}\n`)
