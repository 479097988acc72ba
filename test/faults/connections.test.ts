import { assert, describe, it } from "@effect/vitest"
import { fork } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { Effect } from "effect"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"

/** Of this process, in MiB. */
const resident = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** `web` and `api`, each a process of its own, and so is the application. */
const setUp = Effect.fnUntraced(function*(...flags: ReadonlyArray<string>) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(new URL("./echo.ts", import.meta.url))),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const port = yield* Effect.callback<number>((resume) => {
    child.once("message", (port) => resume(Effect.succeed(Number(port))))
  })
  const mesh = yield* SidecarMesh.make({ apps: [port], protocol: "tcp" })
  yield* mesh.api[0]!.stop
  yield* mesh.web.stop
  const start = (id: string) =>
    SidecarProcess.start({
      args: ["--proxy-id", `${id}-sidecar-proxy`, "--http-addr", mesh.front.address, "--shutdown-delay", "0", ...flags]
    })
  const api = yield* start("api-1")
  const web = yield* start("web")
  return { port: mesh.port, web, api }
})

class Client {
  readonly socket: Net.Socket
  #heard = ""
  #wrong: string | undefined
  #check = () => {}

  constructor(port: number) {
    this.socket = Net.connect({ host: "127.0.0.1", port })
    this.socket.on("data", (bytes) => {
      this.#heard += bytes.toString()
      this.#check()
    })
    this.socket.on("error", ({ message }) => {
      this.#wrong = message
    })
    this.socket.on("close", () => {
      this.#wrong ??= "it was closed"
      this.#check()
    })
  }

  /** What went wrong; undefined: it came back. */
  say(text: string): Promise<string | undefined> {
    this.#heard = ""
    return new Promise((resolve) => {
      this.#check = () => {
        if (this.#heard === text) resolve(undefined)
        else if (this.#wrong !== undefined) resolve(this.#wrong)
      }
      this.#check()
      if (this.#wrong === undefined) this.socket.write(text)
    })
  }
}

const failures = (outcomes: ReadonlyArray<string | undefined>): ReadonlyArray<string> =>
  outcomes.filter((outcome) => outcome !== undefined)

const tell = (line: string) => void process.stdout.write(`${line}\n`)

describe("connections", () => {
  it.live.each(
    [["through tunnels"], ["with a handshake each", "--without-tunnels"]] as const
  )("2,000 that are opened at once are all served, %s", ([how, ...flags]) =>
    Effect.gen(function*() {
      const { port } = yield* setUp(...flags)
      const begun = performance.now()
      const clients = Array.from({ length: 2000 }, () => new Client(port))
      const outcomes = yield* Effect.promise(() => Promise.all(clients.map((client, index) => client.say(`${index}`))))
      const took = Math.round(performance.now() - begun)
      clients.forEach(({ socket }) => socket.destroy())
      tell(
        `2,000 connections opened at once, ${how}: ${failures(outcomes).length} failed; all answered within ${took} ms`
      )
      assert.deepStrictEqual(failures(outcomes), [])
    }))

  it.live("10,000 that are idle are kept, and still served", () =>
    Effect.gen(function*() {
      const { api, port, web } = yield* setUp()
      const before = [resident(web.pid), resident(api.pid)]
      const clients: Array<Client> = []
      for (let batch = 0; batch < 100; batch++) {
        const fresh = Array.from({ length: 100 }, () => new Client(port))
        clients.push(...fresh)
        const outcomes = yield* Effect.promise(() => Promise.all(fresh.map((client) => client.say("hello"))))
        assert.deepStrictEqual(failures(outcomes), [])
      }
      yield* Effect.sleep("20 seconds")
      const open = [resident(web.pid), resident(api.pid)]
      const outcomes = yield* Effect.promise(() => Promise.all(clients.map((client) => client.say("still here"))))
      assert.deepStrictEqual(failures(outcomes), [])
      clients.forEach(({ socket }) => socket.end())
      const each = (index: number) => ((open[index]! - before[index]!) * 1024 / clients.length).toFixed(1)
      tell(
        `10,000 idle connections: ${before.map(Math.round).join(" and ")} MiB before, ${
          open.map(Math.round).join(" and ")
        } MiB with them, on the calling and on the called side: ${each(0)} and ${each(1)} KiB each`
      )
    }))
})
