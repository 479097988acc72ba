/**
 * One HTTP service called by another, on loopback, doing the same in each column: `https` and undici by hand, Effect's
 * server and client over them, this package, and two sidecars between Effect's server and client. Client and server are
 * processes of their own. Rounds of the competitors alternate, medians count. Runs alone too: `node test/bench/native-http.ts`.
 */
import type { ChildProcess } from "node:child_process"
import { pathToFileURL } from "node:url"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import { ciphers } from "../../src/tls/SecureContexts.ts"
import { issue, root, service } from "../support/certificates.ts"
import type * as Client from "./native-http/client.ts"
import type * as Side from "./native-http/Side.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Row {
  readonly name: string
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

const rounds = 5
/** Until Node has compiled what it will. */
const warmups = 3
const load: Client.Run = { seconds: 1, concurrency: 16 }

const competing = [
  ["https + undici", "raw"],
  ["Effect", "effect"],
  ["mesh", "mesh"],
  ["mesh, spans", "traced"],
  ["sidecars", "plain"]
] as const

export const run = (): Promise<ReadonlyArray<Row>> =>
  Processes.withChildren(async (start) => {
    const child = (script: string) => start(new URL(script, import.meta.url))
    const ca = await root("bench")
    const side = async (name: string) => {
      const { chainPem, keyPem } = await issue(ca, { uris: [SpiffeId.format(service(name))] })
      return { chainPem, keyPem, rootPem: ca.pem, ciphers }
    }
    const [api, web] = [await side("api"), await side("web")]
    const listening = async (script: string, message: object): Promise<number> => {
      const started = child(script)
      started.send(message)
      return (await Processes.told<{ readonly port: number }>(started)).port
    }
    const competitors = new Map<string, ChildProcess>()
    for (const [name, kind] of competing) {
      let port = await listening("native-http/server.ts", { ...api, kind, port: 0 } satisfies Side.Side)
      if (kind === "plain") {
        port = await listening("relay/sidecar.ts", { ...api, role: "inbound", target: port })
        port = await listening("relay/sidecar.ts", { ...web, role: "outbound", target: port })
      }
      const client = child("native-http/client.ts")
      client.send({ ...web, kind, port } satisfies Side.Side)
      await Processes.told(client)
      competitors.set(name, client)
    }
    const ran = new Map<string, Array<Client.Ran>>()
    for (let round = 0; round < warmups + rounds; round++) {
      for (const [name, client] of round % 2 === 0 ? competitors : [...competitors].toReversed()) {
        client.send(load)
        const result = await Processes.told<Client.Ran>(client)
        if (round >= warmups) ran.set(name, [...ran.get(name) ?? [], result])
      }
    }
    return [...competitors.keys()].map((name) => {
      const results = ran.get(name)!
      const median = (field: keyof Client.Ran) =>
        results.map((result) => result[field]).sort((a, b) => a - b)[Math.floor(results.length / 2)]!
      return { name, perSecond: median("perSecond"), p50: median("p50"), p99: median("p99") }
    })
  })

/** The last column is what the mesh reaches of each competitor's requests per second. */
export const format = (rows: ReadonlyArray<Row>): string => {
  const mesh = rows.find(({ name }) => name === "mesh")!
  return table([
    [`${load.concurrency} at a time`, "requests/s", "p50 ms", "p99 ms", "mesh / this", "its p50", "its p99"],
    ...rows.map((row) => [
      row.name,
      row.perSecond.toFixed(0),
      row.p50.toFixed(2),
      row.p99.toFixed(2),
      (mesh.perSecond / row.perSecond).toFixed(2),
      (mesh.p50 / row.p50).toFixed(2),
      (mesh.p99 / row.p99).toFixed(2)
    ])
  ])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run())}\n`)
}
