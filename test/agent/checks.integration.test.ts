/** Checks of the development agent, as registrations of a real one write them. Answers are those of Consul 1.21. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, type Schema } from "effect"
import * as Http2 from "node:http2"
import type { AddressInfo } from "node:net"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"

const put = (agent: DevelopmentAgent.DevelopmentAgent, path: string, body: Schema.Json) =>
  Effect.promise(async () => {
    const response = await fetch(`${agent.address}/v1/agent/${path}`, { method: "PUT", body: JSON.stringify(body) })
    return `${response.status} ${(await response.text()).trim()}`.trim()
  })

const registered = (agent: DevelopmentAgent.DevelopmentAgent, check: Schema.Json) =>
  put(agent, "service/register", { name: "a", check })

/** What a check says once it has run. */
const outcome = (agent: DevelopmentAgent.DevelopmentAgent, until: (output: string) => boolean) =>
  Effect.tryPromise(async () => {
    const response = await fetch(`${agent.address}/v1/agent/checks`)
    const checks = (await response.json()) as Record<string, { readonly Status: string; readonly Output: string }>
    return checks["service:a"]!
  }).pipe(
    Effect.filterOrFail(({ Output }) => until(Output)),
    Effect.retry(Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(1000)])),
    Effect.map(({ Output, Status }) => [Status, Output.trim()] as const)
  )

/** Speaks gRPC's protocol about health: `serving` is the answer for each service. */
const healthServer = (serving: Readonly<Record<string, number>>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Http2.Http2Server>((resume) => {
        const server = Http2.createServer()
        server.on("stream", (stream) => {
          let asked = Buffer.alloc(0)
          stream.on("data", (chunk: Buffer) => asked = Buffer.concat([asked, chunk]))
          stream.on("end", () => {
            const status = serving[asked.subarray(7).toString()]
            stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
            stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status === undefined ? "5" : "0" }))
            stream.end(status === undefined ? undefined : Buffer.from([0, 0, 0, 0, 2, 0x08, status]))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as AddressInfo).port
  )

describe("the checks of a registration", () => {
  const disabled =
    "500 Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"

  it.live("are answered as Consul answers them", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const unknown = (key: string) => `400 Request decode failed: json: unknown field "${key}"`
      const answers: ReadonlyArray<readonly [Schema.Json, string]> = [
        [{ check_id: "c", ttl: "5s" }, unknown("check_id")],
        [{ id: "c", ttl: "5s" }, unknown("id")],
        [{ CheckID: "c", ttl: "5s" }, "200"],
        [{ checkid: "c", ttl: "5s" }, "200"],
        [{ Script: "/bin/true", interval: "5s" }, unknown("Script")],
        [{ failures_before_critical: 2, ttl: "5s" }, unknown("failures_before_critical")],
        [{ FailuresBeforeCritical: 2, ttl: "5s" }, "200"],
        [{ Args: ["/bin/true"], interval: "5s" }, disabled],
        [{ args: ["/bin/true"], interval: "5s" }, disabled],
        [{ script_args: ["/bin/true"], interval: "5s" }, disabled],
        [{ docker_container_id: "x", args: ["/bin/true"], interval: "5s" }, disabled],
        [{ DockerContainerID: "x", interval: "5s" }, "400 Invalid check: TTL must be > 0 for TTL checks"],
        [{ grpc_use_tls: true, grpc: "127.0.0.1:1", interval: "5s" }, "200"],
        [{ h2ping_use_tls: false, h2ping: "127.0.0.1:1", interval: "5s" }, "200"]
      ]
      for (const [check, expected] of answers) {
        assert.strictEqual(yield* registered(agent, check), expected, JSON.stringify(check))
      }
      assert.strictEqual(
        yield* put(agent, "check/register", { name: "a", checkid: "c", ttl: "5s" }),
        unknown("checkid")
      )
      assert.strictEqual(yield* put(agent, "check/register", { name: "a", id: "c", ttl: "5s" }), "200")
    }))

  it.live("run programs only where that was allowed, and not for longer than they may", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0, enableScriptChecks: true })
      const script = (code: string, timeout = "10s") =>
        registered(agent, { args: [process.execPath, "-e", code], interval: "5s", timeout })
      assert.strictEqual(yield* script("console.log('fine')"), "200")
      assert.deepStrictEqual(yield* outcome(agent, (output) => output !== ""), ["passing", "fine"])
      yield* script("console.log('so so'); process.exitCode = 1")
      assert.deepStrictEqual(yield* outcome(agent, (output) => output.includes("so so")), ["warning", "so so"])
      yield* script("setInterval(() => {}, 1000)", "100ms")
      assert.deepStrictEqual(yield* outcome(agent, (output) => output.startsWith("Timed out")), [
        "critical",
        "Timed out (100ms) running check"
      ])
      assert.match(
        yield* registered(agent, { args: ["true"], docker_container_id: "x", interval: "5s" }),
        /^400 Invalid check: the development agent runs no Docker checks/
      )
    }))

  it.live("ask a server about its health by gRPC, and by a ping of HTTP/2", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const port = yield* healthServer({ "": 1, orders: 1, payments: 2 })
      const target = `127.0.0.1:${port}`
      const check = (fields: Schema.JsonObject) => registered(agent, { ...fields, interval: "5s" })
      yield* check({ grpc: target })
      assert.deepStrictEqual(yield* outcome(agent, (output) => output !== ""), [
        "passing",
        `gRPC check ${target}: success`
      ])
      yield* check({ grpc: `${target}/payments` })
      assert.deepStrictEqual(yield* outcome(agent, (output) => output.includes("payments")), [
        "critical",
        `gRPC ${target}/payments serving status: NOT_SERVING`
      ])
      yield* check({ grpc: `${target}/orders` })
      assert.strictEqual((yield* outcome(agent, (output) => output.includes("orders")))[0], "passing")
      yield* check({ grpc: `${target}/nobody` })
      assert.deepStrictEqual(yield* outcome(agent, (output) => output.includes("nobody")), [
        "critical",
        `gRPC check ${target}/nobody: status 5`
      ])
      yield* check({ h2ping: target, h2ping_use_tls: false })
      assert.deepStrictEqual(yield* outcome(agent, (output) => output.includes("ping")), [
        "passing",
        "HTTP2 ping was successful"
      ])
      yield* check({ grpc: `127.0.0.1:${agent.port}` })
      assert.strictEqual((yield* outcome(agent, (output) => output.includes(String(agent.port))))[0], "critical")
    }))
})
