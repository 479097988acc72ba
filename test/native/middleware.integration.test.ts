/** Nothing of the application runs for a request that has not been judged, and let in. */
import * as NodeHttp from "node:http"
import * as Http2 from "node:http2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, SubscriptionRef } from "effect"
import { HttpMiddleware, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Intentions from "../../src/intention/Intention.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"
import type * as Certificates from "../support/certificates.ts"
import * as Http from "../support/http.ts"
import * as Servers from "../support/httpServers.ts"
import * as Mesh from "../support/mesh.ts"
import * as Plain from "../support/plain.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const publicOnly = Intentions.make("web", "api", [{ Action: "allow", HTTP: { PathPrefix: "/public" } }])

const routes = HttpRouter.add("*", "/*", HttpServerResponse.text("from the route"))

/** Notes what it sees, answers `/public/metrics` by itself, and hands on everything else. */
const spying = Effect.gen(function*() {
  const seen: Array<string> = []
  const middleware = HttpMiddleware.make((app) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { caller } = yield* PeerIdentity.PeerIdentity
      seen.push(`${caller.service} ${request.method} ${request.url} ${request.headers["host"]}`)
      return request.url.startsWith("/public/metrics") ? HttpServerResponse.text("from the middleware") : yield* app
    })
  )
  return { seen, middleware }
})

describe.each([["HTTP/1.1", Http.http1], ["HTTP/2", Http.http2]] as const)("middleware over %s", (_, client) => {
  it.live.each(["HttpRouter", "HttpServer"] as const)(
    "sees no request that was not let in, under %s.serve",
    (kind) =>
      Effect.gen(function*() {
        const { middleware, seen } = yield* spying
        const app = kind === "HttpRouter"
          ? HttpRouter.serve(routes, { disableListenLog: true, middleware })
          : HttpServer.serve(Effect.succeed(HttpServerResponse.text("from the route")), middleware)
        const { api, materialOf, port, web } = yield* Servers.start(app)
        yield* SubscriptionRef.set(api.intentions, Servers.policy(publicOnly))
        const ops = yield* client(port, yield* materialOf("ops"))
        for (const path of ["/public/metrics", "/public/x", "/"]) {
          const { body, status } = yield* ops({ path, method: "POST", body: "secret" })
          assert.deepStrictEqual([status, body], [403, "RBAC: access denied"])
        }
        const ask = yield* client(port, web)
        assert.strictEqual((yield* ask({ path: "/public/../metrics" })).status, 403)
        assert.strictEqual((yield* ask({ path: "/metrics", method: "OPTIONS" })).status, 403)
        assert.deepStrictEqual(seen, [])

        assert.strictEqual((yield* ask({ path: "/x/../public/metrics" })).body, "from the middleware")
        assert.strictEqual((yield* ask({ path: "/public/%61" })).body, "from the route")
        assert.deepStrictEqual(seen.map((line) => line.replace(/ [^ ]*$/, "")), [
          "web GET /public/metrics",
          "web GET /public/a"
        ])
      })
  )

  it.live("answers no preflight request in the place of the policy", () =>
    Effect.gen(function*() {
      const { materialOf, port } = yield* Servers.start(
        HttpRouter.serve(routes, { disableListenLog: true, middleware: HttpMiddleware.cors() })
      )
      const ops = yield* client(port, yield* materialOf("ops"))
      const headers = { origin: "https://example.org", "access-control-request-method": "POST" }
      const { headers: answered, status } = yield* ops({ path: "/", method: "OPTIONS", headers })
      assert.strictEqual(status, 403)
      assert.notProperty(answered, "access-control-allow-origin")
    }))
})

describe("what is written of a refusal", () => {
  it.live("is one line", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      yield* Effect.gen(function*() {
        const { materialOf, mesh, port } = yield* Servers.start(HttpRouter.serve(routes, { disableListenLog: true }))
        const ops = yield* Http.http1(port, yield* materialOf("ops"))
        assert.strictEqual((yield* ops({ path: "/" })).status, 403)
        yield* Sockets.eventually(() => mesh.stats().requests["ops api 403"] === 1)
        const web = yield* Http.http1(port, yield* materialOf("web"))
        yield* web({ path: "/" })
        yield* Sockets.eventually(() => lines.some((line) => line.includes("Sent HTTP response")))
      }).pipe(Effect.provide(Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void lines.push(line))])))
      const about = (caller: string) => lines.filter((line) => line.includes(`/svc/${caller}`))
      assert.lengthOf(about("ops"), 1)
      assert.include(about("ops")[0], "refused a request")
      assert.lengthOf(about("web"), 1)
    }))
})

describe("a request for an upgrade", () => {
  it.live("is not seen by middleware before it is let in", () =>
    Effect.gen(function*() {
      const { middleware, seen } = yield* spying
      const { api, port, web } = yield* Servers.start(HttpRouter.serve(routes, { disableListenLog: true, middleware }))
      yield* SubscriptionRef.set(api.intentions, Servers.policy(publicOnly))
      const told = (path: string) =>
        Effect.gen(function*() {
          const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: ["http/1.1"] })
          const answer = Sockets.record(socket)
          socket.write(`GET ${path} HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n`)
          yield* answer.ending
          return answer.text()
        })
      assert.match(yield* told("/public/../metrics"), /^HTTP\/1.1 403/)
      assert.deepStrictEqual(seen, [])
      assert.match(yield* told("http://api/x/../public/%61"), /from the route$/)
      assert.deepStrictEqual(seen, ["web GET /public/a api"])
    }))
})

describe("a client that asks before it sends the body", () => {
  const asking =
    "POST / HTTP/1.1\r\nhost: api\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"

  /** All that it hears, over HTTP/1.1. */
  const heard = (port: number, issued: Certificates.Issued) =>
    Effect.gen(function*() {
      const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: ["http/1.1"] })
      const answer = Sockets.record(socket)
      socket.write(asking)
      yield* Sockets.eventually(() => answer.bytes() > 0)
      if (answer.text().includes("100 Continue")) socket.write("hi")
      yield* answer.ending
      return answer.text()
    })

  /** Whether it was told to go on, and the status, over HTTP/2. */
  const heard2 = (port: number, { client }: SecureContexts.Material) =>
    Effect.acquireUseRelease(
      Effect.sync(() =>
        Http2.connect(`https://127.0.0.1:${port}`, { secureContext: client, rejectUnauthorized: false })
      ),
      (session) =>
        Effect.callback<readonly [boolean, unknown]>((resume) => {
          let told = false
          const request = session.request({ ":method": "POST", expect: "100-continue" })
          request.on("error", () => {})
          request.on("continue", () => {
            told = true
            request.end("hi")
          })
          request.on("response", (headers) => resume(Effect.succeed([told, headers[":status"]])))
        }),
      (session) => Effect.sync(() => session.destroy())
    )

  it.live("is told to go on once it has been let in", () =>
    Effect.gen(function*() {
      const { materialOf, port, web } = yield* Servers.start(
        Servers.served(HttpRouter.add(
          "POST",
          "/",
          Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => Effect.map(text, HttpServerResponse.text))
        ))
      )
      const ops = yield* materialOf("ops")
      assert.match(yield* heard(port, ops.issued), /^HTTP\/1.1 403/)
      assert.deepStrictEqual(yield* heard2(port, ops), [false, 403])
      assert.match(yield* heard(port, web.issued), /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200[^]*hi$/)
      assert.deepStrictEqual(yield* heard2(port, web), [true, 200])
    }))

  it.live.each([["the server", false], ["the application, where it wants to", true]] as const)(
    "is told so by %s, with a server of Node",
    ([, own]) =>
      Effect.gen(function*() {
        const { api, materialOf, serve } = yield* Plain.pair()
        yield* SubscriptionRef.set(api.intentions, Mesh.requestPolicy("api", Servers.web))
        const seen: Array<string> = []
        const server = NodeHttp.createServer((request, response) => void request.pipe(response))
        if (own) {
          server.on("checkContinue", (request, response) => {
            seen.push("asked")
            response.writeContinue()
            request.pipe(response)
          })
        }
        const { port } = yield* serve(server)
        assert.match(yield* heard(port, (yield* materialOf("ops")).issued), /^HTTP\/1.1 403/)
        assert.deepStrictEqual(seen, [])
        assert.match(
          yield* heard(port, (yield* materialOf("web")).issued),
          /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200/
        )
        assert.deepStrictEqual(seen, own ? ["asked"] : [])
      })
  )
})
