import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Logger, Redacted, Schedule, Stream, Tracer } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as ConsulError from "../../src/consul/ConsulError.ts"
import * as Settings from "../../src/consul/Settings.ts"
import { badAgent, json, refusing } from "../support/agents.ts"
import { closedPort, server } from "../support/sockets.ts"
import * as temporary from "../support/temporary.ts"

const token = "3f9a5f0e-secret"

const client = (settings: Partial<Settings.Settings>) => ConsulClient.make({ ...Settings.defaults, ...settings })

const leader = (consul: ConsulClient.ConsulClient["Service"], timeout?: number) =>
  consul.call("GET /v1/status/leader", (api) => api.status.leader({ query: {} }), timeout)

const roots = (consul: ConsulClient.ConsulClient["Service"]) =>
  consul.call("GET /v1/agent/connect/ca/roots", (api) => api.agent.caRoots({ query: {} }))

const failure = (
  answer: Parameters<typeof badAgent>[0],
  ask: (consul: ConsulClient.ConsulClient["Service"]) => Effect.Effect<unknown, ConsulError.ConsulError> = roots
) =>
  Effect.gen(function*() {
    const agent = yield* badAgent(answer)
    const error = yield* Effect.flip(ask(yield* client({ address: agent.address, token: Redacted.make(token) })))
    assert.notInclude(error.message + JSON.stringify(error), token)
    return error
  })

describe("ConsulClient", () => {
  for (
    const [status, tag, retry] of [
      [400, "InvalidRequest", false],
      [401, "PermissionDenied", false],
      [403, "PermissionDenied", false],
      [404, "NotFound", false],
      [405, "InvalidRequest", false],
      [418, "InvalidRequest", false],
      [429, "RateLimited", true],
      [500, "ServerError", true],
      [502, "ServerError", true],
      [503, "ServerError", true]
    ] as const
  ) {
    it.live(`tells status ${status} as ${tag}, worth a retry: ${retry}`, () =>
      Effect.gen(function*() {
        const error = yield* failure((_, response) => {
          response.writeHead(status, { "content-type": "text/plain; charset=utf-8" })
          response.end("the reason\n")
        })
        assert.strictEqual(error.reason._tag, tag)
        assert.strictEqual(error.isRetryable, retry)
        if (status !== 418 && status !== 502) assert.include(error.message, "the reason")
      }))
  }

  it.live("tells a token that the agent does not know as something that may pass, and thinks of both causes", () =>
    Effect.gen(function*() {
      const error = yield* failure((_, response) => refusing(403, "ACL not found")(response))
      assert.isTrue(error.isRetryable)
      assert.match(error.message, /While it starts or has no leader .*; otherwise it was deleted, or has expired/)
    }))

  it.live("says to write https:// to an agent that speaks it", () =>
    Effect.gen(function*() {
      const error = yield* failure((_, response) =>
        refusing(400, "Client sent an HTTP request to an HTTPS server.")(response)
      )
      assert.include(error.message, "Write https:// in its address")
    }))

  it.live.each(["<html>It works!</html>", "", "{\"ActiveRootID\":", "[1,2]", "null", "\u0000\u0001"])(
    "tells the garbage %j as undecodable",
    (body) =>
      Effect.gen(function*() {
        const error = yield* failure((_, response) => {
          response.setHeader("content-type", "application/json")
          response.end(body)
        })
        assert.strictEqual(error.reason._tag, "Undecodable")
      })
  )

  it.live("stops reading an answer that never ends", () =>
    Effect.gen(function*() {
      let sent = 0
      const error = yield* failure((_, response) => {
        response.setHeader("content-type", "application/json")
        const chunk = Buffer.alloc(1024 * 1024, 0x20)
        const write = (error?: Error | null) => {
          sent += chunk.length
          if (!response.destroyed && !error) response.write(chunk, write)
        }
        write()
      })
      assert.strictEqual(error.reason._tag, "Undecodable")
      assert.match(error.message, /larger than/)
      assert.isBelow(sent, 128 * 1024 * 1024)
    }))

  it.live("tells an answer that breaks off as unreachable, which is worth a retry", () =>
    Effect.gen(function*() {
      const error = yield* failure((_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "1000" })
        response.write("{\"ActiveRootID\":\"a", () => response.destroy())
      })
      assert.strictEqual(error.reason._tag, "Unreachable")
    }))

  it.live("tells an agent that hangs as timed out, and frees the connection", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent(() => {})
      const consul = yield* client({ address: agent.address })
      const error = yield* Effect.flip(leader(consul, 50))
      assert.strictEqual(error.reason._tag, "TimedOut")
      yield* until(() => agent.open() === 0)
    }))

  it.live("tells an agent that refuses connections as unreachable, naming the address", () =>
    Effect.gen(function*() {
      const address = `127.0.0.1:${yield* closedPort}`
      const error = yield* Effect.flip(leader(yield* client({ address })))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, address)
    }))

  it.live("tells an agent that does not speak TLS from one that is away", () =>
    Effect.gen(function*() {
      const { port } = yield* server((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const error = yield* Effect.flip(leader(yield* client({ address: `https://127.0.0.1:${port}` })))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, "It does not speak TLS there: write http://, or name its HTTPS port")
    }))

  it.live("closes the request of a blocking query that nobody needs any more", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response, count) => {
        if (count === 1) json(response, { ActiveRootID: "", TrustDomain: "", Roots: [] }, 7)
      })
      const consul = yield* client({ address: agent.address })
      const query = BlockingQuery.byIndex("roots", (known) =>
        consul.call("roots", (api) =>
          api.agent.caRoots({ query: ConsulClient.blocking(known) })).pipe(
            Effect.map(({ body, headers }) => ({ value: body, cursor: headers["x-consul-index"] }))
          ))
      const fiber = yield* Effect.forkChild(Stream.runDrain(query))
      yield* until(() =>
        agent.requests.length === 2
      )
      assert.match(agent.requests[1]!, /index=7&wait=300000ms/)
      yield* Fiber.interrupt(fiber)
      yield* until(() => agent.open() === 0)
    }))

  it.live("follows an agent that restarts with a lower index", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response, count) => {
        if (count < 4) json(response, { ActiveRootID: `${count}`, TrustDomain: "", Roots: [] }, count === 1 ? 900 : 5)
      })
      const consul = yield* client({ address: agent.address })
      const seen = yield* BlockingQuery.byIndex("roots", (known) =>
        consul.call("roots", (api) =>
          api.agent.caRoots({ query: ConsulClient.blocking(known) })).pipe(
            Effect.map(({ body, headers }) => ({ value: body.ActiveRootID, cursor: headers["x-consul-index"] }))
          )).pipe(
          Stream.take(3),
          Stream.runCollect
        )
      assert.deepStrictEqual(
        seen.map((o) =>
          o._tag === "Answer" ? o.value : "failure"
        ),
        ["1", "2", "3"]
      )
      assert.deepStrictEqual(agent.requests.map((request) => /index=(\d+)/.exec(request)?.[1]), [
        undefined,
        "900",
        undefined
      ])
    }))

  it.live("sends token, credentials and scope, and lets a token file win that is read again each time", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => json(response, "127.0.0.1:8300"))
      const tokenFile = join(yield* temporary.folder, "token")
      writeFileSync(tokenFile, "first\n")
      const consul = yield* client({
        address: agent.address,
        token: Redacted.make(token),
        tokenFile,
        basicAuth: Redacted.make("user:pass"),
        datacenter: "dc2",
        namespace: "team",
        partition: "east"
      })
      yield* leader(consul)
      writeFileSync(tokenFile, "second")
      yield* leader(consul)
      assert.deepStrictEqual(agent.headers.map((headers) => headers["x-consul-token"]), ["first", "second"])
      assert.strictEqual(agent.headers[0]!.authorization, `Basic ${btoa("user:pass")}`)
      assert.strictEqual(agent.requests[0], "GET /v1/status/leader?ns=team&partition=east&dc=dc2")
    }))

  it.live("is not made with a token file that is missing, empty or holds no token: asking without it would be wrong in silence", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      writeFileSync(join(folder, "empty"), "\n")
      writeFileSync(join(folder, "text"), "my token")
      const errors = yield* Effect.forEach(["missing", "empty", "text"], (name) =>
        Effect.map(
          Effect.flip(client({ address: "127.0.0.1:1", tokenFile: join(folder, name) })),
          ({ message }) => message.replace(folder, "F")
        ))
      const remedy = "name one that holds a token with --token-file or CONSUL_HTTP_TOKEN_FILE"
      assert.match(errors[0]!, /^the token file F\/missing cannot be read \(ENOENT/)
      assert.strictEqual(errors[1], `the token file F/empty is empty: ${remedy}`)
      assert.match(errors[2]!, /^the token file F\/text holds a space, a line break or another character/)
    }))

  it.live("goes on with the last token when its file goes away, is emptied or spoilt, and says so once", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => json(response, "127.0.0.1:8300"))
      const tokenFile = join(yield* temporary.folder, "token")
      writeFileSync(tokenFile, "first")
      const consul = yield* client({ address: agent.address, tokenFile })
      const logged: Array<string> = []
      const asked = Effect.provide(
        leader(consul),
        Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      )
      rmSync(tokenFile)
      yield* asked
      writeFileSync(tokenFile, "")
      yield* asked
      writeFileSync(tokenFile, "a b")
      yield* asked
      writeFileSync(tokenFile, "second")
      yield* asked
      assert.deepStrictEqual(agent.headers.map((headers) => headers["x-consul-token"]), [
        "first",
        "first",
        "first",
        "second"
      ])
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /cannot be read \(ENOENT.*The last token that was read stays in use/)
    }))

  it.live("trims a token, and names the setting of one that can not be sent", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => json(response, "127.0.0.1:8300"))
      const from = (value: string) =>
        Settings.fromEnvironment({ address: agent.address }).pipe(
          Effect.flatMap(ConsulClient.make),
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromEnv({ env: { CONSUL_HTTP_TOKEN: value } })
          )
        )
      yield* leader(yield* from("abc\n"))
      assert.strictEqual(agent.headers[0]!["x-consul-token"], "abc")
      const error = yield* Effect.flip(from("s3cr3t\nmore"))
      assert.match(error.message, /^CONSUL_HTTP_TOKEN holds a space, a line break/)
      assert.notInclude(error.message, "s3cr3t")
    }))

  it.live("talks through a unix socket", () =>
    Effect.gen(function*() {
      const path = join(yield* temporary.folder, "agent.sock")
      yield* Effect.acquireRelease(
        Effect.callback<() => void>((resume) => {
          const server = createServer((_, response) => json(response, "leader"))
          server.listen(path, () => resume(Effect.succeed(() => server.close())))
        }),
        (close) => Effect.sync(close)
      )
      const { body } = yield* leader(yield* client({ address: `unix://${path}` }))
      assert.strictEqual(body, "leader")
    }))

  it.live("never shows the token in the error, the log or the spans of a failure", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => response.destroy())
      const consul = yield* client({ address: agent.address, token: Redacted.make(token) })
      const logged: Array<string> = []
      const spans: Array<Tracer.NativeSpan> = []
      const error = yield* leader(consul).pipe(
        Effect.tapError((error) => Effect.logError("failed", error)),
        Effect.flip,
        Effect.provide(Logger.layer([Logger.map(Logger.formatJson, (line) => void logged.push(line))])),
        Effect.withTracer(Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        }))
      )
      const attributes = spans.flatMap((span) => [...span.attributes])
      assert.include(JSON.stringify(attributes), "/v1/status/leader", "the request is in a span")
      assert.include(logged.join(), "cannot be reached")
      assert.notInclude(JSON.stringify([error, error.stack, error.cause, logged, attributes]), token)
    }))

  for (
    const [settings, message] of [
      [{ clientCertFile: "/none" }, /CONSUL_CLIENT_KEY go together/],
      [{ caFile: "/none/ca.pem" }, /CONSUL_CACERT names \/none\/ca.pem, which cannot be read/],
      [{ address: "ftp://x" }, /unknown scheme/]
    ] as const
  ) {
    it.live(`refuses settings that cannot work: ${JSON.stringify(settings)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(client(settings))
        assert.match(error.message, message)
      }))
  }
})

/** Waits for a fact of another party. */
const until = (fact: () => boolean) =>
  Effect.suspend(() => fact() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry({ schedule: Schedule.spaced("5 millis"), times: 1000 })
  )
