/** The loads that a pair of relays is put under. Each returns what it counted and how long that took. */
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Readable } from "node:stream"

export interface Result {
  /** Requests, connections or bytes. */
  readonly count: number
  readonly seconds: number
  /** Milliseconds of each, where each is timed. */
  readonly latencies: ReadonlyArray<number>
}

const message = Buffer.alloc(64, 0x65)

/** A connection that has echoed its first message. */
const open = (port: number): Promise<Net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    socket.once("error", reject)
    socket.once("close", () => reject(new Error(`the connection to port ${port} was closed before an answer`)))
    socket.once("connect", () => socket.write(message))
    let received = 0
    const answered = (chunk: Buffer) => {
      received += chunk.length
      if (received < message.length) return
      socket.off("data", answered)
      resolve(socket)
    }
    socket.on("data", answered)
  })

/** Many connections, 64 at a time, each of which has echoed a message. */
export const opened = async (port: number, count: number): Promise<ReadonlyArray<Net.Socket>> => {
  const sockets: Array<Net.Socket> = []
  let left = count
  await Promise.all(Array.from({ length: 64 }, async () => {
    while (left-- > 0) sockets.push(await open(port))
  }))
  return sockets
}

/** One message, until it has come back. */
export const echo = (socket: Net.Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    let received = 0
    const answered = (chunk: Buffer) => {
      received += chunk.length
      if (received < message.length) return
      socket.off("data", answered)
      resolve()
    }
    socket.on("data", answered)
    socket.once("close", () => reject(new Error("the connection was closed before an answer")))
    socket.write(message)
  })

/** Waits until a message is echoed: instances may not be known yet. */
export const answers = async (port: number, seconds = 30): Promise<void> => {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const echoed = open(port).then(closed)
    const done = await Promise.race([echoed.then(() => true, () => false), sleep(5000).then(() => false)])
    if (done) return
    if (performance.now() > deadline) throw new Error(`no answer through port ${port}`)
    await sleep(100)
  }
}

const closed = (socket: Net.Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once("close", () => resolve())
    ;(socket satisfies Readable).resume()
    socket.end()
  })

/** Small messages, one at a time on each of `connections` that stay open. */
export const requests = async (port: number, connections: number, seconds: number): Promise<Result> => {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const latencies: Array<number> = []
  const started = performance.now()
  const until = started + seconds * 1000
  await Promise.all(sockets.map((socket) =>
    new Promise<void>((resolve, reject) => {
      let sent = performance.now()
      let received = 0
      socket.on("error", reject)
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length
        if (received < message.length) return
        received = 0
        const now = performance.now()
        latencies.push(now - sent)
        if (now >= until) return resolve()
        sent = now
        socket.write(message)
      })
      socket.write(message)
    })
  ))
  const spent = (performance.now() - started) / 1000
  await Promise.all(sockets.map(closed))
  return { count: latencies.length, seconds: spent, latencies }
}

/** New connections, each for one small message, `parallel` at a time. */
export const connections = async (port: number, parallel: number, seconds: number): Promise<Result> => {
  const latencies: Array<number> = []
  const started = performance.now()
  const until = started + seconds * 1000
  await Promise.all(Array.from({ length: parallel }, async () => {
    while (performance.now() < until) {
      const sent = performance.now()
      const socket = await open(port)
      latencies.push(performance.now() - sent)
      await closed(socket)
    }
  }))
  return { count: latencies.length, seconds: (performance.now() - started) / 1000, latencies }
}

/** Bytes from the application, on each of `streams` connections. */
export const bulk = async (port: number, streams: number, seconds: number): Promise<Result> => {
  let count = 0
  const sockets = await Promise.all(Array.from({ length: streams }, () =>
    new Promise<Net.Socket>((resolve, reject) => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => socket.write("s"))
      socket.once("data", () => resolve(socket))
      socket.on("data", (chunk: Buffer) => {
        count += chunk.length
      })
    })))
  count = 0
  const started = performance.now()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const result = { count, seconds: (performance.now() - started) / 1000, latencies: [] }
  for (const socket of sockets) socket.destroy()
  return result
}

/** Holds `count` idle connections while `measure` runs. */
export const idle = async <A>(port: number, count: number, measure: () => Promise<A>): Promise<A> => {
  const sockets: Array<Net.Socket> = []
  while (sockets.length < count) {
    sockets.push(...await Promise.all(Array.from({ length: Math.min(20, count - sockets.length) }, () => open(port))))
  }
  const measured = await measure()
  await Promise.all(sockets.map(closed))
  return measured
}
