/** Calls at a steady rate, over connections that are kept and over new ones, and what became of them. */
import * as Http from "node:http"
import * as Net from "node:net"

export interface Report {
  readonly sent: number
  /** What went wrong, and when it had begun: milliseconds since the traffic did. */
  readonly failures: ReadonlyArray<string>
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

export interface Traffic {
  /** So far. */
  readonly report: () => Report
  /** Begins no more calls, and waits for those at hand. */
  readonly stop: () => Promise<Report>
}

/** What went wrong with a call; undefined: nothing. */
type Call = (number: number) => Promise<string | undefined>

/** Calls at hand at a time: more are left out, as a slow machine is late with them. */
export const atHand = 64

const steadily = (rate: number, call: Call, done: () => void): Traffic => {
  const since = performance.now()
  const failures: Array<string> = []
  const latencies: Array<number> = []
  const pending = new Set<Promise<void>>()
  let number = 0
  let skipped = 0
  const one = async () => {
    const begun = performance.now()
    const what = await call(++number)
    latencies.push(performance.now() - begun)
    if (what !== undefined) failures.push(`after ${Math.round(begun - since)} ms: ${what}`)
  }
  const timer = setInterval(() => {
    const due = Math.floor((performance.now() - since) * rate / 1000) - number - skipped
    for (let count = 0; count < due; count++) {
      if (pending.size >= atHand) {
        skipped += due - count
        return
      }
      const calling = one().finally(() => pending.delete(calling))
      pending.add(calling)
    }
  }, 5)
  const report = () => ({ sent: number, failures, latencies })
  return {
    report,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(pending)
      done()
      return report()
    }
  }
}

const body = "x".repeat(1000)

/** Requests to an application that answers with the path and the length of the body. Every other connection is new, and every third request has a body. */
export const http = (port: number, rate: number): Traffic => {
  const kept = new Http.Agent({ keepAlive: true, maxSockets: 16 })
  const call: Call = (number) =>
    new Promise((resolve) => {
      const sent = number % 3 === 0 ? body : ""
      const request = Http.request({
        agent: number % 2 === 0 ? false : kept,
        host: "127.0.0.1",
        port,
        path: `/${number}`,
        method: sent === "" ? "GET" : "POST",
        headers: sent === "" ? {} : { "content-length": sent.length }
      }, (response) => {
        let text = ""
        response.on("data", (chunk: Buffer) => text += chunk.toString())
        response.on("error", ({ message }) => resolve(`cut: ${message}`))
        response.on("end", () => {
          const whole = response.statusCode === 200 && text === `/${number} ${sent.length}`
          resolve(whole ? undefined : `${sent === "" ? "GET" : "POST"}: ${response.statusCode} ${text}`)
        })
      })
      request.on("error", ({ message }) => resolve(`${number % 2 === 0 ? "new" : "kept"}: ${message}`))
      request.end(sent)
    })
  return steadily(rate, call, () => kept.destroy())
}

/** A connection to an application that sends back what it gets. */
class Echoed {
  readonly #socket: Net.Socket
  #text = ""
  #ended: string | undefined
  #heard = () => {}
  readonly #since = performance.now()
  messages = 0

  constructor(port: number) {
    this.#socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    this.#socket.on("data", (bytes) => {
      this.#text += bytes.toString()
      this.#heard()
    })
    this.#socket.on("error", ({ message }) => this.#end(message))
    this.#socket.on("close", () => this.#end("it was closed"))
  }

  /** Whether its client should leave it. */
  get isOld(): boolean {
    return this.messages >= most.messages || performance.now() - this.#since > most.millis
  }

  /** Undefined: the message came back. */
  say(message: string): Promise<string | undefined> {
    this.messages++
    this.#text = ""
    return new Promise((resolve) => {
      this.#heard = () => {
        if (this.#text === message) resolve(undefined)
        else if (this.#ended !== undefined) resolve(`message ${this.messages}: ${this.#ended}`)
      }
      this.#heard()
      if (this.#ended === undefined) this.#socket.write(message)
    })
  }

  /** Ends it in order. What does not come back, or not whole, is told. */
  close(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const end = () => resolve(this.#ended === "it was closed" ? undefined : `while it was ended: ${this.#ended}`)
      this.#heard = end
      if (this.#ended !== undefined) return end()
      this.#socket.end()
    })
  }

  #end(why: string): void {
    this.#ended ??= why
    this.#heard()
  }
}

/** Of one kept connection: long before a sidecar that leaves cuts it. */
const most = { messages: 40, millis: 2000 }

/** Messages to an application that sends them back. Every other one has a connection of its own. */
export const tcp = (port: number, rate: number): Traffic => {
  const idle: Array<Echoed> = []
  const fresh: Call = async (number) => {
    const connection = new Echoed(port)
    return (await connection.say(`new ${number}`)) ?? connection.close()
  }
  const kept: Call = async (number) => {
    const connection = idle.pop() ?? new Echoed(port)
    const what = await connection.say(`kept ${number}`)
    if (what !== undefined) return what
    if (connection.isOld) return connection.close()
    idle.unshift(connection)
    return undefined
  }
  return steadily(rate, (number) => number % 2 === 0 ? fresh(number) : kept(number), () => {
    for (const connection of idle) void connection.close()
  })
}
