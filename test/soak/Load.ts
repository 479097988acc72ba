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

const workers = 6

export const run = async (
  ports: { readonly api: number; readonly echo: number },
  isOver: () => boolean
): Promise<Counts> => {
  const counts: Counts = { answered: 0, refused: 0, echoed: 0, vanished: 0, failed: 0 }
  const agent = new Http.Agent({ keepAlive: true, maxSockets: workers })
  const kinds = [
    () => request(ports.api, agent, counts),
    () => request(ports.api, agent, counts),
    () => request(ports.api, false, counts),
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
  return counts
}

/** Mostly small. */
const size = (): number => Math.floor(10 ** (Math.random() * 5.5))

const request = (port: number, agent: Http.Agent | false, counts: Counts): Promise<void> =>
  new Promise((resolve) => {
    const body = Buffer.alloc(size(), "x")
    const failed = () => {
      counts.failed++
      resolve()
    }
    const sent = Http.request({ host: "127.0.0.1", port, agent, method: "POST", timeout: 20_000 }, (response) => {
      let received = 0
      response.on("data", (chunk: Buffer) => received += chunk.length)
      response.on("error", failed)
      response.on("end", () => {
        if (response.statusCode === 200 && received === body.length) counts.answered++
        else if (response.statusCode === 403) counts.refused++
        else counts.failed++
        resolve()
      })
    })
    sent.on("error", failed)
    sent.on("timeout", () => sent.destroy())
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
