/** Large bodies through two sidecars: how fast, and what is held of them meanwhile. Runs alone too: `node test/bench/bulk-http.ts`. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { type Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { pathToFileURL } from "node:url"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import { Effect, Exit, Logger, Scope } from "effect"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import { table } from "./table.ts"

export type Version = "1.1" | "2"

export interface Row {
  readonly what: string
  readonly megabytes: number
  readonly seconds: number
  /** Of buffers, at most, beyond what there was before: of this whole process, client and application included. */
  readonly held: number
  /** Of everything. */
  readonly resident: number
}

const mebi = 1024 * 1024

const piece = Buffer.alloc(64 * 1024, "0123456789abcdef")

/** So many bytes, made as they are taken. `slowly`: a pause after each megabyte. */
const bytes = async function*(count: number, slowly: boolean): AsyncGenerator<Buffer> {
  for (let left = count; left > 0; left -= piece.length) {
    yield left < piece.length ? piece.subarray(0, left) : piece
    if (slowly && left % mebi === 0) await new Promise<void>((resolve) => void setTimeout(resolve, 5))
  }
}

/** Counts what comes. `slowly`: a pause after each megabyte. */
const counting = (slowly: boolean): Writable & { readonly count: () => number } => {
  let count = 0
  const sink = new Writable({
    write: (chunk: Buffer, _, done) => {
      const before = Math.floor(count / mebi)
      count += chunk.length
      if (slowly && Math.floor(count / mebi) > before) setTimeout(done, 5)
      else done()
    }
  })
  return Object.assign(sink, { count: () => count })
}

/** `POST` answers how many bytes came, `GET /N` with N bytes. `?slowly`: in no hurry. */
const answer = async (
  request: Readable & { readonly url?: string | undefined; readonly method?: string | undefined },
  response: Writable
): Promise<void> => {
  const slowly = request.url?.endsWith("?slowly") === true
  if (request.method === "GET") {
    return pipeline(bytes(Number.parseInt(request.url!.slice(1)), slowly), response)
  }
  const sink = counting(slowly)
  await pipeline(request, sink)
  response.end(String(sink.count()))
}

const application = async (version: Version): Promise<{ readonly port: number; readonly close: () => void }> => {
  const handle = (request: Http.IncomingMessage | Http2.Http2ServerRequest, response: Writable) =>
    void answer(request, response).catch(() => {})
  const server = version === "2" ? Http2.createServer(handle) : Http.createServer(handle)
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

interface Asked {
  readonly up: number
  readonly path: string
  readonly slowReader: boolean
  readonly slowWriter: boolean
}

/** How many bytes the answer has, and what they say if they are few. */
type Ask = (asked: Asked) => Promise<{ readonly down: number; readonly text: string }>

const read = async (source: Readable, slowly: boolean) => {
  const sink = counting(slowly)
  let text = ""
  source.on("data", (chunk: Buffer) => {
    if (text.length < 100) text += chunk.toString("latin1", 0, 100)
  })
  await pipeline(source, sink)
  return { down: sink.count(), text }
}

const ask1 = (port: number): Ask => async ({ path, slowReader, slowWriter, up }) => {
  const request = Http.request({ host: "127.0.0.1", port, path, method: up > 0 ? "POST" : "GET", agent: false })
  const answered = new Promise<Http.IncomingMessage>((resolve, reject) => {
    request.once("response", resolve)
    request.once("error", reject)
  })
  if (up > 0) await pipeline(bytes(up, slowWriter), request)
  else request.end()
  return read(await answered, slowReader)
}

const ask2 = (port: number): Ask => async ({ path, slowReader, slowWriter, up }) => {
  const client = Http2.connect(`http://127.0.0.1:${port}`)
  try {
    const stream = client.request({ ":path": path, ":method": up > 0 ? "POST" : "GET" })
    if (up === 0) stream.end()
    const [answered] = await Promise.all([
      read(stream, slowReader),
      up > 0 ? writeAll(stream, up, slowWriter) : undefined
    ])
    return answered
  } finally {
    client.destroy()
  }
}

const writeAll = async (stream: Writable, count: number, slowly: boolean): Promise<void> => {
  for await (const chunk of bytes(count, slowly)) {
    if (!stream.write(chunk)) await new Promise<void>((resolve) => void stream.once("drain", resolve))
  }
  stream.end()
}

V8.setFlagsFromString("--expose-gc")
const collect: () => void = Vm.runInNewContext("gc")

/** Runs it, and looks now and then at what this process can not give back. */
const watched = async <A>(what: () => Promise<A>) => {
  const now = () => {
    // What the first one has found is given back by the second.
    collect()
    collect()
    const { arrayBuffers, external, rss } = process.memoryUsage()
    return { held: Math.max(arrayBuffers, external), rss }
  }
  const before = now()
  let [held, resident] = [0, 0]
  const look = () => {
    const seen = now()
    held = Math.max(held, seen.held - before.held)
    resident = Math.max(resident, seen.rss)
  }
  const timer = setInterval(look, 250)
  const since = performance.now()
  const answer = await what()
  look()
  clearInterval(timer)
  return { answer, seconds: (performance.now() - since) / 1000, held: held / mebi, resident: resident / mebi }
}

const loads = [
  ["up", { slowReader: false, slowWriter: false }],
  ["down", { slowReader: false, slowWriter: false }],
  ["up, written slowly", { slowReader: false, slowWriter: true }],
  ["up, read slowly", { slowReader: true, slowWriter: false }],
  ["down, written slowly", { slowReader: false, slowWriter: true }],
  ["down, read slowly", { slowReader: true, slowWriter: false }]
] as const

/** One row for each load; the slow ones have a quarter of the bytes. */
export const run = async (
  version: Version,
  megabytes: number,
  told: (row: Row) => void = () => {}
): Promise<ReadonlyArray<Row>> => {
  const scope = await Effect.runPromise(Scope.make())
  const app = await application(version)
  try {
    const mesh = await Effect.runPromise(
      SidecarMesh.make({ apps: [app.port], protocol: version === "2" ? "http2" : "http", entries: patient(version) })
        .pipe(
          Scope.provide(scope),
          Effect.provide(Logger.layer([]))
        )
    )
    const ask = (version === "2" ? ask2 : ask1)(mesh.port)
    await ask({ up: mebi, path: "/", slowReader: false, slowWriter: false })
    const rows: Array<Row> = []
    for (const [what, { slowReader, slowWriter }] of loads) {
      const isUp = what.startsWith("up")
      const amount = slowReader || slowWriter ? megabytes / 4 : megabytes
      const count = amount * mebi
      const slowly = (isUp ? slowReader : slowWriter) ? "?slowly" : ""
      const { answer, ...row } = await watched(() =>
        ask(
          isUp
            ? { up: count, path: `/${slowly}`, slowReader: false, slowWriter }
            : { up: 0, path: `/${count}${slowly}`, slowReader, slowWriter: false }
        )
      )
      if (isUp ? answer.text !== String(count) : answer.down !== count) {
        throw new Error(`${what}: ${answer.down} bytes came, ${answer.text}`)
      }
      rows.push({ what: `HTTP/${version} ${what}`, megabytes: amount, ...row })
      told(rows.at(-1)!)
    }
    return rows
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    app.close()
  }
}

/** A whole answer may take longer than it may by default: for both sidecars. */
const patient = (version: Version): ReadonlyArray<SidecarMesh.Entry> => [
  { ...SidecarMesh.defaults("api", version === "2" ? "http2" : "http"), LocalRequestTimeoutMs: 600_000 },
  { Kind: "service-router", Name: "api", Routes: [{ Destination: { RequestTimeout: "10m" } }] }
]

export const full = async (): Promise<ReadonlyArray<Row>> => [...await run("1.1", 1024), ...await run("2", 1024)]

export const format = (rows: ReadonlyArray<Row>): string =>
  table([
    ["", "MiB", "seconds", "MiB/s", "buffers, at most MiB more", "resident MiB"],
    ...rows.map(({ held, megabytes, resident, seconds, what }) => [
      what,
      String(megabytes),
      seconds.toFixed(1),
      (megabytes / seconds).toFixed(0),
      held.toFixed(1),
      resident.toFixed(0)
    ])
  ])

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const told = (row: Row) => process.stdout.write(`${format([row])}\n`)
  for (const version of ["1.1", "2"] as const) await run(version, 1024, told)
}
