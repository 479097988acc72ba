/** Benchmarks whose sides are processes of their own, with one development agent in this one. */
import { type ChildProcess, fork } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import type { Schema } from "effect"

/** Milliseconds on a clock that all processes of this machine share. */
export const clock = (): number => Number(process.hrtime.bigint()) / 1e6

/** The next thing that a child says. */
export const told = <A>(child: ChildProcess): Promise<A> =>
  new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`a child of the benchmark ended with ${code}`))
    child.once("exit", gone)
    child.once("message", (message) => {
      child.off("exit", gone)
      resolve(message as A)
    })
  })

/** Children that end with what `use` returns. */
export const withChildren = async <A>(use: (start: (script: URL) => ChildProcess) => Promise<A>): Promise<A> => {
  const children: Array<ChildProcess> = []
  try {
    return await use((script) => {
      const child = fork(script)
      children.push(child)
      return child
    })
  } finally {
    for (const child of children) child.kill()
  }
}

/** The value below which this share of them lies. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

/** Free a moment ago, for a program that has to be told its port. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Waits until something listens there, for at most so many seconds. */
export const accepts = async (port: number, seconds = 5): Promise<void> => {
  for (let attempt = 0; attempt < seconds * 20; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = Net.connect({ host: "127.0.0.1", port })
      socket.once("connect", () => resolve((socket.destroy(), true)))
      socket.once("error", () => resolve(false))
    })
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing listens on port ${port}`)
}

/** A process and those that it has started. */
const family = ({ pid }: { readonly pid?: number | undefined }): ReadonlyArray<number> =>
  pid === undefined ? [] : [
    pid,
    ...readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((child) => child.trim() !== "")
      .flatMap((child) => family({ pid: Number(child) }))
  ]

/** User and system time, from the operating system: 10 ms steps. */
export const cpuSeconds = (children: ReadonlyArray<ChildProcess>): number =>
  children.flatMap(family).reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
    return sum + (Number(fields[11]) + Number(fields[12])) / 100
  }, 0)

/** What they hold, as the operating system counts it. */
export const residentMebibytes = (children: ReadonlyArray<ChildProcess>): number =>
  children.flatMap(family).reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
  }, 0)

/** The agent at `address`, spoken to without Effect. */
export const consulAt = (address: string) => {
  const ask = async (method: string, path: string, body?: object): Promise<Schema.Json> => {
    const response = await fetch(`${address}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === "" ? null : JSON.parse(text)
  }
  return {
    ask,
    entry: (Kind: string, Name: string, rest: object) => ask("PUT", "/v1/config", { Kind, Name, ...rest }),
    register: (Name: string, Port: number) =>
      ask("PUT", "/v1/agent/service/register", { Name, Port, Address: "127.0.0.1", Connect: { Native: true } })
  }
}
