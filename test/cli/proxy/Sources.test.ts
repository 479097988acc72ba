import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { flags } from "../../../src/cli/proxy/Flags.ts"
import * as Sources from "../../../src/cli/proxy/Sources.ts"
import * as temporary from "../../support/temporary.ts"

const file = (text: string, name = "proxy.yaml"): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(temporary.folder, (folder) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  })

const read = (args: string, environment: Sources.Environment = {}) =>
  Effect.promise(() => Sources.read(args.split(" "), environment))

const readable = (args: string, environment?: Sources.Environment) =>
  Effect.map(read(args, environment), (result) => {
    const { args, origins, strangers } = Result.getOrThrow(result)
    return { line: args.join(" "), origins: Object.fromEntries(origins), strangers }
  })

const refused = (text: string) =>
  Effect.gen(function*() {
    const path = yield* file(text)
    const why = Result.getOrThrow(Result.flip(yield* read(`proxy --config ${path}`)))
    return why.replace(path, "FILE")
  })

describe("Sources", () => {
  it.live("leaves alone what no other place says anything about", () =>
    Effect.gen(function*() {
      const { line, origins } = yield* readable("proxy --sidecar-for web")
      assert.strictEqual(line, "proxy --sidecar-for web")
      assert.deepStrictEqual(origins, { "sidecar-for": "flag" })
    }))

  it.live("leaves other commands alone", () =>
    Effect.gen(function*() {
      const { line } = yield* readable("certs --service web", { EFFECT_MESH_AUDIT: "true" })
      assert.strictEqual(line, "certs --service web")
    }))

  it.live.each(
    [
      ["--service a --service=b --listen :1 --service c", "--listen :1 --service c"],
      ["--service=a --audit --audit=false --service b", "--audit=false --service b"],
      ["--upstream a:1 --upstream b:2", "--upstream a:1 --upstream b:2"],
      ["--service a -- --service b", "--service a -- --service b"]
    ] as const
  )("takes the last of a flag that is given several times: %s", ([given, expected]) =>
    Effect.gen(function*() {
      const { line } = yield* readable(`proxy ${given}`)
      assert.strictEqual(line, `proxy ${expected}`)
    }))

  it.live("takes flags over variables over the file", () =>
    Effect.gen(function*() {
      const path = yield* file("sidecar-for: web\nstart-timeout: 1\naudit: true\nserver-header: me\n")
      const { line, origins } = yield* readable(`--log-level debug proxy --config ${path} --no-audit`, {
        EFFECT_MESH_START_TIMEOUT: "2",
        EFFECT_MESH_AUDIT: "true"
      })
      assert.strictEqual(
        line,
        "--log-level debug proxy --start-timeout=2 --sidecar-for=web --server-header=me " +
          `--config ${path} --no-audit`
      )
      assert.deepStrictEqual(origins, {
        "log-level": "flag",
        config: "flag",
        audit: "flag",
        "start-timeout": "EFFECT_MESH_START_TIMEOUT",
        "sidecar-for": path,
        "server-header": path
      })
    }))

  it.live("reads JSON, lists and a file that a variable names", () =>
    Effect.gen(function*() {
      const path = yield* file(`{"service": "web", "upstream": ["db:1", "api:2"], "listen": null, "stale": false}`)
      const { line } = yield* readable("proxy", { EFFECT_MESH_CONFIG: path })
      assert.strictEqual(
        line,
        `proxy --config=${path} --service=web --upstream=db:1 --upstream=api:2 --stale=false`
      )
    }))

  it.live("splits a variable of which there may be several", () =>
    Effect.gen(function*() {
      const { line } = yield* readable("proxy", { EFFECT_MESH_UPSTREAM: "db:1, api:2  log:3" })
      assert.strictEqual(line, "proxy --upstream=db:1 --upstream=api:2 --upstream=log:3")
    }))

  it.live("takes Consul's variables after its own, and an empty one for none", () =>
    Effect.gen(function*() {
      const path = yield* file("http-addr: file\ntls-server-name: file\nserver-header: file")
      const { line, origins } = yield* readable(`proxy --config ${path}`, {
        CONSUL_HTTP_ADDR: "consul",
        CONSUL_TLS_SERVER_NAME: "",
        EFFECT_MESH_SERVER_HEADER: "",
        CONNECT_SIDECAR_FOR: "other",
        EFFECT_MESH_SIDECAR_FOR: "web"
      })
      assert.strictEqual(
        line,
        `proxy --sidecar-for=web --tls-server-name=file --server-header=file --config ${path}`
      )
      assert.strictEqual(origins["http-addr"], "CONSUL_HTTP_ADDR")
      assert.strictEqual(origins["sidecar-for"], "EFFECT_MESH_SIDECAR_FOR")
    }))

  it.live.each(
    [
      ["--sidecar-for web", {}, "proxy-id: x", ""],
      ["--service web", { CONNECT_SIDECAR_FOR: "y" }, "proxy-id: x", ""],
      ["", { CONNECT_PROXY_ID: "y" }, "sidecar-for: x", "--proxy-id=y"],
      ["--token-file f", {}, "token: t", ""],
      ["", { CONSUL_HTTP_TOKEN_FILE: "f" }, "token: t", ""],
      ["", {}, "token: t", "--token=t"]
    ] as const
  )(
    "takes one of those that exclude one another: %s %o %s",
    ([flags, environment, text, expected]) =>
      Effect.gen(function*() {
        const path = yield* file(text)
        const { line } = yield* readable(["proxy", "--config", path, flags].join(" ").trim(), environment)
        assert.strictEqual(
          line.replace(`--config ${path}`, "").replace(flags, "").split(/\s+/).join(" ").trim(),
          [
            "proxy",
            expected
          ].join(" ").trim()
        )
      })
  )

  it.live("names variables that look like settings and are none, but for those of Kubernetes", () =>
    Effect.gen(function*() {
      const { strangers } = yield* readable("proxy", {
        EFFECT_MESH_SIDECAR_FRO: "web",
        EFFECT_MESH_SERVICE_HOST: "10.0.0.1",
        EFFECT_MESH_SERVICE_PORT_HTTP: "80",
        EFFECT_MESH_PORT: "tcp://10.0.0.1:80",
        EFFECT_MESH_PORT_80_TCP_ADDR: "10.0.0.1",
        EFFECT_MESH_LOG_LEVEL: "debug"
      })
      assert.deepStrictEqual(strangers, ["EFFECT_MESH_SIDECAR_FRO"])
    }))

  it.live("says what is wrong with a file", () =>
    Effect.gen(function*() {
      const missing = Result.getOrThrow(Result.flip(yield* read("proxy --config=/none/proxy.yaml")))
      assert.match(missing, /^--config names \/none\/proxy.yaml, which cannot be read \(ENOENT/)
      assert.match(yield* refused("a: [b"), /^FILE: .* at line 1, column 6$/)
      assert.match(yield* refused("- a"), /^FILE: write a map of flags without dashes/)
      assert.match(yield* refused("audit: { a: b }"), /^FILE: audit must be a text/)
      assert.match(yield* refused("config: other.yaml"), /^FILE: config cannot be set in a file/)
    }))

  it("calls flags as their options", () => {
    const named = Object.entries(flags).map(([option, flag]) => [Sources.flagOf(option), JSON.stringify(flag)] as const)
    for (const [name, definition] of named) assert.include(definition, `"name":"${name}"`)
  })
})
