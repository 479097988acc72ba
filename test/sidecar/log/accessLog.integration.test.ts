/** The access logs of two sidecars, as files have them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestConsole } from "effect/testing"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import { join } from "node:path"
import * as ChainsOf from "../../../src/agent/chain/ChainsOf.ts"
import type * as DiscoveryChain from "../../../src/consul/DiscoveryChain.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import type * as ProxyRegistration from "../../../src/watch/ProxyRegistration.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Mesh from "../../support/mesh.ts"
import * as Sidecars from "../../support/sidecars.ts"
import * as Sockets from "../../support/sockets.ts"
import { folder } from "../../support/temporary.ts"

type Logs = NonNullable<ProxyRegistration.Registration["accessLogs"]>

const toFile = (path: string, text: string): Logs => ({
  to: { type: "file", path },
  format: { text },
  listenerLogs: true
})

/** Waits for so many lines, and for what must not follow them as long as the test goes on. */
const lines = Effect.fnUntraced(function*(path: string, count: number) {
  const read = () => {
    try {
      return readFileSync(path, "utf8").split("\n").slice(0, -1)
    } catch {
      return []
    }
  }
  yield* Sockets.eventually(() => read().length >= count)
  return read()
})

/** Answers with its name, except under `/slow`, where nothing comes. */
const application = Effect.gen(function*() {
  let waiting = 0
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        request.resume()
        if (request.url === "/slow") waiting++
        else response.end("api")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  return { port: typeof address === "object" && address !== null ? address.port : 0, waiting: () => waiting }
})

/** Each on a connection of its own. */
const ask = (port: number, path: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...headers, connection: "close" } })).pipe(
    Effect.flatMap((response) => Effect.as(Effect.promise(() => response.text()), response.status))
  )

const requestFormat =
  "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_SENT% %UPSTREAM_CLUSTER%"

const connectionFormat =
  "%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% " +
  "%CONNECTION_TERMINATION_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON%"

const cluster = Mesh.target("api").sni

/** Both speak HTTP and log. */
const httpPair = Effect.fnUntraced(function*(port: number, chain?: DiscoveryChain.Chain) {
  const path = yield* folder
  const files = { web: join(path, "web.log"), api: join(path, "api.log") }
  const upstreams = [{ ...Sidecars.upstream("api"), protocol: "http" as const }]
  const mesh = yield* Sidecars.pair(port, {
    ...(chain === undefined ? {} : { chain }),
    web: { upstreams, accessLogs: toFile(files.web, requestFormat) },
    api: { protocol: "http", accessLogs: toFile(files.api, requestFormat) },
    intentions: Mesh.requestPolicy(
      "api",
      Intention.make("web", "api", [{ Action: "allow", HTTP: { PathPrefix: "/" } }])
    )
  })
  return { ...mesh, files, upstreams }
})

describe("the access log of a sidecar", () => {
  it.live("has a line for each request, on both sides", () =>
    Effect.gen(function*() {
      const { files, port } = yield* httpPair((yield* application).port)
      assert.strictEqual(yield* ask(port, "/a"), 200)
      assert.deepStrictEqual(yield* lines(files.web, 1), [`GET /a 200 - via_upstream 3 ${cluster}`])
      assert.deepStrictEqual(yield* lines(files.api, 1), ["GET /a 200 - via_upstream 3 local_app"])
    }))

  it.live("has the path as it was sent, where a route rewrites it", () =>
    Effect.gen(function*() {
      const Routes = [{ Match: { HTTP: { PathPrefix: "/old/" } }, Destination: { PrefixRewrite: "/new/" } }]
      const entries = [
        { Kind: "service-defaults", Name: "api", Protocol: "http" },
        { Kind: "service-router", Name: "api", Routes }
      ]
      const chains = ChainsOf.make(entries, { trustDomain: Certificates.trustDomain })
      const chain = Result.getOrThrow(Result.flatMap(chains, (chainOf) => chainOf("api")))
      const { files, port } = yield* httpPair((yield* application).port, chain)
      assert.strictEqual(yield* ask(port, "/old/a"), 200)
      assert.deepStrictEqual(yield* lines(files.web, 1), [`GET /new/a 200 - via_upstream 3 ${cluster}`])
      assert.deepStrictEqual(yield* lines(files.api, 1), ["GET /new/a 200 - via_upstream 3 local_app"])
    }))

  it.live("says why there was no answer of the application", () =>
    Effect.gen(function*() {
      const gone = yield* Sockets.closedPort
      const { files, port } = yield* httpPair(gone)
      assert.strictEqual(yield* ask(port, "/a"), 503)
      assert.match((yield* lines(files.web, 1))[0]!, /^GET \/a 503 - via_upstream /)
      assert.match(
        (yield* lines(files.api, 1))[0]!,
        /^GET \/a 503 UF upstream_reset_before_response_started\{remote_connection_failure\|delayed_connect_error:_Connection_refused\} /
      )
    }))

  it.live("says that a client has left, and where it was connected", () =>
    Effect.gen(function*() {
      const slow = yield* application
      const { files, port, upstreams, webSidecar } = yield* httpPair(slow.port)
      const accessLogs = toFile(files.web, "%RESPONSE_CODE% %RESPONSE_FLAGS% %DOWNSTREAM_LOCAL_ADDRESS%")
      yield* webSidecar.register(Sidecars.registration("web", { upstreams, accessLogs }))
      yield* Sockets.eventually(() => webSidecar.status().registration.accessLogs === accessLogs)
      const client = yield* Sockets.connect(port)
      client.write("GET /slow HTTP/1.1\r\nhost: api\r\n\r\n")
      yield* Sockets.eventually(() => slow.waiting() === 1)
      client.destroy()
      assert.deepStrictEqual(yield* lines(files.web, 1), [`0 DC 127.0.0.1:${port}`])
      assert.deepStrictEqual(yield* lines(files.api, 1), ["GET /slow 0 DC downstream_remote_disconnect 0 local_app"])
    }))

  it.live("names the client behind a proxy by what that says", () =>
    Effect.gen(function*() {
      const { files, port, upstreams, webSidecar } = yield* httpPair((yield* application).port)
      const format = "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
      const accessLogs = toFile(files.web, format)
      yield* webSidecar.register(Sidecars.registration("web", { upstreams, accessLogs }))
      yield* Sockets.eventually(() => webSidecar.status().registration.accessLogs === accessLogs)
      yield* ask(port, "/a", { "x-forwarded-for": "9.9.9.9, 10.0.0.1" })
      assert.deepStrictEqual(yield* lines(files.web, 1), ["10.0.0.1:0 127.0.0.1"])
    }))

  it.live("has a line for each connection that carries bytes", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const files = { web: join(path, "web.log"), api: join(path, "api.log") }
      const shouting = yield* Sockets.shouting
      const mesh = yield* Sidecars.pair(shouting.port, {
        web: { upstreams: [Sidecars.upstream("api")], accessLogs: toFile(files.web, connectionFormat) },
        api: { accessLogs: toFile(files.api, connectionFormat) }
      })
      const client = yield* Sockets.connect(mesh.port)
      const answer = Sockets.record(client)
      client.end("hello")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.deepStrictEqual(yield* lines(files.web, 1), [`- 0 - 5 5 ${cluster} - -`])
      assert.deepStrictEqual(yield* lines(files.api, 1), ["- 0 - 5 5 local_app - -"])
    }))

  it.live("says by which policy a connection was refused, and why the application was not reached", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const file = join(path, "api.log")
      const gone = yield* Sockets.closedPort
      for (
        const [intentions, line] of [
          [
            Mesh.policy("api", { web: "deny" }, "allow"),
            "- 0 - 0 0 local_app rbac_access_denied_matched_policy[consul-intentions-layer4] -"
          ],
          [Mesh.policy("api", {}), "- 0 - 0 0 local_app rbac_access_denied_matched_policy[none] -"],
          [
            Mesh.policy("api", { web: "allow" }),
            "- 0 UF,URX 0 0 local_app - delayed_connect_error:_Connection_refused"
          ]
        ] as const
      ) {
        const mesh = yield* Sidecars.pair(gone, {
          api: { accessLogs: toFile(`${file}${line.length}`, connectionFormat) },
          intentions
        })
        const client = yield* Sockets.connect(mesh.port)
        const ending = Sockets.record(client).ending
        client.write("hello")
        yield* ending
        assert.deepStrictEqual(yield* lines(`${file}${line.length}`, 1), [line])
      }
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("follows the registration: to another file, in another format, and not at all", () =>
    Effect.gen(function*() {
      const { files, port, upstreams, webSidecar } = yield* httpPair((yield* application).port)
      const become = Effect.fnUntraced(function*(accessLogs: Logs | undefined) {
        yield* webSidecar.register(Sidecars.registration("web", { upstreams, accessLogs }))
        yield* Sockets.eventually(() => webSidecar.status().registration.accessLogs === accessLogs)
      })
      yield* ask(port, "/1")
      yield* lines(files.web, 1)
      yield* become(undefined)
      yield* ask(port, "/2")
      yield* become(toFile(`${files.web}.2`, "two %REQ(:PATH)%"))
      yield* ask(port, "/3")
      yield* lines(`${files.web}.2`, 1)
      yield* become(toFile(files.web, "three %REQ(:PATH)%"))
      yield* ask(port, "/4")
      assert.deepStrictEqual(yield* lines(files.web, 2), [`GET /1 200 - via_upstream 3 ${cluster}`, "three /4"])
      assert.deepStrictEqual(yield* lines(`${files.web}.2`, 1), ["two /3"])
    }))

  it.live("that can not be written is said once, and traffic goes on", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "missing", "web.log")
      const upstreams = [{ ...Sidecars.upstream("api"), protocol: "http" as const }]
      const { port } = yield* Sidecars.pair((yield* application).port, {
        web: { upstreams, accessLogs: toFile(path, "x") },
        api: { protocol: "http" },
        intentions: Mesh.requestPolicy("api", Intention.make("web", "api", "allow"))
      })
      for (const target of ["/1", "/2", "/3"]) assert.strictEqual(yield* ask(port, target), 200)
      const said = Effect.map(
        TestConsole.logLines,
        (all) =>
          all.filter((line) => String(line).includes(`the access log on ${path}: it can not be written (ENOENT)`))
      )
      yield* Sockets.eventuallyEffect(Effect.map(said, ({ length }) => length > 0))
      assert.strictEqual((yield* said).length, 1)
    }).pipe(Effect.provide(TestConsole.layer)))
})
