import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, statSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import * as Admin from "../../support/admin.ts"
import * as agent from "../../support/consul.ts"
import { mesh, type Program, run } from "../../support/meshCommand.ts"
import * as SidecarProcess from "../../support/sidecarProcess.ts"
import * as Sockets from "../../support/sockets.ts"
import { folder } from "../../support/temporary.ts"

/** `web`, which calls `api`, over TCP and without tunnels: what is spread among workers are connections. */
const twoServices = Effect.fnUntraced(function*(bind?: Schema.JsonObject) {
  const { address } = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  const application = yield* Sockets.shouting
  const [api, web, upstream] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  const put = (path: string, body: Schema.JsonObject) =>
    Effect.promise(() => fetch(`${address}${path}`, { method: "PUT", body: JSON.stringify(body) }))
  const intention = (Action: "allow" | "deny") =>
    put("/v1/config", { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action }] })
  yield* intention("allow")
  yield* put("/v1/agent/service/register", {
    Name: "api",
    Port: application.port,
    Connect: {
      SidecarService: {
        Port: api,
        Proxy: { Config: { max_inbound_connections: 12 } },
        Checks: [{ Name: "always", TTL: "1h", Status: "passing" }]
      }
    }
  })
  yield* put("/v1/agent/service/register", {
    Name: "web",
    Port: 1,
    Connect: {
      SidecarService: {
        Port: web,
        Proxy: { Upstreams: [{ DestinationName: "api", ...(bind ?? { LocalBindPort: upstream }) }] }
      }
    }
  })
  return { address, intention, upstream }
})

/** In seconds: several processes start at once, beside those of other tests. */
const patience = 60

/** With a socket where operators ask. */
const proxy = Effect.fnUntraced(function*(address: string, service: string, workers: number) {
  const socketPath = join(yield* folder, "admin.sock")
  const program = yield* mesh(
    ...["proxy", "--sidecar-for", service, "--workers", String(workers), "--without-tunnels", "--http-addr", address],
    ...["--admin-bind", `unix:${socketPath}`, "--shutdown-delay", "0"]
  )
  const ask = (method: string, path: string) => Admin.request({ socketPath, method, path })
  yield* Sockets.eventually(() => program.printed().includes("the admin interface answers at"))
  yield* agent.eventually(Effect.filterOrFail(ask("GET", "/ready"), ({ status }) => status === 200), patience)
  return { ...program, ask }
})

type Proxy = Effect.Success<ReturnType<typeof proxy>>

/** By worker. */
const open = ({ ask }: Proxy, direction: "inbound" | "outbound") =>
  Effect.map(
    ask("GET", "/metrics"),
    ({ text }) =>
      [...text.matchAll(/^mesh_connections_open\{worker="(\d)",direction="(\w+)",service="\w+"\} (\d+)$/gm)]
        .filter(([, , of]) => of === direction)
        .map(([, worker, , count]) => [Number(worker), Number(count)] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, count]) => count)
  )

const workersOf = ({ ask }: Proxy) =>
  Effect.map(ask("GET", "/config"), ({ text }) =>
    (JSON.parse(text) as {
      readonly workers: ReadonlyArray<{ readonly pid: number; readonly state: string; readonly restarts: number }>
    }).workers)

const stopped = (program: Program) =>
  Effect.suspend(() => {
    program.process.kill("SIGTERM")
    return program.ended
  })

describe("effect-mesh proxy --workers", () => {
  it.live("gives each worker its turn, and outlives the end of one", () =>
    Effect.gen(function*() {
      const { address, intention, upstream } = yield* twoServices()
      const [api, web] = yield* Effect.all([proxy(address, "api", 3), proxy(address, "web", 2)], { concurrency: 2 })
      yield* agent.eventually(Sockets.said(upstream))
      yield* agent.eventually(Effect.filterOrFail(open(api, "inbound"), (counts) => counts.join() === "0,0,0"))

      // One after the other, as a worker that has yet to take its last one is passed over. Of a limit of 12, each of them takes 4.
      const client = Effect.gen(function*() {
        const socket = yield* Sockets.connect(upstream)
        const heard = Sockets.record(socket)
        const answered = (text: string) => {
          socket.write(text)
          return heard.until(text.toUpperCase())
        }
        yield* answered("first")
        return { socket, heard, answered }
      })
      const clients = yield* Effect.replicateEffect(client, 12)
      assert.deepStrictEqual(yield* open(web, "outbound"), [6, 6])
      assert.deepStrictEqual(yield* open(api, "inbound"), [4, 4, 4])
      assert.strictEqual(yield* Effect.flip(Sockets.said(upstream)), "closed")
      const connections = JSON.parse((yield* api.ask("GET", "/connections?limit=5")).text)
      assert.strictEqual(connections.sidecars.length, 1)
      assert.strictEqual(connections.sidecars[0].open, 12)
      assert.strictEqual(connections.sidecars[0].connections.length, 5)

      const [, second] = yield* workersOf(api)
      process.kill(second!.pid, "SIGKILL")
      yield* Sockets.eventually(() =>
        clients.filter(({ socket }) => socket.readableEnded || socket.destroyed).length === 4
      )
      const left = clients.filter(({ socket }) => !socket.readableEnded && !socket.destroyed)
      for (const { answered } of left) yield* answered("second")
      yield* agent.eventually(
        Effect.filterOrFail(workersOf(api), (workers) => workers.every(({ state }) => state === "Running")),
        patience
      )
      assert.deepStrictEqual((yield* workersOf(api)).map(({ restarts }) => restarts), [0, 1, 0])
      yield* Sockets.eventually(() => api.printed().includes("worker 2 ended with SIGKILL"))
      yield* agent.eventually(Sockets.said(upstream))
      for (const { answered } of left) yield* answered("third")

      yield* intention("deny")
      for (const { heard } of left) yield* heard.ending
      assert.strictEqual(yield* stopped(web), 0, web.printed())
      assert.strictEqual(yield* stopped(api), 0, api.printed())
    }), 120_000)

  it.live(
    "shares a Unix socket that only those may open who are told to, in the place of one that was left behind",
    () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "api.sock")
        spawnSync(process.execPath, [
          "-e",
          "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))",
          path
        ])
        assert.isTrue(statSync(path).isSocket())
        const { address } = yield* twoServices({ LocalBindSocketPath: path, LocalBindSocketMode: "0620" })
        const [api, web] = yield* Effect.all([proxy(address, "api", 1), proxy(address, "web", 3)], { concurrency: 2 })
        assert.strictEqual((statSync(path).mode & 0o777).toString(8), "620")
        const answered = Effect.callback<string>((resume) => {
          const socket = Net.connect({ path })
          socket.on("error", () => {})
          socket.on("close", () => resume(Effect.succeed("closed")))
          socket.once("data", (data) => {
            socket.destroy()
            resume(Effect.succeed(data.toString()))
          })
          socket.write("hello")
        })
        yield* agent.eventually(Effect.filterOrFail(answered, (text) => text === "HELLO"))
        for (let i = 0; i < 8; i++) assert.strictEqual(yield* answered, "HELLO")
        assert.strictEqual(yield* stopped(web), 0, web.printed())
        assert.isFalse(existsSync(path))
        assert.strictEqual(yield* stopped(api), 0, api.printed())
      }),
    60_000
  )

  it.live("drains all of them, and ends when they have left", () =>
    Effect.gen(function*() {
      const { address } = yield* twoServices()
      const api = yield* proxy(address, "api", 2)
      const pids = (yield* workersOf(api)).map(({ pid }) => pid)
      assert.strictEqual((yield* api.ask("POST", "/drain")).status, 202)
      assert.strictEqual(yield* api.ended, 0, api.printed())
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/)
    }), 120_000)

  it.live("leaves once, whoever is told to", () =>
    Effect.gen(function*() {
      const { address, upstream } = yield* twoServices()
      const [api, web] = yield* Effect.all([proxy(address, "api", 2), proxy(address, "web", 1)], { concurrency: 2 })
      yield* agent.eventually(Sockets.said(upstream))
      const client = yield* Sockets.connect(upstream)
      const heard = Sockets.record(client)
      client.write("first")
      yield* heard.until("FIRST")
      // As a terminal does it, and whoever ends a unit: all processes are told, beside the one that tells the others.
      for (const { pid } of yield* workersOf(api)) process.kill(pid, "SIGTERM")
      api.process.kill("SIGTERM")
      yield* Sockets.eventually(() => api.printed().includes("no longer listening"))
      client.write("second")
      yield* heard.until("SECOND")
      client.end()
      assert.strictEqual(yield* api.ended, 0, api.printed())
      assert.strictEqual(yield* stopped(web), 0, web.printed())
    }), 120_000)

  it.live("misses a worker that somebody else has told to end", () =>
    Effect.gen(function*() {
      const { address } = yield* twoServices()
      const api = yield* proxy(address, "api", 2)
      process.kill((yield* workersOf(api))[0]!.pid, "SIGTERM")
      yield* Sockets.eventually(() => api.printed().includes("worker 1 ended with code 0"))
      yield* agent.eventually(
        Effect.filterOrFail(workersOf(api), ([first]) => first?.state === "Running" && first.restarts === 1),
        patience
      )
      assert.strictEqual(yield* stopped(api), 0, api.printed())
    }), 120_000)

  it.live("ends its workers with it", () =>
    Effect.gen(function*() {
      const { address } = yield* twoServices()
      const api = yield* proxy(address, "api", 2)
      const pids = (yield* workersOf(api)).map(({ pid }) => pid)
      api.process.kill("SIGKILL")
      yield* Sockets.eventually(() => pids.every((pid) => !isThere(pid)))
    }), 120_000)

  it.live(
    "says once what is wrong with the command line, and ends where no worker can start",
    () =>
      Effect.gen(function*() {
        const usage = yield* run("proxy", "--workers", "3")
        assert.strictEqual(usage.code, 1)
        assert.strictEqual(usage.printed.split("which proxy?").length, 2, usage.printed)
        const wrong = yield* run("proxy", "--workers", "0", "--sidecar-for", "api")
        assert.strictEqual(wrong.code, 1)
        assert.include(wrong.printed, "a number of processes from 1 to 64, or auto")
        const { address } = yield* twoServices()
        const missing = yield* run(
          ...["proxy", "--sidecar-for", "nobody", "--workers", "2", "--start-timeout", "1", "--http-addr", address]
        )
        assert.strictEqual(missing.code, 1)
        assert.include(missing.printed, "before it took connections: its lines above say why")
      }),
    120_000
  )
})

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("effect-mesh gateway --workers", () => {
  it.live("is one gateway", () =>
    Effect.gen(function*() {
      const { address } = yield* twoServices()
      const port = yield* agent.freePort
      const { output, stop } = yield* SidecarProcess.start({
        command: "gateway",
        args: [
          ...["--mesh", "--register", "--proxy-id", "gate", "--http-addr", address, "--workers", "2"],
          ...["--address", `127.0.0.1:${port}`, "--shutdown-delay", "0"]
        ]
      })
      yield* Sockets.eventually(() => output().match(/listening on/g)?.length === 2)
      const registered = Effect.promise(async () => {
        const services = await (await fetch(`${address}/v1/agent/services`)).json() as Schema.JsonObject
        return Object.keys(services).filter((id) => id === "gate").length
      })
      assert.strictEqual(yield* registered, 1)
      assert.strictEqual(yield* stop, 0, output())
      assert.strictEqual(yield* registered, 0)
    }), 120_000)
})

describe("the socket of a worker", () => {
  it.live("is in a folder of its own, which goes with it", () =>
    Effect.gen(function*() {
      const { address } = yield* twoServices()
      const temporary = yield* folder
      const socketPath = join(yield* folder, "admin.sock")
      const { stop } = yield* SidecarProcess.start({
        args: [
          ...["--sidecar-for", "api", "--workers", "2", "--http-addr", address, "--shutdown-delay", "0"],
          ...["--admin-bind", `unix:${socketPath}`]
        ],
        env: { TMPDIR: temporary }
      })
      assert.deepStrictEqual(readdirSync(temporary).map((name) => name.slice(0, 12)), ["effect-mesh-"])
      assert.strictEqual(yield* stop, 0)
      assert.deepStrictEqual(readdirSync(temporary), [])
    }), 120_000)
})
