/** What is written in the log of a mesh: who it is about, and nothing that must stay secret. */
import { assert, describe, it } from "@effect/vitest"
import { Console, Context, Deferred, Effect, Fiber, Layer, Logger, Redacted, References, Schema, Tracer } from "effect"
import { HttpClient, HttpClientRequest, HttpMiddleware, HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { format, inspect } from "node:util"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as http from "../support/http.ts"
import * as scrape from "../support/scrape.ts"
import { connect, eventually, record } from "../support/sockets.ts"
import { collect } from "../support/spans.ts"

const Line = Schema.Struct({
  message: Schema.Unknown,
  level: Schema.String,
  annotations: Schema.Record(Schema.String, Schema.Unknown)
})

interface Log {
  /** As they are written. */
  readonly text: () => string
  /** The annotations of the first line that has these words. */
  readonly about: (words: string) => Readonly<Record<string, unknown>> | undefined
}

const logging = Effect.sync(() => {
  const texts: Array<string> = []
  const log: Log = {
    text: () => texts.join("\n"),
    about: (words) => {
      const found = texts.find((text) => text.includes(words))
      return found === undefined ? undefined : Schema.decodeSync(Schema.fromJsonString(Line))(found).annotations
    }
  }
  return { log, layer: Logger.layer([Logger.map(Logger.formatJson, (text) => void texts.push(text))]) }
})

const withLog = <A, E, R>(f: (log: Log) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(logging, ({ layer, log }) =>
    f(log).pipe(
      Effect.provide(layer),
      Effect.provideService(References.MinimumLogLevel, "All")
    ))

const uri = (context: Context.Context<Mesh.Mesh>, service: string) =>
  `spiffe://${
    Context.get(context, SecureContexts.SecureContexts).current().roots.trustDomain
  }/ns/default/dc/dc1/svc/${service}`

describe("a line that is written within a request", () => {
  it.live("says who called, whoever writes it", () =>
    withLog((log) =>
      Effect.gen(function*() {
        const mesh = yield* TestMesh.TestMesh
        // With the log of requests that Effect keeps.
        const orders = yield* mesh.serve(
          "orders",
          HttpRouter.serve(
            HttpRouter.add(
              "GET",
              "/",
              Effect.gen(function*() {
                yield* Effect.log("counting stock")
                yield* Effect.annotateLogs(Effect.log("shelf"), { shelf: 7 })
                yield* Fiber.join(yield* Effect.forkChild(Effect.log("in the back")))
                return HttpServerResponse.text("3")
              }).pipe(Effect.annotateLogs("remote", "mine"))
            ),
            { disableListenLog: true }
          )
        ).pipe(Effect.annotateLogs("deployment", "blue"))
        yield* mesh.allow("shop", "orders")
        const shop = yield* mesh.client("shop")
        yield* Effect.log("before")
        yield* shop.get("http://orders/")
        yield* eventually(() => log.about("Sent HTTP response") !== undefined)
        const peer = uri(yield* mesh.join("shop"), "shop")
        assert.deepStrictEqual(log.about("counting stock"), { deployment: "blue", peer, remote: "mine" })
        assert.deepStrictEqual(log.about("shelf"), { deployment: "blue", peer, remote: "mine", shelf: 7 })
        assert.strictEqual(log.about("in the back")?.["peer"], peer)
        const { remote, ...sent } = log.about("Sent HTTP response")!
        assert.match(String(remote), /^127[.]0[.]0[.]1:\d+$/)
        assert.deepStrictEqual(sent, {
          deployment: "blue",
          peer,
          "http.method": "GET",
          "http.url": "/",
          "http.status": 200
        })
        assert.deepStrictEqual(log.about("before"), {})
        assert.strictEqual(orders.stats().aborted["denied"], undefined)
      }).pipe(Effect.provide(TestMesh.layer()))
    ))
})

describe("a line in the console", () => {
  it.live("has the caller, not a note that it could be looked up", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const console = Object.assign(Object.create(globalThis.console), {
        log: (...parts: ReadonlyArray<unknown>) => void written.push(format(...parts))
      })
      yield* Effect.gen(function*() {
        const mesh = yield* TestMesh.TestMesh
        yield* mesh.serve(
          "orders",
          HttpRouter.serve(
            HttpRouter.add("GET", "/", Effect.as(Effect.log("counting stock"), HttpServerResponse.empty())),
            { disableLogger: true, disableListenLog: true }
          )
        )
        yield* mesh.allow("shop", "orders")
        yield* (yield* mesh.client("shop")).get("http://orders/")
      }).pipe(
        Effect.provide(Layer.merge(TestMesh.layer(), Logger.layer([Logger.defaultLogger]))),
        Effect.provideService(Console.Console, console)
      )
      const line = written.find((text) => text.includes("counting stock"))
      assert.match(line ?? "", /peer: '?.*svc\/shop/)
      assert.notInclude(line, "Getter")
      assert.match(
        written.find((text) => text.includes("serving orders")) ?? "",
        /https:\/\/127\.0\.0\.1:\d+, for callers/
      )
    }))
})

describe("a line about a peer", () => {
  it.live("says who it is, where it is, and which service it wanted", () =>
    withLog((log) =>
      Effect.gen(function*() {
        const mesh = yield* TestMesh.TestMesh
        const waiting = yield* Deferred.make<void>()
        const orders = yield* mesh.serve(
          "orders",
          HttpRouter.serve(
            HttpRouter.add("GET", "/wait", Effect.andThen(Deferred.succeed(waiting, undefined), Effect.never)),
            { disableLogger: true, disableListenLog: true }
          )
        )
        const thief = yield* mesh.client("thief")
        yield* thief.get("http://orders/")
        const member = yield* mesh.join("thief")
        const inbound = { direction: "inbound", service: "orders" }
        const known = (words: string, more: Readonly<Record<string, unknown>>) => {
          const { remote, ...rest } = log.about(words) ?? {}
          assert.match(String(remote), /^127[.]0[.]0[.]1:\d+$/, words)
          assert.deepStrictEqual(rest, { ...inbound, ...more }, words)
        }
        known("refused a request", { reason: "denied", peer: uri(member, "thief") })

        const plain = yield* connect(orders.port)
        plain.write("GET / HTTP/1.1\r\n\r\n")
        yield* record(plain).ending
        yield* eventually(() => log.about("does not speak TLS") !== undefined)
        known("does not speak TLS", { reason: "not_tls" })

        yield* mesh.allow("thief", "orders")
        const held = yield* Effect.forkChild(Effect.exit(thief.get("http://orders/wait")))
        yield* Deferred.await(waiting)
        yield* mesh.deny("thief", "orders")
        yield* Fiber.join(held)
        yield* eventually(() => log.about("ended requests of") !== undefined)
        known("ended requests of", { reason: "denied", peer: uri(member, "thief") })

        const client = yield* http.http1(orders.port, Context.get(member, SecureContexts.SecureContexts).current())
        yield* Effect.exit(client({ headers: { "x-long": "a".repeat(70_000) } }))
        yield* eventually(() => log.about("headers_too_large") !== undefined)
        known("headers_too_large", { reason: "headers_too_large", peer: uri(member, "thief") })
      }).pipe(Effect.provide(TestMesh.layer()))
    ))

  it.live("says whose connection failed, and whose was cut", () =>
    withLog((log) =>
      Effect.gen(function*() {
        const mesh = yield* TestMesh.TestMesh
        const [shop, bank] = [yield* mesh.join("shop"), yield* mesh.join("bank")]
        yield* mesh.allow("shop", "bank")
        const listener = yield* MeshListener.make({
          host: "127.0.0.1",
          port: 0,
          drain: 0,
          handle: ({ socket }) =>
            Effect.callback<void, http.NoAnswer>((resume) => {
              socket.once("data", () => resume(Effect.fail(new http.NoAnswer({ why: "the vault is shut" }))))
            })
        }).pipe(Effect.provideContext(bank))
        const material = Context.get(shop, SecureContexts.SecureContexts).current()
        yield* Effect.exit((yield* http.http1(listener.port, material))())
        yield* eventually(() => log.about("the vault is shut") !== undefined)
        const { remote, ...failed } = log.about("the vault is shut")!
        assert.match(String(remote), /^127[.]0[.]0[.]1:\d+$/)
        const about = { direction: "inbound", service: "bank", peer: uri(shop, "shop") }
        assert.deepStrictEqual(failed, about)

        yield* Context.get(shop, MeshDialer.MeshDialer).dialAddress({
          address: { host: "127.0.0.1", port: listener.port },
          expected: Context.get(bank, SecureContexts.SecureContexts).current().leaf.identity,
          sni: undefined,
          timeoutMillis: 5000
        })
        yield* eventually(() => listener.stats().open === 1)
        yield* mesh.deny("shop", "bank")
        yield* eventually(() => log.about("cut 1 open connection") !== undefined)
        const { millis, ...cut } = log.about("cut 1 open connection")!
        assert.isNumber(millis)
        assert.deepStrictEqual(cut, { ...about, reason: "denied", count: 1 })
      }).pipe(Effect.provide(TestMesh.layer()))
    ))
})

describe("logs, spans, metrics and errors", () => {
  it.live("show neither keys nor tokens, whatever goes wrong", () =>
    withLog((log) =>
      Effect.gen(function*() {
        const token = "3f0b0a1c-agent-token"
        const spans = yield* collect
        const failures: Array<string> = []
        const keys: Array<string> = []
        yield* Effect.gen(function*() {
          const { address } = yield* DevelopmentAgent.Agent
          const consul = yield* Layer.build(ConsulClient.layer({ address, token: Redacted.make(token) }))
          const joined = (service: string) =>
            Effect.tap(Layer.build(Mesh.layer({ service })).pipe(Effect.provideContext(consul)), (mesh) => {
              const { keyPem } = Context.get(mesh, LeafCertificate.LeafCertificate).latest()!
              keys.push(...Redacted.value(keyPem).split("\n").filter((line) => line.length > 30))
              return Effect.logTrace("joined", Context.get(mesh, LeafCertificate.LeafCertificate).latest(), mesh)
            })
          const [shop, orders] = [yield* joined("shop"), yield* joined("orders")]
          const server = yield* Layer.build(
            HttpRouter.serve(
              HttpRouter.add("*", "/*", Effect.logDebug("handled").pipe(Effect.as(HttpServerResponse.empty())))
            )
              .pipe(Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: 0 })))
          ).pipe(Effect.provideContext(orders))
          const { port } = Context.get(server, MeshHttpServer.MeshHttpServer)
          yield* ServiceRegistration.make({ name: "orders", port, address: "127.0.0.1", drain: 0 }).pipe(
            Effect.provideContext(consul)
          )
          const http = Context.get(
            yield* Layer.build(MeshHttpClient.layer()).pipe(Effect.provideContext(shop)),
            HttpClient.HttpClient
          )
          const request = HttpClientRequest.post("http://orders/").pipe(
            HttpClientRequest.bearerToken(Redacted.make("a-bearer-token")),
            HttpClientRequest.setHeader("cookie", "session=a-cookie"),
            HttpClientRequest.bodyText("a-body")
          )
          yield* http.execute(request)
          failures.push(String(yield* Effect.flip(http.execute(HttpClientRequest.setUrl(request, "http://nobody/")))))

          const stranger = yield* Layer.build(
            ConsulClient.layer({ address, token: Redacted.make("another-agent-token") })
          )
          const refused = yield* Effect.flip(
            Effect.scoped(Layer.build(Mesh.layer({ service: "spy", readyWithin: "300 millis" }))).pipe(
              Effect.provideContext(stranger)
            )
          )
          failures.push(refused.message, String(refused), inspect(refused, { depth: 10 }))
        }).pipe(
          Effect.provide(DevelopmentAgent.layer({ port: 0, requireToken: token })),
          Effect.provideService(Tracer.Tracer, spans.tracer),
          // The most that somebody can ask for.
          Effect.provideService(HttpClient.TracerHeaderFilter, () => true),
          Effect.provideService(HttpMiddleware.TracerHeaderFilter, () => true)
        )
        const attributes = spans.all.flatMap((span) =>
          [...span.attributes].map(([name, value]) => `${name}=${String(value)}`)
        )
        const seen = [log.text(), ...attributes, yield* PrometheusMetrics.format(), ...failures].join("\n")
        for (const words of ["refused", "joined", "handled", "Sent HTTP response", "mesh_http_requests_total"]) {
          assert.include(seen, words, "otherwise nothing was looked at")
        }
        assert.isAtLeast(keys.length, 4)
        for (
          const secret of [...keys, "PRIVATE KEY", token, "another-agent-token", "a-bearer-token", "a-cookie", "a-body"]
        ) {
          assert.notInclude(seen, secret)
        }
      }).pipe(scrape.fresh)
    ))
})
