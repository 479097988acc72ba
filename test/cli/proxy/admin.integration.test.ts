import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import * as Admin from "../../support/admin.ts"
import * as consul from "../../support/consul.ts"
import { run } from "../../support/meshCommand.ts"
import * as SidecarProcess from "../../support/sidecarProcess.ts"
import { eventually, eventuallyEffect } from "../../support/sockets.ts"
import { folder } from "../../support/temporary.ts"

/** Registered for the scope, and its sidecar as a process of its own, with a socket for operators. */
const proxyWith = Effect.fnUntraced(function*(delay: string, ...more: ReadonlyArray<string>) {
  const name = consul.fresh("admin")
  yield* consul.register({ name, port: 1, sidecar: { port: yield* consul.freePort } })
  const socketPath = join(yield* folder, "admin.sock")
  const running = yield* SidecarProcess.start({
    args: [
      "--sidecar-for",
      name,
      "--admin-bind",
      `unix:${socketPath}`,
      "--shutdown-delay",
      delay,
      "--audit",
      ...more
    ],
    env: { ...(yield* consul.variables), CONSUL_HTTP_TOKEN: "a-token-that-nobody-may-see" }
  })
  const ask = (method: string, path: string) => Admin.request({ socketPath, method, path })
  return { ...running, ask, name }
})

const proxy = proxyWith("0")

describe("effect-mesh proxy --admin-bind", () => {
  it.live("says of each setting where it comes from, that nothing is enforced, and no token anywhere", () =>
    Effect.gen(function*() {
      const { ask, name } = yield* proxy
      const config = JSON.parse((yield* ask("GET", "/config")).text) as {
        readonly settings: ReadonlyArray<{ readonly name: string; readonly value: unknown; readonly from: string }>
      }
      const of = (setting: string) => config.settings.find((each) => each.name === setting)
      assert.deepStrictEqual(of("sidecar-for"), { name: "sidecar-for", value: [name], from: "flag" })
      assert.deepStrictEqual(of("audit"), { name: "audit", value: true, from: "flag" })
      assert.deepStrictEqual(of("token"), { name: "token", value: "(secret)", from: "CONSUL_HTTP_TOKEN" })
      assert.deepStrictEqual(of("spiffe"), { name: "spiffe", value: "strict", from: "default" })
      assert.include((yield* ask("GET", "/snapshot")).text, `"audited":true`)
      assert.include((yield* ask("GET", "/intentions")).text, `"audited":true`)
      for (const path of ["/config", "/certs", "/snapshot", "/graph", "/watches", "/intentions", "/metrics", "/"]) {
        const { status, text } = yield* ask("GET", path)
        assert.strictEqual(status, 200, path)
        assert.notInclude(text, "nobody-may-see", path)
        assert.notInclude(text, "PRIVATE KEY", path)
      }
    }).pipe(Effect.provide(consul.layer)))

  it.live("changes what the process logs, while it runs", () =>
    Effect.gen(function*() {
      const { ask, output } = yield* proxy
      assert.strictEqual((yield* ask("POST", "/logging?level=error")).status, 200)
      yield* eventually(() => output().includes("the log level was info, and is error now"))
      assert.strictEqual((yield* ask("POST", "/logging?level=debug")).status, 200)
      yield* eventually(() => output().includes("the log level was error, and is debug now"))
    }).pipe(Effect.provide(consul.layer)))

  it.live("drains on request, and ends when it has left", () =>
    Effect.gen(function*() {
      const { ask, exited } = yield* proxy
      assert.strictEqual((yield* ask("GET", "/ready")).status, 200)
      assert.strictEqual((yield* ask("POST", "/drain")).status, 202)
      assert.strictEqual(yield* exited, 0)
    }).pipe(Effect.provide(consul.layer)))

  it.live.each([["one sidecar", []], ["several", ["--sidecar-for", "nobody-yet"]]] as const)(
    "says of %s that they leave, until they have left",
    ([, more]) =>
      Effect.gen(function*() {
        const { ask, exited, name, output, pid } = yield* proxyWith("2", ...more)
        yield* eventuallyEffect(Effect.map(ask("GET", "/certs"), ({ text }) => text.includes(`svc/${name}`)))
        process.kill(pid, "SIGTERM")
        yield* eventually(() => output().includes("leaves: callers are told"))
        assert.strictEqual((yield* ask("GET", "/ready")).status, 503)
        assert.strictEqual(yield* exited, 0)
      }).pipe(Effect.provide(consul.layer))
  )

  it.live.each(
    [
      [
        ["--admin-bind", "0.0.0.0:19000"],
        /--admin-bind is "0.0.0.0:19000", which other machines may reach: .*--admin-allow-remote/
      ],
      [["--admin-bind", "nowhere"], /--admin-bind is "nowhere": write 127.0.0.1:PORT/],
      [["--admin-token-file", "/none"], /Add --admin-bind/],
      [
        ["--admin-bind", "127.0.0.1:0", "--admin-token-file", "/none"],
        /--admin-token-file names \/none, which cannot be read: ENOENT/
      ]
    ] as const
  )("ends with one clear line for %j", ([args, line]) =>
    Effect.gen(function*() {
      const { code, printed } = yield* run("proxy", "--sidecar-for", "web", ...args)
      assert.strictEqual(code, 1, printed)
      assert.match(printed, line)
      assert.notInclude(printed, "    at ")
    }))
})
