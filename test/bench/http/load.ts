/**
 * The load, from a process of its own: raw sockets, requests that are made beforehand, and of an answer only what is needed to
 * find its end. The first answer on each connection is read in full: its status, and a length that is the expected one.
 */
import * as Net from "node:net"

/** Small requests on kept connections, large answers, large requests, or a new connection for each small request. */
export type Kind = "small" | "answer" | "upload" | "new"

export interface Run {
  readonly port: number
  readonly kind: Kind
  /** Connections, each with one request at a time. */
  readonly connections: number
  readonly seconds: number
}

export interface Ran {
  readonly count: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Told once the clock runs. */
export type Started = "started"

/** What became of it instead. */
export interface Failed {
  readonly failed: string
}

const head = (line: string, more = ""): string =>
  `${line} HTTP/1.1\r\nhost: api.test\r\nuser-agent: bench\r\naccept: */*\r\n${more}\r\n`

const requests: Readonly<Record<Kind, Buffer>> = {
  small: Buffer.from(head("GET /small")),
  new: Buffer.from(head("GET /small")),
  answer: Buffer.from(head("GET /large")),
  upload: Buffer.concat([
    Buffer.from(head("POST /upload", "content-type: application/octet-stream\r\ncontent-length: 65536\r\n")),
    Buffer.alloc(65_536, "x")
  ])
}

const bodyOf: Readonly<Record<Kind, number>> = { small: 24, new: 24, answer: 65_536, upload: 24 }

const headEnd = Buffer.from("\r\n\r\n")

/** All sockets read into it, as each is done with what it has read before the next one reads. */
const shared = Buffer.alloc(65_536)

interface Exchanging {
  readonly socket: Net.Socket
  readonly send: () => void
}

/** A connection that calls `answered` after each answer. What is not as expected goes to `failed`. */
const connect = (run: Run, answered: () => void, failed: (why: string) => void): Exchanging => {
  const [request, body] = [requests[run.kind], bodyOf[run.kind]]
  /** Bytes of the answer that are still to come, once its head is there. */
  let missing: number | undefined
  let partial: Buffer | undefined
  let checked = false
  const check = (text: string): string | undefined => {
    if (!text.startsWith("HTTP/1.1 200 ")) return `the answer began with ${text.slice(0, 40)}`
    if (checked) return undefined
    checked = true
    const length = /^content-length: *(\d+)/im.exec(text)?.[1]
    return length === String(body) ? undefined : `the answer has another length than ${body}: ${text}`
  }
  /** The bytes of `buffer` before `count`. */
  const take = (buffer: Buffer, count: number): void => {
    let length = count
    if (missing === undefined) {
      const end = buffer.indexOf(headEnd)
      // Beyond `count` are bytes of former reads.
      if (end < 0 || end + headEnd.length > count) {
        partial = Buffer.from(buffer.subarray(0, count))
        return
      }
      const wrong = check(buffer.toString("latin1", 0, checked ? 13 : end + 2))
      if (wrong !== undefined) return failed(wrong)
      missing = body
      length = count - end - headEnd.length
    }
    missing -= length
    if (missing > 0) return
    if (missing < 0) return failed(`${-missing} bytes came after the answer`)
    missing = undefined
    answered()
  }
  const callback = (count: number): boolean => {
    if (partial === undefined) take(shared, count)
    else {
      const both = Buffer.concat([partial, shared.subarray(0, count)])
      partial = undefined
      take(both, both.length)
    }
    return true
  }
  const socket = Net.connect({ host: "127.0.0.1", port: run.port, noDelay: true, onread: { buffer: shared, callback } })
  socket.on("error", (error) => failed(error.message))
  socket.on("end", () => failed("the proxy has closed the connection"))
  return { socket, send: () => socket.write(request) }
}

const quit = (socket: Net.Socket): void => {
  socket.removeAllListeners("end")
  socket.end()
}

/** The clock starts once each connection has had an answer. */
const kept = async (run: Run): Promise<Ran> => {
  const latencies: Array<number> = []
  const opened: Array<Exchanging & { readonly again: (next: () => void) => void }> = []
  const failure = Promise.withResolvers<never>()
  const failed = (why: string) => failure.reject(new Error(why))
  const open = () =>
    new Promise<void>((resolve) => {
      let next: () => void = () => {
        opened.push({ ...exchanging, again: (set) => (next = set) })
        resolve()
      }
      const exchanging = connect(run, () => next(), failed)
      exchanging.send()
    })
  await Promise.race([failure.promise, Promise.all(Array.from({ length: run.connections }, open))])
  process.send?.("started" satisfies Started)
  const started = performance.now()
  const until = started + run.seconds * 1000
  const exchanges = opened.map(({ again, send }) =>
    new Promise<void>((resolve) => {
      let sent = performance.now()
      again(() => {
        const now = performance.now()
        latencies.push(now - sent)
        if (now >= until) return resolve()
        sent = now
        send()
      })
      send()
    })
  )
  await Promise.race([failure.promise, Promise.all(exchanges)])
  const seconds = (performance.now() - started) / 1000
  for (const { socket } of opened) quit(socket)
  return summary(latencies, seconds)
}

/** From the first packet of a connection to the end of its answer. How the connection ends is not waited for. */
const fresh = async (run: Run): Promise<Ran> => {
  const latencies: Array<number> = []
  process.send?.("started" satisfies Started)
  const started = performance.now()
  const until = started + run.seconds * 1000
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const sent = performance.now()
      const exchanging = connect(run, () => {
        latencies.push(performance.now() - sent)
        quit(exchanging.socket)
        resolve()
      }, (why) => reject(new Error(why)))
      exchanging.send()
    })
  await Promise.all(Array.from({ length: run.connections }, async () => {
    while (performance.now() < until) await one()
  }))
  return summary(latencies, (performance.now() - started) / 1000)
}

const summary = (latencies: ReadonlyArray<number>, seconds: number): Ran => {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { count: sorted.length, seconds, p50: at(0.5), p99: at(0.99) }
}

process.on("message", (run: Run) => {
  void (run.kind === "new" ? fresh(run) : kept(run)).then(
    (ran: Ran) => process.send?.(ran),
    (error: Error) => process.send?.({ failed: error.message } satisfies Failed)
  )
})
process.on("disconnect", () => process.exit(0))
