import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import type * as Finding from "../../src/cli/check/Finding.ts"
import type * as PrintConfig from "../../src/cli/proxy/PrintConfig.ts"
import { badAgent, refusing } from "../support/agents.ts"
import { freePort } from "../support/ports.ts"
import { closedPort } from "../support/sockets.ts"
import { mesh, run } from "../support/meshCommand.ts"
import * as temporary from "../support/temporary.ts"

const until = (fact: () => boolean, otherwise: () => string) =>
  Effect.suspend(() => fact() ? Effect.void : Effect.fail(otherwise())).pipe(
    Effect.retry(Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(1000)]))
  )

const listens = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.once("connect", () => resume(Effect.succeed(true)))
    socket.once("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

// Each case waits for programs of its own.
describe("effect-mesh", { concurrent: true }, () => {
  it.live("waits at the start while the agent does not know the token yet, and says so once", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response, count) =>
        refusing(count < 3 ? 403 : 400, count < 3 ? "ACL not found" : "enough")(response)
      )
      const { code, printed } = yield* run("proxy", "--sidecar-for", "web", "--http-addr", agent.address)
      assert.strictEqual(code, 1)
      assert.isAtLeast(agent.requests.length, 3)
      assert.strictEqual(printed.match(/ACL not found/g)?.length, 1)
      assert.match(printed, /While it starts or has no leader .* Asking again for 60 seconds/)
      assert.match(printed, /effect-mesh: .* refused the request with status 400 \(enough\)\n$/)
    }))

  it.live("says in one line that the agent is not there at the start", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const { printed } = yield* run(
        "proxy",
        "--sidecar-for",
        "web",
        "--start-timeout",
        "1",
        "--http-addr",
        `127.0.0.1:${port}`
      )
      assert.strictEqual(printed.match(/WARN/g)?.length, 1, printed)
      assert.notInclude(printed, "What is known stays in force")
    }))

  it.live("prints its version, and help for every command", () =>
    Effect.gen(function*() {
      const version = yield* run("--version")
      assert.strictEqual(version.code, 0)
      assert.match(version.printed, /\d+\.\d+\.\d+/)
      for (const command of [[], ["agent"], ["proxy"], ["check"], ["top"], ["up"]]) {
        const { code, printed } = yield* run(...command, "--help")
        assert.strictEqual(code, 0, printed)
        assert.match(printed, /USAGE/)
      }
    }))

  it.live.each(
    [
      ["proxies named twice", ["proxy", "--node", "--sidecar-for", "x"], "leave out --sidecar-for and --proxy-id"],
      ["no proxy named", ["proxy"], "--sidecar-for SERVICE or --proxy-id ID"],
      ["a file that is not there", ["up", "/none/mesh.json"], "/none/mesh.json"],
      ["a time that is none", ["proxy", "--proxy-id", "x", "--start-timeout", "-2"], "a number of seconds above 0"],
      ["settings that cannot work", ["proxy", "--proxy-id", "x", "--http-addr", "ftp://x"], "unknown scheme"],
      ["a file that is not there", ["proxy", "--proxy-id", "x", "--ca-file", "/none.pem"], "--ca-file names /none.pem"]
    ] as const
  )("ends with 1 on %s, saying what to do", ([, args, text]) =>
    Effect.gen(function*() {
      const { code, printed } = yield* run(...args)
      assert.strictEqual(code, 1, printed)
      assert.include(printed, text)
      assert.notInclude(printed, "    at ", "no stack trace")
    }))

  it.live("thinks of the token where no sidecar is to be seen, and names what it needs", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const { code, printed } = yield* run("proxy", "-sidecar-for", "web", "-start-timeout", "1", "-http-addr", address)
      assert.strictEqual(code, 1, printed)
      assert.include(printed, "no sidecar is registered for a service with the ID web")
      assert.include(printed, "or the token may not see it")
      assert.include(printed, "service:write on web and service:read on web-sidecar-proxy")
    }))

  it.live("serves several services in one process, or all of the agent, until it is told to stop", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const ports = [yield* freePort, yield* freePort, yield* freePort]
      for (const [i, name] of ["one", "two", "three"].entries()) {
        yield* Effect.promise(() =>
          fetch(`${address}/v1/agent/service/register`, {
            method: "PUT",
            body: JSON.stringify({ Name: name, Port: 1, Connect: { SidecarService: { Port: ports[i] } } })
          })
        )
      }
      const listening = Effect.forEach(ports, listens)
      const two = yield* mesh("proxy", "-sidecar-for", "one", "-sidecar-for=two", "-http-addr", address)
      yield* until(() => (two.output().match(/-sidecar-proxy is spiffe:/g) ?? []).length === 2, two.printed)
      assert.deepStrictEqual(yield* listening, [true, true, false])
      two.process.kill("SIGTERM")
      assert.strictEqual(yield* two.ended, 0, two.printed())
      const all = yield* mesh("proxy", "--node", "--admin-bind", "127.0.0.1:0", "--http-addr", address)
      yield* until(() => (all.output().match(/-sidecar-proxy is spiffe:/g) ?? []).length === 3, all.printed)
      assert.deepStrictEqual(yield* listening, [true, true, true])
      // It comes by another pipe.
      yield* until(() => /INFO \[three-sidecar-proxy\] public: listening on/.test(all.printed()), all.printed)
      yield* until(() => /the admin interface answers at \S+\s/.test(all.printed()), all.printed)
      const admin = /the admin interface answers at (\S+)/.exec(all.printed())?.[1]
      const ready = yield* Effect.promise(() => fetch(`${admin}/ready`).then((r) => r.text()))
      for (const name of ["one", "two", "three"]) assert.include(ready, `${name}-sidecar-proxy`)
      all.process.kill("SIGTERM")
      assert.strictEqual(yield* all.ended, 0, all.printed())
      assert.deepStrictEqual(yield* listening, [false, false, false])
    }))

  it.live("takes flags with one dash, as Consul does", () =>
    Effect.gen(function*() {
      const hanging = yield* badAgent(() => {})
      const { code, printed } = yield* run(
        "proxy",
        "-proxy-id",
        "web-sidecar-proxy",
        "-start-timeout=1",
        `-http-addr=${hanging.address}`
      )
      assert.strictEqual(code, 1, printed)
      assert.match(printed, /the proxy registration did not arrive within 1s/)
    }))

  it.live("says what is wrong with a call before anything else, and no more than where to read on", () =>
    Effect.gen(function*() {
      const { code, printed } = yield* run("proxy", "-sidecar-fro", "web")
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(printed.trim().split("\n"), [
        "effect-mesh proxy: there is no flag --sidecar-fro; did you mean --sidecar-for?",
        "usage: effect-mesh proxy [flags] (effect-mesh proxy --help says more)"
      ])
    }))

  it.live("says everything in JSON on standard error where that is asked for", () =>
    Effect.gen(function*() {
      const agent = yield* mesh("agent", "-log-json", "-port", "0")
      yield* until(() => agent.printed().includes("http://"), agent.printed)
      agent.process.kill("SIGTERM")
      assert.strictEqual(yield* agent.ended, 0)
      const [usage, wrong] = yield* Effect.all(
        [run("proxy", "--log-json"), run("proxy", "--bogus", "--log-json")],
        { concurrency: 2 }
      )
      const lines = [agent.printed(), usage.printed, wrong.printed].join("").trim().split("\n")
      const messages = lines.map((line) => JSON.stringify((JSON.parse(line) as { readonly message: unknown }).message))
      for (const text of ["agent answers at", "stopping", "which proxy?", "no flag --bogus"]) {
        assert.isTrue(messages.some((message) => message.includes(text)), `${text} in ${messages.join("\n")}`)
      }
      assert.strictEqual(agent.output(), "")
    }))

  it.live("ends with 1 when the agent does not answer, within the time it was given", () =>
    Effect.gen(function*() {
      const hanging = yield* badAgent(() => {})
      const { code, printed } = yield* run(
        "proxy",
        "--proxy-id",
        "web-sidecar-proxy",
        "--start-timeout",
        "1",
        "--http-addr",
        hanging.address
      )
      assert.strictEqual(code, 1, printed)
      assert.match(printed, /the proxy registration did not arrive within 1s/)
    }))

  it.live("ends with 1 at once when the agent's port is taken, and names it", () =>
    Effect.gen(function*() {
      const taken = yield* badAgent(() => {})
      const { code, printed } = yield* run("agent", "--port", String(taken.port))
      assert.strictEqual(code, 1, printed)
      assert.include(printed, String(taken.port))
    }))

  it.live("runs an agent until it is told to stop", () =>
    Effect.gen(function*() {
      const agent = yield* mesh("agent", "--port", "0")
      yield* until(() => agent.printed().includes("http://"), agent.printed)
      const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(agent.printed())?.[1])
      assert.isTrue(yield* listens(port))
      agent.process.kill("SIGTERM")
      assert.strictEqual(yield* agent.ended, 0)
      assert.isFalse(yield* listens(port))
    }))

  it.live("brings a mesh up, and leaves neither process nor port behind when it is stopped", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      const [app, upstream] = [yield* freePort, yield* freePort]
      const [echo, caller] = [yield* freePort, yield* freePort]
      writeFileSync(
        join(folder, "app.mjs"),
        "import { createServer } from 'node:http'\n" +
          "createServer((_, r) => r.end(String(process.pid))).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('pid', process.pid))\n"
      )
      writeFileSync(
        join(folder, "mesh.json"),
        JSON.stringify({
          default_intention_policy: "allow",
          services: [
            { name: "echo", port: app, connect: { sidecar_service: { port: echo } } },
            {
              name: "caller",
              port: 1,
              connect: {
                sidecar_service: {
                  port: caller,
                  proxy: { upstreams: [{ destination_name: "echo", local_bind_port: upstream }] }
                }
              }
            }
          ],
          applications: { echo: { command: ["node", "app.mjs"] } }
        })
      )
      const up = yield* mesh("up", "--agent-port", "0", join(folder, "mesh.json"))
      yield* until(() => up.printed().includes("Who may call whom"), up.printed)
      const answer = yield* Effect.promise(() => fetch(`http://127.0.0.1:${upstream}/`).then((r) => r.text()))
      yield* until(() => up.printed().includes(`[echo] pid ${answer}`), up.printed)
      yield* until(() => /✓ caller → echo/.test(up.printed()), up.printed)
      up.process.kill("SIGINT")
      assert.strictEqual(yield* up.ended, 0, up.printed())
      for (const port of [app, upstream, echo, caller]) assert.isFalse(yield* listens(port), `port ${port} is open`)
      assert.throws(() => process.kill(Number(answer), 0), /ESRCH/)
    }))

  it.live("names the port of an application that another program has", () =>
    Effect.gen(function*() {
      const taken = yield* badAgent(() => {})
      const folder = yield* temporary.folder
      writeFileSync(
        join(folder, "mesh.json"),
        JSON.stringify({
          service: { name: "web", port: taken.port },
          applications: { web: { command: ["node", "-e", "setInterval(() => {}, 1000)"] } }
        })
      )
      const { code, printed } = yield* run("up", "--agent-port", "0", join(folder, "mesh.json"))
      assert.strictEqual(code, 1, printed)
      assert.include(printed, `the application of web cannot be started: its port ${taken.port} is taken`)
    }))

  it.live("ends what it started when its terminal is closed", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      writeFileSync(
        join(folder, "mesh.json"),
        JSON.stringify({
          service: { name: "web", port: yield* freePort },
          applications: {
            web: { command: ["node", "-e", "console.log('pid', process.pid); setInterval(() => {}, 1000)"] }
          }
        })
      )
      const up = yield* mesh("up", "--agent-port", "0", join(folder, "mesh.json"))
      yield* until(() => /pid \d+\s/.test(up.printed()), up.printed)
      up.process.kill("SIGHUP")
      assert.strictEqual(yield* up.ended, 0, up.printed())
      assert.throws(() => process.kill(Number(/pid (\d+)/.exec(up.printed())![1]), 0), /ESRCH/)
    }))

  it.live("goes on when nobody reads its output any more", () =>
    Effect.gen(function*() {
      const agent = yield* mesh("agent", "--port", "0")
      yield* until(() => agent.printed().includes("Ctrl-C"), agent.printed)
      const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(agent.printed())?.[1])
      agent.process.stdout?.destroy()
      agent.process.stderr?.destroy()
      const upper = yield* mesh("proxy", "--proxy-id", "x", "--start-timeout", "1", "--http-addr", `127.0.0.1:${port}`)
      upper.process.stdout?.destroy()
      upper.process.stderr?.destroy()
      assert.strictEqual(yield* upper.ended, 1)
      assert.isTrue(yield* listens(port))
    }))

  it.live("stops everything when an application ends, saying which", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      writeFileSync(
        join(folder, "mesh.json"),
        JSON.stringify({
          service: { name: "short", port: yield* freePort },
          applications: { short: { command: ["node", "-e", "console.log('bye')"] } }
        })
      )
      const { code, printed } = yield* run("up", "--agent-port", "0", join(folder, "mesh.json"))
      assert.strictEqual(code, 1, printed)
      assert.include(printed, "[short] bye")
      assert.include(printed, "the application of short ended by itself with exit code 0")
    }))

  it.live("prints what would be in force and where it comes from, as a file to start from, and no secret", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      yield* Effect.promise(() =>
        fetch(`${address}/v1/agent/service/register`, {
          method: "PUT",
          body: JSON.stringify({
            Name: "web",
            Port: 18_090,
            Connect: {
              SidecarService: {
                Port: 18_091,
                Proxy: {
                  Config: { local_connect_timeout_ms: 700 },
                  Upstreams: [{ DestinationName: "api", LocalBindPort: 18_092 }]
                }
              }
            }
          })
        })
      )
      const folder = yield* temporary.folder
      const [first, second] = [join(folder, "first.yaml"), join(folder, "second.yaml")]
      writeFileSync(first, `sidecar-for: web\nstart-timeout: 5\ntoken: hush\n`)
      const printed = yield* run("proxy", "--config", first, "-http-addr", address, "-stale", "--print-config")
      assert.strictEqual(printed.code, 0, printed.printed)
      assert.notInclude(printed.printed, "hush")
      for (
        const line of [
          /^stale: true +# flag$/m,
          /^start-timeout: 5 +# .*first.yaml$/m,
          /^# token: \(secret\) +# .*first.yaml$/m,
          /^spiffe: "strict" +# default$/m,
          /^# {3}listen: 0.0.0.0:18091 +# registration$/m,
          /^# {3}local_connect_timeout_ms: 700 ms +# registration$/m,
          /^# {3}handshake_timeout_ms: 10000 ms +# default$/m,
          /^# {3}upstream api: 127.0.0.1:18092 +# registration$/m
        ]
      ) assert.match(printed.printed, line)
      writeFileSync(second, printed.output)
      const again = yield* run("proxy", "--config", second, "--print-config", "--log-json")
      const { proxy, settings } = JSON.parse(again.output) as PrintConfig.Printed
      const of = (entries: ReadonlyArray<PrintConfig.Entry>, named: string) =>
        entries.find(({ name }) => name === named)
      assert.deepStrictEqual(of(settings, "stale"), { name: "stale", value: true, from: second })
      assert.deepStrictEqual(of(proxy, "service"), { name: "service", value: "web", from: "registration" })
    }))

  it.live("prints settings also where the agent tells nothing of the proxy, and ends with 1", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const { code, output, printed } = yield* run("proxy", "-proxy-id=x", `-http-addr=${address}`, "--print-config")
      assert.strictEqual(code, 1, printed)
      assert.match(output, /^proxy-id: "x" +# flag$/m)
      assert.match(printed, /effect-mesh: GET \/v1\/agent\/service\/x/)
    }))

  it.live("opens the admin interface on this machine for -pprof-addr, which Consul's proxy has for it", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const line = ["proxy", "-service", "web", "-upstream", `api:${yield* freePort}`, "-http-addr", address]
      const program = yield* mesh(...line, "-pprof-addr", ":0")
      yield* until(() => /admin interface answers at http:\/\/127.0.0.1:\d+/.test(program.printed()), program.printed)
      program.process.kill("SIGTERM")
      const { code, printed } = yield* run(...line, "-pprof-addr", "0.0.0.0:0")
      assert.strictEqual(code, 1)
      assert.match(printed, /^effect-mesh: --pprof-addr is "0.0.0.0:0", which other machines may reach/)
    }))

  it.live("checks what a proxy needs, and tells by its exit code whether something is broken", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const [here, there] = [yield* freePort, yield* freePort]
      const check = (...args: ReadonlyArray<string>) => run("check", "-service=web", "-http-addr", address, ...args)
      const broken = yield* check("-upstream", `api:${here}`)
      assert.strictEqual(broken.code, 2, broken.printed)
      assert.match(broken.output, /^The agent\n {2}✓ the agent at /)
      assert.match(broken.output, /✗ the target api.* has no instance .*\n {6}→ Register one/)
      assert.match(broken.output, /\d+ in order, 1 broken \(✗\)\n$/)
      const api = yield* mesh(
        "proxy",
        ...["-service", "api", "-service-addr", `127.0.0.1:${there}`, "-listen", `127.0.0.1:${yield* freePort}`],
        ...["-register", "-http-addr", address]
      )
      yield* until(() => api.printed().includes("callers from the mesh"), api.printed)
      const fine = yield* check("-upstream", `api:${here}`, "-json", "-timeout", "10")
      assert.strictEqual(fine.code, 0, fine.printed)
      const { ok, sections } = JSON.parse(fine.output) as {
        readonly ok: boolean
        readonly sections: ReadonlyArray<Finding.Section>
      }
      assert.isTrue(ok)
      assert.deepStrictEqual(sections.map(({ about }) => about), [
        "The agent",
        "The certificate of web",
        "Ports of web",
        "The upstream api of web"
      ])
      const wrong = yield* run("check", "-http-addr", address)
      assert.strictEqual(wrong.code, 1, wrong.printed)
    }))

  it.live("shows what a running sidecar does, over a port and over a socket", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const socket = join(yield* temporary.folder, "admin.sock")
      const local = yield* freePort
      const line = ["-service", "web", "-upstream", `api:${local}`, "-http-addr", address]
      const program = yield* mesh("proxy", ...line, "-admin-bind", `unix:${socket}`)
      yield* until(() => program.printed().includes("the application →"), program.printed)
      const shown = yield* run("top", `unix:${socket}`, "--interval", "0.1")
      assert.strictEqual(shown.code, 0, shown.printed)
      assert.match(shown.output, /^effect-mesh top · unix:.*admin.sock · version .* · pid \d+/)
      assert.match(shown.output, new RegExp(`▶ api +127.0.0.1:${local} +no instance +0 `))
      const away = yield* run("top", `127.0.0.1:${yield* freePort}`)
      assert.strictEqual(away.code, 1)
      assert.match(away.printed, /^effect-mesh: cannot read the admin interface at .*ECONNREFUSED.* --admin-bind 127/)
      const wrong = yield* run("top", address.replace("http://", ""))
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.printed, /what answers there is no admin interface/)
      const none = yield* run("top")
      assert.match(none.printed, /^effect-mesh: which sidecar\?/)
    }))
})
