/** Paths that are open to anybody, at the sidecar of their application. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import { existsSync, readFileSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import type * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"
import { folder } from "../support/temporary.ts"

type Exposed = ProxyRegistration.Registration["exposed"][number]

interface Seen {
  readonly version: string
  readonly target: string
  readonly headers: Http.IncomingHttpHeaders
}

/** Answers with its name, over HTTP/1.1 or over HTTP/2 without TLS. */
const application = Effect.fnUntraced(function*(name: string, protocol: Exposed["protocol"] = "http") {
  const seen: Array<Seen> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server | Http2.Http2Server>((resume) => {
      const server = protocol === "http"
        ? Http.createServer(({ headers, httpVersion, url = "" }, response) => {
          seen.push({ version: httpVersion, target: url, headers })
          response.end(name)
        })
        : Http2.createServer(({ headers, httpVersion, url }, response) => {
          seen.push({ version: httpVersion, target: url, headers })
          response.end(name)
        })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  )
  const address = server.address()
  return { port: typeof address === "object" && address !== null ? address.port : 0, seen }
})

const exposing = (port: number, overrides: Partial<Exposed> = {}): Exposed => ({
  path: "/health",
  listen: { host: "127.0.0.1", port: 0 },
  application: { host: "127.0.0.1", port },
  protocol: "http",
  onlyAgent: false,
  ...overrides
})

/** An address of this host that is not of its loopback. */
const own = Object.values(networkInterfaces()).flat()
  .find((address) => address !== undefined && address.family === "IPv4" && !address.internal)?.address

/** The sidecar of `api`, whose intentions let nobody in. */
const startWith = Effect.fnUntraced(function*(overrides: Partial<ProxyRegistration.Registration>) {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const member = yield* Mesh.member("api", ca)
  const registration = Sidecars.registration("api", { protocol: "http", ...overrides })
  const sidecar = yield* Sidecars.start(member, yield* Mesh.discovery({}), registration)
  return { ...sidecar, registration }
})

const start = (...exposed: ReadonlyArray<Exposed>) => startWith({ exposed })

/** As it is written, which clients of Node would change. Answers with the status and the body. */
const ask = Effect.fnUntraced(function*(port: number, target: string, lines = "", host = "127.0.0.1", from?: string) {
  const socket = yield* Sockets.connect(port, host, from)
  const answer = Sockets.record(socket)
  socket.write(`GET ${target} HTTP/1.1\r\nhost: api\r\nconnection: close\r\n${lines}\r\n`)
  const ending = yield* answer.ending
  const [head = "", body = ""] = answer.text().split("\r\n\r\n")
  return head === "" ? ending : `${head.split(" ")[1]} ${body.includes("api") ? "api" : body}`
}, Effect.scoped)

describe("an exposed path", () => {
  it.live("is served to anybody, with any query, and no other path is", () =>
    Effect.gen(function*() {
      const { port: applicationPort, seen } = yield* application("api")
      const { port } = yield* start(exposing(applicationPort))
      const at = port("exposed /health")
      assert.strictEqual(yield* ask(at, "/health"), "200 api")
      assert.strictEqual(yield* ask(at, "/health?x=1"), "200 api")
      for (const target of ["/health/", "/Health", "/", "//health", "/x/../health", "/%68ealth", "/healthy"]) {
        assert.strictEqual(yield* ask(at, target), "404 ", target)
      }
      assert.deepStrictEqual(seen.map(({ target }) => target), ["/health", "/health?x=1"])
    }))

  it.live("tells the application of no caller, whatever a client says of itself", () =>
    Effect.gen(function*() {
      const { port: applicationPort, seen } = yield* application("api")
      const { port } = yield* start(exposing(applicationPort))
      yield* ask(port("exposed /health"), "/health", "x-forwarded-client-cert: URI=spiffe://forged\r\n")
      assert.notProperty(seen[0]!.headers, "x-forwarded-client-cert")
      assert.propertyVal(seen[0]!.headers, "x-forwarded-proto", "http")
      assert.property(seen[0]!.headers, "x-request-id")
    }))

  it.live("reaches an application that speaks HTTP/2 without TLS", () =>
    Effect.gen(function*() {
      const { port: applicationPort, seen } = yield* application("api", "http2")
      const { port } = yield* start(exposing(applicationPort, { protocol: "http2" }))
      assert.strictEqual(yield* ask(port("exposed /health"), "/health"), "200 api")
      assert.deepStrictEqual(seen.map(({ version }) => version), ["2.0"])
    }))

  it.live("leads elsewhere, comes and goes as the registration says", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* application("api"), yield* application("api two")]
      const { port, register, registration, status } = yield* start(exposing(one.port))
      const become = Effect.fnUntraced(function*(...exposed: ReadonlyArray<Exposed>) {
        const next = { ...registration, exposed }
        yield* register(next)
        yield* Sockets.eventually(() => status().registration === next)
      })
      const first = port("exposed /health")
      yield* become(exposing(two.port))
      assert.strictEqual(port("exposed /health"), first)
      yield* Sockets.eventuallyEffect(Effect.map(ask(first, "/health"), () => two.seen.length > 0))
      yield* become(exposing(one.port, { path: "/metrics" }))
      yield* Sockets.eventually(() => status().listeners.every(({ name }) => name !== "exposed /health"))
      yield* Sockets.eventually(() => port("exposed /metrics") > 0)
      assert.strictEqual(yield* ask(port("exposed /metrics"), "/metrics"), "200 api")
      assert.strictEqual(one.seen.at(-1)!.target, "/metrics")
    }))

  it.live("that is for the agent only is served on this host only", () =>
    Effect.gen(function*() {
      const { port: applicationPort, seen } = yield* application("api")
      const listen = { host: "0.0.0.0", port: 0 }
      const { port } = yield* start(exposing(applicationPort, { onlyAgent: true, listen }))
      const at = port("exposed /health")
      assert.strictEqual(yield* ask(at, "/health"), "200 api")
      if (own === undefined) return
      // Over an address of this host from the same one, and from another one.
      assert.strictEqual(yield* ask(at, "/health", "", own), "200 api")
      const stranger = yield* Effect.result(ask(at, "/health", "", "127.0.0.1", own))
      assert.include(
        ["ECONNRESET", "connect ECONNRESET"],
        Result.match(stranger, {
          onFailure: ({ message }) => message.split(" 127")[0],
          onSuccess: (answer) => answer
        })
      )
      assert.strictEqual(seen.length, 2)
    }))

  it.live("has lines in the access log, for those who are turned away where that is asked for", () =>
    Effect.gen(function*() {
      const { port: applicationPort } = yield* application("api")
      const path = join(yield* folder, "access.log")
      const text = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER%"
      const lines = Effect.fnUntraced(function*(count: number) {
        const read = () => existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : []
        yield* Sockets.eventually(() => read().length >= count)
        return read()
      })
      const { port } = yield* startWith({
        exposed: [exposing(applicationPort, { onlyAgent: true, listen: { host: "0.0.0.0", port: 0 } })],
        accessLogs: { to: { type: "file", path }, format: { text }, listenerLogs: true }
      })
      const at = port("exposed /health")
      yield* ask(at, "/health")
      yield* ask(at, "/other")
      const expected = [
        `/health 200 - via_upstream exposed_cluster_${applicationPort}`,
        "/other 404 NR route_not_found -"
      ]
      assert.deepStrictEqual(yield* lines(2), expected)
      if (own === undefined) return
      yield* Effect.exit(ask(at, "/health", "", "127.0.0.1", own))
      assert.deepStrictEqual(yield* lines(3), [...expected, "- 0 NR - -"])
    }))
})
