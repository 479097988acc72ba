import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as agent from "../support/consul.ts"
import * as Certificates from "../support/certificates.ts"
import * as Gateways from "../support/gateways.ts"
import * as sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const { eventually } = Gateways

/** An application that tells its name and what it was asked. */
const application = (name: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          const { host, "x-added": added, "x-forwarded-client-cert": caller, "x-forwarded-proto": proto } =
            request.headers
          response.end(JSON.stringify({ name, method: request.method, url: request.url, host, added, proto, caller }))
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  /** What an application has told; of anybody else, `text`. */
  readonly body: Told
}

interface Told {
  readonly name?: string
  readonly url?: string
  readonly host?: string
  readonly added?: string
  readonly proto?: string
  readonly caller?: string
  readonly text?: string
}

const ask = (port: number, path: string, options: Https.RequestOptions & { readonly tls?: boolean } = {}) =>
  Effect.callback<Answer>((resume) => {
    const send = options.tls === true ? Https.request : Http.request
    const sent = send({ host: "127.0.0.1", port, path, agent: false, ...options }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += chunk))
      response.on("end", () =>
        resume(Effect.succeed({
          status: response.statusCode!,
          headers: response.headers,
          body: body.startsWith("{") ? JSON.parse(body) : { text: body }
        })))
    })
    sent.on("error", ({ message }) => resume(Effect.succeed({ status: 0, headers: {}, body: { text: message } })))
    sent.end()
  })

const parents = [{ Kind: "api-gateway", Name: "api-gateway" }]

/** Two services that speak HTTP, and a gateway. */
const setUp = Effect.gen(function*() {
  const { dc1 } = yield* Gateways.one
  for (const name of ["red", "blue"]) {
    yield* dc1.write({ Kind: "service-defaults", Name: name, Protocol: "http" })
    yield* dc1.service(name, { port: yield* application(name) })
  }
  const port = yield* agent.freePort
  const listener = { Name: "web", Port: port, Protocol: "http" }
  const write = (rules: ReadonlyArray<Schema.JsonObject>, more: Schema.JsonObject = {}, name = "route") =>
    dc1.write({ Kind: "http-route", Name: name, Parents: parents, Rules: rules, ...more })
  return {
    dc1,
    port,
    listener,
    write,
    open: dc1.write({ Kind: "api-gateway", Name: "api-gateway", Listeners: [listener] })
  }
})

describe("ApiGateway", () => {
  it.live("lets requests from outside in, as the gateway, by path, header, query and method", () =>
    Effect.gen(function*() {
      const { dc1, open, port, write } = yield* setUp
      yield* open
      yield* write([
        { Matches: [{ Path: { Match: "exact", Value: "/red/closed" } }] },
        { Matches: [{ Path: { Match: "exact", Value: "/only" } }], Services: [{ Name: "blue" }] },
        { Matches: [{ Headers: [{ Match: "exact", Name: "x-team", Value: "blue" }] }], Services: [{ Name: "blue" }] },
        { Matches: [{ Query: [{ Match: "regex", Name: "v", Value: "b.*" }] }], Services: [{ Name: "blue" }] },
        { Matches: [{ Method: "PUT", Path: { Match: "prefix", Value: "/" } }], Services: [{ Name: "blue" }] },
        { Matches: [{ Path: { Match: "prefix", Value: "/red" } }], Services: [{ Name: "red" }] }
      ])
      const gateway = yield* dc1.api()
      const nameOf = (path: string, options?: Http.RequestOptions) =>
        Effect.map(ask(port, path, options), ({ body, status }) => status === 200 ? body.name : status)
      yield* eventually(Effect.map(nameOf("/red"), (name) => assert.strictEqual(name, "red")))
      yield* eventually(Effect.map(nameOf("/only"), (name) => assert.strictEqual(name, "blue")))
      assert.strictEqual(yield* nameOf("/only/more"), 404)
      assert.strictEqual(yield* nameOf("/red/closed"), 404)
      assert.strictEqual(yield* nameOf("/red/1?x=y"), "red")
      assert.strictEqual(yield* nameOf("/x", { headers: { "x-team": "blue" } }), "blue")
      assert.strictEqual(yield* nameOf("/x?v=blue"), "blue")
      assert.strictEqual(yield* nameOf("/x?v=red"), 404)
      assert.strictEqual(yield* nameOf("/red", { method: "PUT" }), "red")
      assert.strictEqual(yield* nameOf("/x", { method: "PUT" }), "blue")
      const { body } = yield* ask(port, "/red", { headers: { host: "shop.example" } })
      assert.match(body.caller ?? "", /URI=spiffe:\/\/[^/]+\/ns\/default\/dc\/dc1\/svc\/api-gateway/)
      assert.strictEqual(body.host, "shop.example")
      assert.strictEqual(body.proto, "http")
      assert.strictEqual(gateway.status().listeners[0]!.state._tag, "Listening")
      yield* dc1.write({ Kind: "service-intentions", Name: "red", Sources: [{ Name: "api-gateway", Action: "deny" }] })
      yield* eventually(Effect.map(nameOf("/red"), (status) => assert.strictEqual(status, 403)))
    }))

  it.live("goes by hosts before paths, and changes what its filters say", () =>
    Effect.gen(function*() {
      const { dc1, listener, port, write } = yield* setUp
      yield* dc1.write({
        Kind: "api-gateway",
        Name: "api-gateway",
        Listeners: [{ ...listener, Hostname: "*.example" }]
      })
      yield* write(
        [{
          Matches: [{ Path: { Match: "prefix", Value: "/old" } }],
          Filters: { URLRewrite: { Path: "/new" }, Headers: [{ Set: { "x-added": "1" } }] },
          ResponseFilters: { Headers: [{ Add: { "x-answer": "2" } }] },
          Services: [{ Name: "red" }]
        }],
        { Hostnames: ["red.example"] },
        "red"
      )
      yield* write([{ Services: [{ Name: "blue" }] }], {}, "blue")
      yield* dc1.api()
      const of = (host: string, path: string) => ask(port, path, { headers: { host } })
      yield* eventually(Effect.map(of("a.example", "/"), ({ status }) => assert.strictEqual(status, 200)))
      const { body, headers } = yield* eventually(
        Effect.tap(of("red.example:8080", "/old/page?a=b"), ({ body }) =>
          Effect.sync(() => assert.strictEqual(body.name, "red")))
      )
      assert.deepInclude(body, { name: "red", url: "/new/page?a=b", added: "1" })
      assert.strictEqual(headers["x-answer"], "2")
      assert.strictEqual((yield* of("RED.example", "/old")).body.name, "red")
      assert.strictEqual((yield* of("red.example", "/else")).status, 404)
      assert.strictEqual((yield* of("b.c.example", "/old")).body.name, "blue")
      assert.strictEqual((yield* of("example", "/")).status, 404)
      assert.strictEqual((yield* of("other.test", "/")).status, 404)
    }))

  it.live("shares requests by weights, and follows its entries", () =>
    Effect.gen(function*() {
      const { dc1, listener, open, port, write } = yield* setUp
      yield* open
      yield* write([{ Services: [{ Name: "red", Weight: 1 }, { Name: "blue", Weight: 3 }] }])
      const gateway = yield* dc1.api()
      const name = Effect.map(ask(port, "/"), ({ body }) => body.name)
      yield* eventually(Effect.map(ask(port, "/"), ({ status }) => assert.strictEqual(status, 200)))
      const names = yield* Effect.all(Array.from({ length: 120 }, () => name), { concurrency: 10 })
      const blue = names.filter((each) => each === "blue").length
      assert.isAbove(blue, 60)
      assert.isBelow(blue, 119)
      yield* write([{ Services: [{ Name: "red" }] }])
      yield* eventually(Effect.map(
        Effect.all(Array.from({ length: 8 }, () => name)),
        (names) => assert.deepStrictEqual(new Set(names), new Set(["red"]))
      ))
      const other = yield* agent.freePort
      yield* dc1.write({
        Kind: "api-gateway",
        Name: "api-gateway",
        Listeners: [listener, { Name: "other", Port: other, Protocol: "http" }]
      })
      yield* eventually(Effect.map(ask(other, "/"), ({ status }) => assert.strictEqual(status, 200)))
      yield* dc1.write({ Kind: "api-gateway", Name: "api-gateway", Listeners: [{ ...listener, Port: other }] })
      yield* eventually(Effect.map(ask(port, "/"), ({ status }) => assert.strictEqual(status, 0)))
      yield* eventually(Effect.sync(() => assert.strictEqual(gateway.status().listeners.length, 1)))
    }))

  it.live("speaks TLS by the certificate for the name, over either version of HTTP", () =>
    Effect.gen(function*() {
      const { dc1, listener, port, write } = yield* setUp
      const authority = yield* Effect.promise(() => Certificates.root("public"))
      for (const host of ["a.example", "b.example"]) {
        const { certPem, keyPem } = yield* Effect.promise(() =>
          Certificates.issue(authority, { uris: [], dns: [host] })
        )
        yield* dc1.write({ Kind: "inline-certificate", Name: host, Certificate: certPem, PrivateKey: keyPem })
      }
      const certificates = ["a.example", "b.example"].map((Name) => ({ Kind: "inline-certificate", Name }))
      yield* dc1.write({
        Kind: "api-gateway",
        Name: "api-gateway",
        Listeners: [{ ...listener, TLS: { Certificates: certificates, MinVersion: "TLSv1_2" } }]
      })
      yield* write([{ Services: [{ Name: "red" }] }])
      yield* dc1.api()
      const of = (servername: string) =>
        ask(port, "/", { tls: true, ca: authority.pem, servername, headers: { host: servername } })
      yield* eventually(Effect.map(of("a.example"), ({ status }) => assert.strictEqual(status, 200)))
      const { body } = yield* of("b.example")
      assert.deepInclude(body, { name: "red", proto: "https" })
      assert.match((yield* of("c.example")).body.text ?? "", /does not match certificate/)
      assert.strictEqual((yield* ask(port, "/")).status, 0)

      const answer = yield* Effect.callback<string>((resume) => {
        const client = Http2.connect(`https://127.0.0.1:${port}`, { ca: authority.pem, servername: "a.example" })
        const stream = client.request({ ":path": "/two" })
        let text = ""
        stream.on("data", (chunk) => (text += chunk))
        stream.on("end", () => {
          client.close()
          resume(Effect.succeed(text))
        })
      })
      assert.strictEqual(JSON.parse(answer).url, "/two")
      if (TlsClients.has("openssl")) {
        const shown = yield* TlsClients.sClient(port, ["-servername", "b.example", "-tls1_2"])
        assert.match(shown.output, /Protocol *: TLSv1.2/)
      }
    }))

  it.live("passes bytes on where a port speaks tcp, over TLS too", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* Gateways.one
      yield* dc1.service("db")
      const [plain, secure] = [yield* agent.freePort, yield* agent.freePort]
      const authority = yield* Effect.promise(() => Certificates.root("public"))
      const { certPem, keyPem } = yield* Effect.promise(() =>
        Certificates.issue(authority, { uris: [], dns: ["db.example"] })
      )
      yield* dc1.write({ Kind: "inline-certificate", Name: "db", Certificate: certPem, PrivateKey: keyPem })
      yield* dc1.write({
        Kind: "api-gateway",
        Name: "api-gateway",
        Listeners: [
          { Name: "plain", Port: plain, Protocol: "tcp" },
          {
            Name: "secure",
            Port: secure,
            Protocol: "tcp",
            TLS: { Certificates: [{ Kind: "inline-certificate", Name: "db" }] }
          }
        ]
      })
      yield* dc1.write({ Kind: "tcp-route", Name: "db", Parents: parents, Services: [{ Name: "db" }] })
      yield* dc1.api()
      const said = (port: number) =>
        Effect.scoped(Effect.flatMap(sockets.connect(port), (socket) =>
          Effect.callback<string>((resume) => {
            socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
            socket.once("close", () => resume(Effect.succeed("closed")))
            socket.write("hello")
          })))
      yield* eventually(Effect.map(said(plain), (answer) => assert.strictEqual(answer, "HELLO")))
      const identity = { cert: certPem, key: keyPem, ca: [authority.pem] }
      assert.strictEqual((yield* Gateways.call(secure, identity, "db.example")).answer, "HELLO")
      assert.strictEqual(yield* said(secure), "closed")
    }))
})
