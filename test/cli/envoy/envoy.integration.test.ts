import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { chmodSync, existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import * as Target from "../../../src/cli/envoy/Target.ts"
import * as Agent from "../../parity/Agent.ts"
import * as meshCommand from "../../support/meshCommand.ts"
import { eventually } from "../../support/sockets.ts"
import * as temporary from "../../support/temporary.ts"

/** In place of an Envoy: says what it was started with, and ends as it is told to. */
const standIn = Effect.fnUntraced(function*(script: string) {
  const path = join(yield* temporary.folder, "envoy")
  writeFileSync(
    path,
    `#!${process.execPath}\nconst fs = require("node:fs")\nconst config = process.argv[process.argv.indexOf("--config-path") + 1]\n${script}\n`
  )
  chmodSync(path, 0o755)
  return path
})

const up = Effect.gen(function*() {
  const running = yield* DevelopmentAgent.make({ port: 0, grpcPort: 0 })
  const agent = Agent.make(running.address, undefined)
  yield* agent.ask("PUT", "/v1/agent/service/register", {
    ID: "web-1",
    Name: "web",
    Port: 1000,
    Connect: { SidecarService: { Port: 1001, Checks: [] } }
  })
  return { ...running, agent }
})

describe("effect-mesh envoy", () => {
  it.live("prints what the sidecar of a service starts with, where the agent says that it is asked", () =>
    Effect.gen(function*() {
      const { address, grpcPort } = yield* up
      const { code, output } = yield* meshCommand.run(
        ...["envoy", "-sidecar-for", "web-1", "-bootstrap", "-http-addr", address, "-token", "abc"]
      )
      assert.strictEqual(code, 0)
      const bootstrap = JSON.parse(output)
      assert.deepStrictEqual(bootstrap.node, {
        cluster: "web",
        id: "web-1-sidecar-proxy",
        metadata: { namespace: "default", partition: "default" }
      })
      const [{ load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint }] }] } }] =
        bootstrap.static_resources.clusters
      assert.deepStrictEqual(endpoint.address, { socket_address: { address: "127.0.0.1", port_value: grpcPort } })
      assert.deepStrictEqual(bootstrap.dynamic_resources.ads_config.grpc_services[0].initial_metadata, [
        { key: "x-consul-token", value: "abc" }
      ])
    }).pipe(Effect.scoped))

  it.live("starts it with what it needs, which nobody else can read, and ends with its exit code", () =>
    Effect.gen(function*() {
      const { address } = yield* up
      const binary = yield* standIn(`
        const { mode } = fs.statSync(config)
        const { node } = JSON.parse(fs.readFileSync(config, "utf8"))
        console.log([node.id, (mode & 0o777).toString(8), config, ...process.argv.slice(4)].join(" "))
        process.exit(42)`)
      const { code, output, printed } = yield* meshCommand.run(
        ...["envoy", "--proxy-id", "web-1-sidecar-proxy", "--http-addr", address, "--envoy-binary", binary],
        ...["--", "-l", "debug"]
      )
      const [id, mode, config = "", ...rest] = output.trim().split(" ")
      assert.deepStrictEqual([id, mode, ...rest], [
        "web-1-sidecar-proxy",
        "600",
        "--disable-hot-restart",
        "-l",
        "debug"
      ])
      assert.strictEqual(code, 42)
      assert.include(printed, "Envoy ended with exit code 42")
      assert.isFalse(existsSync(config))
    }).pipe(Effect.scoped))

  it.live("passes signals on, and waits for its end", () =>
    Effect.gen(function*() {
      const { address } = yield* up
      const binary = yield* standIn(`
        process.on("SIGUSR1", () => console.log("reopened"))
        process.on("SIGTERM", () => setTimeout(() => { console.log("drained"); process.exit(0) }, 200))
        setInterval(() => {}, 1000)
        console.log("started")`)
      const program = yield* meshCommand.mesh(
        ...["envoy", "--sidecar-for", "web-1", "--http-addr", address, "--envoy-binary", binary]
      )
      yield* eventually(() => program.output().includes("started"))
      program.process.kill("SIGUSR1")
      yield* eventually(() => program.output().includes("reopened"))
      program.process.kill("SIGTERM")
      assert.strictEqual(yield* program.ended, 0)
      assert.include(program.output(), "drained")
    }).pipe(Effect.scoped))

  it.live("says what to do where there is no Envoy", () =>
    Effect.gen(function*() {
      const { address } = yield* up
      const { code, printed } = yield* meshCommand.run(
        ...["envoy", "--sidecar-for", "web-1", "--http-addr", address, "--envoy-binary", "/no/such/envoy"]
      )
      assert.strictEqual(code, 1)
      assert.include(printed, "Install Envoy, or name it with --envoy-binary")
    }).pipe(Effect.scoped))

  it.live("says what to do where the agent serves no Envoys", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      yield* Agent.make(address, undefined).ask("PUT", "/v1/agent/service/register", {
        Name: "web",
        Port: 1000,
        Connect: { SidecarService: { Port: 1001, Checks: [] } }
      })
      const { code, printed } = yield* meshCommand.run(
        ...["envoy", "--sidecar-for", "web", "--bootstrap", "--http-addr", address]
      )
      assert.strictEqual(code, 1)
      assert.include(printed, "start it with --grpc-port 8502")
    }).pipe(Effect.scoped))

  it.live("finds the only mesh gateway of the agent", () =>
    Effect.gen(function*() {
      const { address, agent } = yield* up
      yield* agent.ask("PUT", "/v1/agent/service/register", {
        Kind: "mesh-gateway",
        ID: "gateway-1",
        Name: "mesh-gateway",
        Address: "127.0.0.1",
        Port: 8443
      })
      const { output } = yield* meshCommand.run(
        ...["envoy", "-gateway", "mesh", "-bootstrap", "-http-addr", address]
      )
      assert.strictEqual(JSON.parse(output).node.id, "gateway-1")
    }).pipe(Effect.scoped))
})

describe("the address of gRPC", () => {
  it.each([
    ["127.0.0.1:8502", { host: "127.0.0.1", port: 8502 }],
    ["http://localhost:8502", { host: "127.0.0.1", port: 8502 }],
    [":8502", { host: "127.0.0.1", port: 8502 }],
    ["[::1]:8502", { host: "::1", port: 8502 }],
    ["unix:///run/consul.sock", { path: "/run/consul.sock" }]
  ])("may be %s", (text, expected) => assert.deepStrictEqual(Result.getOrThrow(Target.parse(text)), expected))

  it.each(["8502", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0"])("may not be %s", (text) => {
    assert.isTrue(Result.isFailure(Target.parse(text)))
  })
})
