import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, type Schema, Scope } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { freePort } from "../support/ports.ts"

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** As JSON. */
  readonly body: () => Schema.Json
}

const request = (
  agent: { readonly address: string },
  method: string,
  path: string,
  options: { readonly body?: Schema.Json | string; readonly headers?: Record<string, string> } = {}
): Effect.Effect<Reply> =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${agent.address}${path}`, {
      method,
      signal,
      headers: options.headers ?? {},
      ...(options.body === undefined
        ? {}
        : { body: typeof options.body === "string" ? options.body : JSON.stringify(options.body) })
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: () => JSON.parse(text) }
  })

const get = (agent: { readonly address: string }, path: string) => request(agent, "GET", path)
const put = (agent: { readonly address: string }, path: string, body?: Schema.Json) =>
  Effect.tap(
    request(agent, "PUT", path, body === undefined ? {} : { body }),
    (reply) => Effect.sync(() => assert.strictEqual(reply.status, 200, reply.text))
  )

const start = (options: DevelopmentAgent.Options = {}) => DevelopmentAgent.make({ port: 0, nodeName: "n1", ...options })

const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(
    Effect.catchDefect(effect, Effect.fail),
    Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(500)])
  )

const statusOf = (agent: { readonly address: string }, check: string) =>
  Effect.map(get(agent, "/v1/agent/checks"), (reply) => {
    const checks = reply.body() as Record<string, { readonly Status: string; readonly Output: string }>
    return checks[check]
  })

const checkBecomes = (agent: { readonly address: string }, check: string, status: string) =>
  eventually(
    Effect.tap(statusOf(agent, check), (found) => Effect.sync(() => assert.strictEqual(found?.Status, status)))
  )

/** Of the answer with a private key, asked for under another name. */
const statusUnder = (host: string, { port }: { readonly port: number }): Effect.Effect<number | undefined> =>
  Effect.callback((resume) => {
    const path = "/v1/agent/connect/ca/leaf/payments"
    Http.get({ host: "127.0.0.1", port, path, headers: { host } }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode))
    })
  })

/** A TCP listener on a free port, until the scope closes. */
const listener = (handle: (socket: Net.Socket) => void = (socket) => socket.end()) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer(handle).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

describe("DevelopmentAgent", () => {
  it.live("says at once that its port is taken, and which", () =>
    Effect.gen(function*() {
      const { port } = yield* start()
      const error = yield* Effect.flip(Effect.scoped(DevelopmentAgent.make({ port })))
      assert.strictEqual(
        error.message,
        `start the development agent on 127.0.0.1:${port}: port ${port} is taken: stop what listens there, or choose ` +
          "another port (0 takes any free one)"
      )
    }))

  it.live("closes everything with its scope, requests that wait included", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const agent = yield* Scope.provide(start(), scope)
      const waiting = yield* Effect.forkChild(
        Effect.exit(
          Effect.tryPromise(() => fetch(`${agent.address}/v1/health/connect/web?index=1&wait=10m`))
        ),
        { startImmediately: true }
      )
      yield* eventually(Effect.map(agent.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.strictEqual(yield* agent.blocked, 0)
      const refused = yield* Effect.flip(Effect.tryPromise(() => fetch(`${agent.address}/v1/agent/self`)))
      assert.isDefined(refused)
    }))

  it.live("comes back on the same port as an agent that restarted, with a lower index", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(start({ port: yield* freePort }), scope)
      for (let port = 1; port <= 5; port++) {
        yield* put(first, "/v1/agent/service/register", { Name: "web", Port: port })
      }
      const before = BigInt((yield* get(first, "/v1/health/service/web")).headers.get("x-consul-index") ?? "0")
      yield* Scope.close(scope, Exit.void)
      const second = yield* start({ port: first.port })
      const after = yield* get(second, `/v1/health/service/web?index=${before}&wait=10ms`)
      assert.isTrue(BigInt(after.headers.get("x-consul-index") ?? "0") < before)
      assert.deepStrictEqual(after.body(), [])
      assert.notStrictEqual(second.trustDomain, first.trustDomain)
    }))

  it.live("takes a parameter that is given twice, and a name of any length", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      for (const query of ["near=a&near=b", "cached=x&cached=y", "index=0&index=x", "tag=a&tag=b"]) {
        const reply = yield* get(agent, `/v1/health/service/web?${query}`)
        assert.strictEqual(`${reply.status} ${reply.text}`, "200 []", query)
      }
      const name = "a".repeat(5000)
      const leaf = (yield* get(agent, `/v1/agent/connect/ca/leaf/${name}`)).body() as { readonly Service: string }
      assert.strictEqual(leaf.Service, name)
      assert.strictEqual((yield* get(agent, "/v1/agent/service/a;b")).text, "unknown service ID: a;b")
      assert.strictEqual((yield* get(agent, "/v1/agent/service/%")).status, 400)
    }))

  it.live("refuses a body beyond its limit, and one that does not end, without keeping it", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const mebibyte = 1_048_576
      const named = (bytes: number) => JSON.stringify({ Name: "web", ID: "web", Port: 1, Tags: ["a".repeat(bytes)] })
      for (const path of ["/v1/agent/service/register", "/v1/config", "/v1/agent/service/deregister/web"]) {
        const reply = yield* request(agent, "PUT", path, { body: named(8 * mebibyte) })
        assert.strictEqual(reply.status, 413)
        assert.strictEqual(reply.headers.get("content-type"), "text/plain; charset=utf-8")
        assert.strictEqual(reply.text, "Request body too large: this agent takes up to 8 MiB")
      }
      const endless = yield* Effect.callback<number | undefined>((resume) => {
        const block = Buffer.alloc(65_536, "a")
        const upload = Http.request(`${agent.address}/v1/agent/service/register`, { method: "PUT" }, (response) => {
          upload.destroy()
          resume(Effect.succeed(response.statusCode))
        })
        const fill = () => {
          while (!upload.destroyed && upload.write(block));
        }
        upload.on("drain", fill).on("error", () => {})
        fill()
        return Effect.sync(() => upload.destroy())
      })
      assert.strictEqual(endless, 413)
      const taken = yield* request(agent, "PUT", "/v1/agent/service/register", { body: named(mebibyte) })
      assert.strictEqual(taken.status, 200, taken.text)
    }))

  it.live("forgets a reader that goes away", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const gone = yield* Effect.forkChild(get(agent, "/v1/health/connect/web?index=1&wait=10m"), {
        startImmediately: true
      })
      yield* eventually(Effect.map(agent.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* Fiber.interrupt(gone)
      yield* eventually(Effect.map(agent.blocked, (blocked) => assert.strictEqual(blocked, 0)))
    }))

  it.live("wakes a reader when what it reads changes, and no other", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      yield* put(agent, "/v1/agent/service/register", { Name: "web", Port: 1 })
      yield* put(agent, "/v1/agent/service/register", { Name: "db", Port: 2 })
      const index = (yield* get(agent, "/v1/health/service/web")).headers.get("x-consul-index")
      const waiting = yield* Effect.forkChild(get(agent, `/v1/health/service/web?index=${index}&wait=1m`), {
        startImmediately: true
      })
      yield* eventually(Effect.map(agent.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* put(agent, "/v1/agent/service/register", { Name: "db", Port: 3 })
      assert.strictEqual(yield* agent.blocked, 1)
      yield* put(agent, "/v1/agent/service/register", { Name: "web", Port: 4 })
      const entries = (yield* Fiber.join(waiting)).body() as ReadonlyArray<
        { readonly Service: { readonly Port: number } }
      >
      assert.deepStrictEqual(entries.map(({ Service }) => Service.Port), [4])
    }))

  it.live("answers a hash that is known when the registration, or what is merged into it, changes", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      yield* put(agent, "/v1/agent/service/register", { Name: "web", Port: 1, Connect: { SidecarService: {} } })
      const first = yield* get(agent, "/v1/agent/service/web-sidecar-proxy")
      const hash = first.headers.get("x-consul-contenthash")
      const waiting = yield* Effect.forkChild(
        get(agent, `/v1/agent/service/web-sidecar-proxy?hash=${hash}&wait=1m`),
        { startImmediately: true }
      )
      yield* eventually(Effect.map(agent.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* put(agent, "/v1/config", {
        Kind: "service-defaults",
        Name: "web",
        Protocol: "http",
        MaxInboundConnections: 7
      })
      const merged = (yield* Fiber.join(waiting)).body() as {
        readonly ContentHash: string
        readonly Proxy: { readonly Config: Schema.Json }
      }
      assert.notStrictEqual(merged.ContentHash, hash)
      assert.deepStrictEqual(merged.Proxy.Config, { protocol: "http", max_inbound_connections: 7 })
    }))

  it.live("runs TCP checks, and an alias of them", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const port = yield* listener()
      yield* put(agent, "/v1/agent/service/register", {
        Name: "web",
        Port: port,
        Check: { TCP: `127.0.0.1:${port}`, Interval: "10s" },
        Connect: { SidecarService: { Port: port } }
      })
      yield* checkBecomes(agent, "service:web", "passing")
      yield* checkBecomes(agent, "service:web-sidecar-proxy:1", "passing")
      yield* checkBecomes(agent, "service:web-sidecar-proxy:2", "passing")
      const instances = (yield* get(agent, "/v1/health/connect/web?passing")).body()
      assert.strictEqual((instances as ReadonlyArray<Schema.Json>).length, 1)
    }))

  it.live("finds a TCP check critical when nothing listens", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      yield* put(agent, "/v1/agent/check/register", {
        Name: "c",
        Status: "passing",
        TCP: "127.0.0.1:1",
        Interval: "1s"
      })
      yield* checkBecomes(agent, "c", "critical")
      assert.strictEqual((yield* statusOf(agent, "c"))?.Output, "dial tcp 127.0.0.1:1: connect: connection refused")
    }))

  it.live("runs HTTP checks: 2xx passes, 429 warns, the rest is critical", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      let status = 204
      const server = yield* Effect.acquireRelease(
        Effect.callback<Http.Server>((resume) => {
          const server = Http.createServer((_, response) => response.writeHead(status).end("hello"))
            .listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const url = `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}/ready`
      yield* put(agent, "/v1/agent/check/register", { Name: "c", HTTP: url, Interval: "20ms" })
      yield* checkBecomes(agent, "c", "passing")
      status = 429
      yield* checkBecomes(agent, "c", "warning")
      status = 500
      yield* checkBecomes(agent, "c", "critical")
      assert.strictEqual(
        (yield* statusOf(agent, "c"))?.Output,
        `HTTP GET ${url}: 500 Internal Server Error Output: hello`
      )
    }))

  it.live("lets TTL checks expire", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      yield* put(agent, "/v1/agent/service/register", { Name: "web", Port: 1, Check: { TTL: "1s" } })
      yield* put(agent, "/v1/agent/check/pass/service:web?note=fine")
      assert.strictEqual((yield* statusOf(agent, "service:web"))?.Status, "passing")
      yield* checkBecomes(agent, "service:web", "critical")
      assert.strictEqual(
        (yield* statusOf(agent, "service:web"))?.Output,
        "TTL expired (last output before timeout follows): fine"
      )
    }))

  it.live("lets a check that is registered again go on as it was", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const register = put(agent, "/v1/agent/service/register", {
        Name: "web",
        Port: 1,
        Check: { TTL: "1h", Status: "passing" }
      })
      yield* register
      assert.strictEqual((yield* statusOf(agent, "service:web"))?.Status, "passing")
      yield* put(agent, "/v1/agent/check/fail/service:web?note=broken")
      yield* register
      assert.deepInclude(yield* statusOf(agent, "service:web"), { Status: "critical", Output: "broken" })
    }))

  it.live("ends checks with their service, and takes the sidecar along", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const connected = yield* Deferred.make<void>()
      const context = yield* Effect.context<never>()
      const port = yield* listener((socket) => {
        Effect.runForkWith(context)(Deferred.succeed(connected, undefined))
        socket.end()
      })
      yield* put(agent, "/v1/agent/service/register", {
        Name: "web",
        Port: port,
        Check: { TCP: `127.0.0.1:${port}`, Interval: "10ms" },
        Connect: { SidecarService: {} }
      })
      yield* Deferred.await(connected)
      yield* put(agent, "/v1/agent/service/deregister/web")
      assert.deepStrictEqual((yield* get(agent, "/v1/agent/services")).body(), {})
      assert.deepStrictEqual((yield* get(agent, "/v1/agent/checks")).body(), {})
      assert.deepStrictEqual((yield* get(agent, "/v1/health/connect/web")).body(), [])
    }))

  it.live("gives sidecars ports from 21000 on, and the same one again", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const register = (name: string) =>
        put(agent, "/v1/agent/service/register", { Name: name, Port: 1, Connect: { SidecarService: {} } })
      yield* register("a")
      yield* register("b")
      yield* register("a")
      const services = (yield* get(agent, "/v1/agent/services")).body() as Record<string, { readonly Port: number }>
      assert.deepStrictEqual([services["a-sidecar-proxy"]?.Port, services["b-sidecar-proxy"]?.Port], [21_000, 21_001])
    }))

  it.live("decides as intentions say, and by default as it was told", () =>
    Effect.gen(function*() {
      const agent = yield* start({ defaultIntentionPolicy: "deny" })
      const ask = (source: string) =>
        Effect.map(
          request(agent, "POST", "/v1/agent/connect/authorize", {
            body: {
              Target: "db",
              ClientCertURI: `spiffe://${agent.trustDomain}/ns/default/dc/dc1/svc/${source}`,
              ClientCertSerial: "04"
            }
          }),
          (reply) => reply.body()
        )
      assert.deepStrictEqual(yield* ask("web"), { Authorized: false, Reason: "Default intention policy" })
      yield* put(agent, "/v1/connect/intentions/exact?source=web&destination=db", { Action: "allow" })
      assert.deepStrictEqual(yield* ask("web"), {
        Authorized: true,
        Reason: "Matched L4 intention: default/web => default/db (Precedence: 9, Action: ALLOW)"
      })
      const self = (yield* get(agent, "/v1/agent/self")).body() as { readonly DebugConfig: Record<string, Schema.Json> }
      assert.strictEqual(self.DebugConfig["DefaultIntentionPolicy"], "deny")
    }))

  it.live("rotates its root on request, with both trusted, and over the API", () =>
    Effect.gen(function*() {
      const agent = yield* start({ leafTtl: "1 hour" })
      const roots = () =>
        Effect.map(get(agent, "/v1/agent/connect/ca/roots"), (reply) =>
          reply.body() as {
            readonly ActiveRootID: string
            readonly Roots: ReadonlyArray<{ readonly Active: boolean; readonly PrivateKeyBits: number }>
          })
      const first = yield* roots()
      yield* agent.rotateRoots
      const second = yield* roots()
      assert.notStrictEqual(second.ActiveRootID, first.ActiveRootID)
      assert.deepStrictEqual(second.Roots.map(({ Active }) => Active), [false, true])
      const configuration = (yield* get(agent, "/v1/connect/ca/configuration")).body() as Schema.JsonObject
      yield* put(agent, "/v1/connect/ca/configuration", {
        ...configuration,
        Config: { PrivateKeyType: "ec", PrivateKeyBits: 384 }
      })
      assert.strictEqual((yield* roots()).Roots.find(({ Active }) => Active)?.PrivateKeyBits, 384)
    }))

  it.live("answers no web page, and changes nothing on its behalf", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      const body = { SourceName: "*", DestinationName: "payments", Action: "allow" }
      const asked = yield* request(agent, "POST", "/v1/connect/intentions", {
        body,
        headers: { origin: "https://evil.example", "content-type": "text/plain" }
      })
      assert.strictEqual(asked.status, 403)
      assert.include(asked.text, "takes no requests of web pages")
      assert.strictEqual((yield* get(agent, "/v1/connect/intentions")).text, "[]")
      assert.strictEqual(yield* statusUnder("evil.example", agent), 400)
      assert.strictEqual(yield* statusUnder("consul:8500", agent), 400)
      assert.strictEqual(yield* statusUnder("consul:8500", yield* start({ allowedHosts: ["consul"] })), 200)
    }))

  it.live("denies who does not bring the token, when one is asked for", () =>
    Effect.gen(function*() {
      const agent = yield* start({ requireToken: "secret" })
      assert.strictEqual((yield* get(agent, "/v1/agent/self")).status, 403)
      const wrong = yield* request(agent, "GET", "/v1/agent/self", { headers: { "x-consul-token": "other" } })
      assert.deepStrictEqual([wrong.status, wrong.text], [403, "ACL not found"])
      const right = yield* request(agent, "GET", "/v1/agent/self", { headers: { "x-consul-token": "secret" } })
      assert.strictEqual(right.status, 200)
    }))

  it.live("reads bodies whatever they are called", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"]) {
        const reply = yield* request(agent, "PUT", "/v1/agent/service/register", {
          body: { name: "web", port: 80 },
          headers: { "content-type": type }
        })
        assert.strictEqual(reply.status, 200, reply.text)
      }
      const refused = yield* request(agent, "PUT", "/v1/agent/service/register", { body: "{\"Name\": " })
      assert.deepStrictEqual([refused.status, refused.text], [400, "Request decode failed: unexpected EOF"])
    }))

  it.live("takes nodes that have no agent into the catalog", () =>
    Effect.gen(function*() {
      const agent = yield* start()
      yield* put(agent, "/v1/catalog/register", {
        Node: "legacy",
        Address: "10.0.0.9",
        Service: { Service: "ldap", Port: 389 },
        Check: { Name: "ping", Status: "passing" }
      })
      const [found] = (yield* get(agent, "/v1/catalog/service/ldap")).body() as ReadonlyArray<Schema.JsonObject>
      assert.deepStrictEqual([found?.["Node"], found?.["Address"], found?.["ServicePort"]], ["legacy", "10.0.0.9", 389])
      yield* put(agent, "/v1/catalog/deregister", { Node: "legacy" })
      assert.deepStrictEqual((yield* get(agent, "/v1/catalog/service/ldap")).body(), [])
      assert.strictEqual((yield* get(agent, "/v1/catalog/node/legacy")).body(), null)
    }))
})
