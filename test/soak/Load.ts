/** Random traffic: requests and connections of all sizes, and clients that vanish in the middle of it. */
import * as Http from "node:http"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

export interface Counts {
  answered: number
  echoed: number
  /** While they were not allowed: turned away, … */
  refused: number
  /** … or ended in the middle of their answer. */
  cut: number
  vanished: number
  failed: number
}

export interface Ran {
  readonly counts: Counts
  /** What failed, in words, and how often. */
  readonly failures: ReadonlyMap<string, number>
}

const workers = 6

export interface Options {
  readonly ports: { readonly api: number; readonly echo: number }
  /** What is done to the mesh just now, in words: said of what failed. */
  readonly meanwhile: () => string
  /** Whether callers may be turned away, and what they have begun be cut. */
  readonly isDenied: (service: "api" | "echo") => boolean
  readonly isOver: () => boolean
}

export const run = async ({ isDenied, isOver, meanwhile, ports }: Options): Promise<Ran> => {
  const counts: Counts = { answered: 0, echoed: 0, refused: 0, cut: 0, vanished: 0, failed: 0 }
  const failures = new Map<string, number>()
  const heard: Heard = {
    counts,
    isDenied,
    failed: (why) => {
      counts.failed++
      const reason = `${why}; meanwhile ${meanwhile()}`
      failures.set(reason, (failures.get(reason) ?? 0) + 1)
    }
  }
  const agent = new Http.Agent({ keepAlive: true, maxSockets: workers })
  const kinds = [
    () => request(ports.api, agent, heard),
    () => request(ports.api, agent, heard),
    () => request(ports.api, false, heard),
    () => echo(ports.echo, heard),
    () => vanish(ports.api, "POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 1000000\r\n\r\nabc", counts),
    () => vanish(ports.echo, "abc", counts)
  ]
  const work = async () => {
    while (!isOver()) {
      await kinds[Math.floor(Math.random() * kinds.length)]!()
      await sleep(Math.random() * 40)
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  agent.destroy()
  return { counts, failures }
}

/** Mostly small. */
const size = (): number => Math.floor(10 ** (Math.random() * 5.5))

/** What becomes of them. */
interface Heard extends Pick<Options, "isDenied"> {
  readonly counts: Counts
  readonly failed: (why: string) => void
}

const request = (
  port: number,
  agent: Http.Agent | false,
  { counts, failed, isDenied }: Heard
): Promise<void> =>
  new Promise((resolve) => {
    const body = Buffer.alloc(size(), "x")
    let status: number | undefined
    let isOver = false
    // An answer that is cut is an error of the request, and then one of its answer.
    const over = (result: "answered" | "refused" | "cut" | { readonly why: string }) => {
      if (isOver) return
      isOver = true
      if (typeof result === "string") counts[result]++
      else failed(`${sent.reusedSocket ? "kept" : "new"} connection: ${result.why}`)
      resolve()
    }
    const lost = ({ message }: Error) =>
      over(
        status === 200 && isDenied("api")
          ? "cut"
          : { why: `${message}, ${status === undefined ? "before an answer" : `in an answer of ${status}`}` }
      )
    const sent = Http.request({ host: "127.0.0.1", port, agent, method: "POST", timeout: 20_000 }, (response) => {
      const { statusCode } = response
      status = statusCode
      let received = 0
      let text = ""
      response.on("data", (chunk: Buffer) => {
        received += chunk.length
        if (statusCode !== 200) text += chunk.toString()
      })
      response.on("error", lost)
      response.on("end", () => {
        if (statusCode === 200 && received === body.length) return over("answered")
        if (statusCode === 403 && isDenied("api")) return over("refused")
        over({ why: statusCode === 200 ? "an answer of another length" : `${statusCode} ${text}` })
      })
    })
    sent.on("error", lost)
    sent.on("timeout", () => sent.destroy(new Error("nothing for 20 seconds")))
    sent.end(body)
  })

const echo = (port: number, { counts, failed, isDenied }: Heard): Promise<void> =>
  new Promise((resolve) => {
    const body = Buffer.alloc(size(), "y")
    let received = 0
    let why = "the connection ended"
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    socket.on("data", (chunk) => received += chunk.length)
    socket.on("error", ({ message }) => why = message)
    socket.once("close", () => {
      if (received === body.length) counts.echoed++
      else if (!isDenied("echo")) failed(`bytes: ${why}, before all came back`)
      else if (received === 0) counts.refused++
      else counts.cut++
      resolve()
    })
    socket.setTimeout(20_000, () => socket.destroy(new Error("nothing for 20 seconds")))
    socket.end(body)
  })

/** Says half of what it wanted to, and is gone: by an end, a reset or without a word. */
const vanish = (port: number, text: string, counts: Counts): Promise<void> =>
  new Promise((resolve) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.on("error", () => {})
    socket.once("close", () => {
      counts.vanished++
      resolve()
    })
    socket.write(text, () => {
      const leave = [() => socket.destroy(), () => socket.resetAndDestroy(), () => socket.end()]
      setTimeout(leave[Math.floor(Math.random() * leave.length)]!, Math.random() * 50)
    })
    socket.resume()
    socket.setTimeout(20_000, () => socket.destroy())
  })
