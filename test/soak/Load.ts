/** Random traffic: requests and connections of all sizes, and clients that vanish in the middle of it. */
import * as Http from "node:http"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

export interface Counts {
  answered: number
  refused: number
  echoed: number
  vanished: number
  failed: number
}

export interface Ran {
  readonly counts: Counts
  /** What failed, in words, and how often. */
  readonly failures: ReadonlyMap<string, number>
}

const workers = 6

export const run = async (
  ports: { readonly api: number; readonly echo: number },
  isOver: () => boolean
): Promise<Ran> => {
  const counts: Counts = { answered: 0, refused: 0, echoed: 0, vanished: 0, failed: 0 }
  const failures = new Map<string, number>()
  const failed = (why: string) => {
    counts.failed++
    failures.set(why, (failures.get(why) ?? 0) + 1)
  }
  const agent = new Http.Agent({ keepAlive: true, maxSockets: workers })
  const kinds = [
    () => request(ports.api, agent, counts, failed),
    () => request(ports.api, agent, counts, failed),
    () => request(ports.api, false, counts, failed),
    () => echo(ports.echo, counts),
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

const request = (
  port: number,
  agent: Http.Agent | false,
  counts: Counts,
  failed: (why: string) => void
): Promise<void> =>
  new Promise((resolve) => {
    const body = Buffer.alloc(size(), "x")
    let isOver = false
    const over = (why: string | undefined) => {
      if (isOver) return
      isOver = true
      if (why !== undefined) failed(why)
      resolve()
    }
    const sent = Http.request({ host: "127.0.0.1", port, agent, method: "POST", timeout: 20_000 }, (response) => {
      let received = 0
      let text = ""
      response.on("data", (chunk: Buffer) => {
        received += chunk.length
        if (response.statusCode !== 200) text += chunk.toString()
      })
      response.on("error", ({ message }) => over(`${message}, in the answer`))
      response.on("end", () => {
        const { statusCode } = response
        if (statusCode === 200 && received === body.length) counts.answered++
        else if (statusCode === 403) counts.refused++
        else return over(statusCode === 200 ? "an answer of another length" : `${statusCode} ${text}`)
        over(undefined)
      })
    })
    sent.on("error", ({ message }) => over(`${message}, before an answer`))
    sent.on("timeout", () => sent.destroy(new Error("nothing for 20 seconds")))
    sent.end(body)
  })

const echo = (port: number, counts: Counts): Promise<void> =>
  new Promise((resolve) => {
    const body = Buffer.alloc(size(), "y")
    let received = 0
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    socket.on("data", (chunk) => received += chunk.length)
    socket.on("error", () => {})
    socket.once("close", () => {
      if (received === body.length) counts.echoed++
      else counts.refused++
      resolve()
    })
    socket.setTimeout(20_000, () => socket.destroy())
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
