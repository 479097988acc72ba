/**
 * A service under 1,000 requests a second, half of them over HTTP/1.1 and half over HTTP/2, while the root and with it every
 * leaf is replaced again and again; beside it 20 connections that stay open, and 50 new ones a second. Latency is counted
 * from when a request was due. Runs alone too: `node test/bench/rotation.ts`; with `CONSUL_HTTP_ADDR` against that agent,
 * which spreads renewals over half a minute, hence for longer.
 *
 * The development agent of this process makes keys and signs, which elsewhere another machine does: it gives way to the others.
 */
import { setPriority } from "node:os"
import { pathToFileURL } from "node:url"
import { Effect, Exit, Schema, Scope } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Processes from "./processes.ts"
import type * as Client from "./rotation/client.ts"
import type * as Server from "./rotation/server.ts"
import { table } from "./table.ts"

export interface Row {
  readonly phase: string
  readonly sent: number
  readonly failures: ReadonlyArray<string>
  readonly echoes: number
  readonly dialled: number
  /** Connections for HTTP that ended meanwhile. */
  readonly ended: number
  /** Rotations, as the server has heard of them. */
  readonly roots: number
  readonly leaves: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** For how long the loop of a process stood still at most, garbage collection and other processes included. */
  readonly serverStall: number
  readonly clientStall: number
}

const rate = 1000

export const run = async (real = process.env["CONSUL_HTTP_ADDR"]): Promise<ReadonlyArray<Row>> => {
  const scope = await Effect.runPromise(Scope.make())
  const address = real === undefined
    ? (await Effect.runPromise(
      Scope.provide(DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" }), scope)
    )).address
    : `http://${real.replace(/^http:\/\//, "")}`
  const times = real === undefined ? { seconds: 8, every: 1500 } : { seconds: 100, every: 40_000 }
  const consul = Processes.consulAt(address)
  const [web, http, echo] = ["web", "api", "echo"].map((name) => `bench-${name}-${process.pid}`) as [
    string,
    string,
    string
  ]
  const written = [
    ["service-defaults", http],
    ["service-intentions", http],
    ["service-intentions", echo]
  ] as const
  try {
    await consul.entry("service-defaults", http, { Protocol: "http" })
    for (const name of [http, echo]) {
      await consul.entry("service-intentions", name, { Sources: [{ Name: web, Action: "allow" }] })
    }
    return await Processes.withChildren(async (start) => {
      const server = start(new URL("./rotation/server.ts", import.meta.url))
      server.send({ agent: address, http, echo } satisfies Server.Start)
      const ports = await Processes.told<Server.Ports>(server)
      await consul.register(http, ports.http)
      await consul.register(echo, ports.echo)
      const client = start(new URL("./rotation/client.ts", import.meta.url))
      client.send({ agent: address, service: web, http, echo, rate } satisfies Client.Start)
      await Processes.told(client)
      // After them: a child inherits it.
      if (real === undefined) setPriority(19)
      const count = () => {
        server.send("count")
        return Processes.told<Server.Counted>(server)
      }
      const phase = async (name: string, seconds: number): Promise<Row> => {
        const before = await count()
        client.send({ seconds } satisfies Client.Run)
        const { dialled, echoes, failures, latencies, sent, stall } = await Processes.told<Client.Ran>(client)
        const after = await count()
        return {
          phase: name,
          sent,
          failures,
          echoes,
          dialled,
          ended: after.ended - before.ended,
          roots: after.roots - before.roots,
          leaves: after.leaves - before.leaves,
          p50: Processes.quantile(latencies, 0.5),
          p99: Processes.quantile(latencies, 0.99),
          serverStall: after.stall,
          clientStall: stall
        }
      }
      await phase("until Node has compiled what it will", 4)
      const quiet = await phase("at rest", 8)
      let rotated = Promise.resolve()
      const timer = setInterval(() => {
        rotated = rotated.then(() => rotate(consul))
      }, times.every)
      const rotating = await phase("rotating", times.seconds)
      clearInterval(timer)
      await rotated
      return [quiet, rotating]
    })
  } finally {
    if (real !== undefined) {
      for (const [kind, name] of written.toReversed()) await consul.ask("DELETE", `/v1/config/${kind}/${name}`)
      for (const name of [http, echo]) await consul.ask("PUT", `/v1/agent/service/deregister/${name}`)
    }
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const Configuration = Schema.Struct({ Provider: Schema.String, Config: Schema.Record(Schema.String, Schema.Json) })

/** As an operator does: by asking for keys of another size. */
const rotate = async (consul: ReturnType<typeof Processes.consulAt>): Promise<void> => {
  const { Config, Provider } = Schema.decodeUnknownSync(Configuration)(
    await consul.ask("GET", "/v1/connect/ca/configuration")
  )
  const PrivateKeyBits = Number(Config["PrivateKeyBits"] ?? 256) === 256 ? 384 : 256
  await consul.ask("PUT", "/v1/connect/ca/configuration", {
    Provider,
    Config: { ...Config, PrivateKeyType: "ec", PrivateKeyBits }
  })
}

export const format = (rows: ReadonlyArray<Row>): string => {
  const [quiet] = rows
  const lines = table([
    [
      "",
      "sent",
      "failed",
      "HTTP ended",
      "echoes",
      "dialled",
      "roots",
      "leaves",
      "p50 ms",
      "p99 ms",
      "p50",
      "p99",
      "server stood",
      "client"
    ],
    ...rows.map((row) => [
      row.phase,
      String(row.sent),
      String(row.failures.length),
      String(row.ended),
      String(row.echoes),
      String(row.dialled),
      String(row.roots),
      String(row.leaves),
      row.p50.toFixed(1),
      row.p99.toFixed(1),
      (row.p50 / quiet!.p50).toFixed(2),
      (row.p99 / quiet!.p99).toFixed(2),
      `${row.serverStall.toFixed(0)} ms`,
      `${row.clientStall.toFixed(0)} ms`
    ])
  ])
  const why = [...new Set(rows.flatMap(({ failures }) => failures))].slice(0, 10)
  return [
    lines,
    "",
    "p50 and p99: also beside those at rest. Stood: the longest time for which the loop did not turn.",
    ...why
  ].join("\n")
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
