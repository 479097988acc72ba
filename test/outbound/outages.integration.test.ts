import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Schedule, Scope } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as ConsulError from "../../src/consul/ConsulError.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import { agentBehind, badAgent, type Fault, faults } from "../support/agents.ts"
import { failureOf } from "../support/httpMesh.ts"
import { eventually, record } from "../support/sockets.ts"

const consulAt = (address: string) =>
  Layer.effect(ConsulClient.ConsulClient, ConsulClient.make({ ...Settings.defaults, address }))

/** Lets what happens outside the test's clock go on until it has happened. */
const happened = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    fact() ? Effect.void : Effect.andThen(Effect.promise(() => new Promise(setImmediate)), happened(fact))
  )

const routes = HttpRouter.serve(HttpRouter.add("GET", "/*", HttpServerResponse.text("hello")), {
  disableLogger: true,
  disableListenLog: true
})

/** What the message of each says besides what did not arrive, and what a caller of `ServiceRegistration` gets. */
const outages: ReadonlyArray<readonly [keyof typeof faults, ConsulError.Reason["_tag"], RegExp]> = [
  [
    "has gone",
    "Unreachable",
    /the agent cannot be reached \(.+\)\. Check that it runs and that CONSUL_HTTP_ADDR names it/
  ],
  ["does not answer", "TimedOut", /(has not answered yet|no answer within 10s)\. Check /],
  ["has no leader", "ServerError", /the agent answered with status 500 \(No cluster leader\)/],
  [
    "does not know the token",
    "PermissionDenied",
    /it was deleted, or has expired. Set a valid one, .*CONSUL_HTTP_TOKEN/
  ],
  [
    "denies",
    "PermissionDenied",
    /permission denied \(.*'service:write' on "web"\)\. Check the token in CONSUL_HTTP_TOKEN/
  ]
]

describe.each(outages)("where the agent %s at the start", (what, reason, remedy) => {
  it.effect("a mesh service gives up after 30 seconds, says what is missing and what to do, and opens nothing", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => faults[what](response))
      const service = routes.pipe(
        Layer.provide(MeshHttpServer.layer({ host: "127.0.0.1", port: 0 })),
        Layer.provide(Mesh.layer({ service: "web" })),
        Layer.provide(consulAt(agent.address))
      )
      let over = false
      const starting = yield* Effect.forkChild(
        Effect.flip(Layer.build(service)).pipe(Effect.ensuring(Effect.sync(() => over = true)))
      )
      yield* TestClock.adjust(0)
      yield* happened(() => agent.requests.length >= 3)
      for (let second = 0; second < 29; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      assert.isFalse(over)
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(starting)
      assert.strictEqual(error._tag, "NotReady")
      assert.match(error.message, /^the (CA roots|leaf certificate|intentions) did not arrive within 30s: /)
      assert.include(error.message, agent.address)
      assert.match(error.message, remedy)
    }))

  it.effect("a registration fails at once, or after 10 seconds of silence, and says why", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => faults[what](response))
      const registering = yield* Effect.forkChild(
        Effect.flip(ServiceRegistration.make({ name: "web", port: 8443 }).pipe(Effect.provide(consulAt(agent.address))))
      )
      yield* TestClock.adjust(0)
      yield* happened(() => agent.requests.length === 1)
      if (what === "does not answer") yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(registering)
      assert.strictEqual("reason" in error && error.reason._tag, reason)
      assert.include(error.message, `PUT /v1/agent/service/register at http://${agent.address}`)
      assert.match(error.message, remedy)
    }))
})

/** Asks again at once, so that a test sees in a moment what takes minutes. */
const impatient = {
  wait: "300 millis",
  grace: "2 seconds",
  backoff: Schedule.spaced("5 millis"),
  burst: 1000,
  interval: "1 millis"
} as const

/** Of a service that is asked for in an outage: sooner than by default. */
const connectTimeoutMillis = 1500

/** `web` and `api` of one mesh, whose agent can be made to fail. */
const running = Effect.gen(function*() {
  const behind = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "allow" })
  const agent = yield* agentBehind(behind.port)
  const consul = consulAt(agent.address)
  const join = (service: string) =>
    Layer.build(Layer.provideMerge(Mesh.layer({ service }), consul)).pipe(
      Effect.provideService(BlockingQuery.Policy, impatient)
    )
  const api = yield* join("api")
  const web = yield* join("web")
  const server = yield* Layer.build(
    Layer.provideMerge(routes, MeshHttpServer.layer({ host: "127.0.0.1", port: 0 }))
  ).pipe(Effect.provideContext(api))
  const { port, stats } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(server))
  yield* ConsulClient.ConsulClient.use((consul) =>
    consul.call("register", (api) =>
      api.agent.registerService({
        query: {},
        payload: { Name: "api", Port: port, Address: "127.0.0.1", Connect: { Native: true } }
      }))
  ).pipe(Effect.provideContext(web))
  const http = yield* HttpClient.HttpClient.pipe(
    Effect.provideContext(
      yield* Layer.build(
        MeshHttpClient.layer({
          resolve: (host) => host === "other" ? { service: host, connectTimeoutMillis } : undefined
        })
      ).pipe(Effect.provideContext(web), Effect.provideService(BlockingQuery.Policy, impatient))
    )
  )
  const get = (url: string) => Effect.flatMap(http.get(url), (response) => response.text)
  yield* Effect.retry(get("http://api/"), Schedule.spaced("10 millis"))
  const watches = yield* Effect.gen(function*() {
    return [yield* CaRoots.CaRoots, yield* LeafCertificate.LeafCertificate, yield* Intentions.Intentions] as const
  }).pipe(Effect.provideContext(web))
  return { agent, web, get, stats, freshness: () => watches.map((each) => each.freshness()) }
})

const later: ReadonlyArray<readonly [string, Fault, RegExp]> = outages.map(([what, , remedy]) => [
  what,
  faults[what],
  what === "does not answer" ? /has not answered yet\. Check that it is reachable|no answer within/ : remedy
])

describe.each(later)("where the agent %s later on", (_, fault, remedy) => {
  it.live("nothing fails, however often it is asked in vain; what it said is known to be stale until it is back", () =>
    Effect.gen(function*() {
      const { agent, freshness, get, stats, web } = yield* running
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(web))
      // Connections and requests have a chain each: both are known by now.
      yield* Effect.scoped(dialer.dial({ service: "api" }))
      yield* eventually(() => freshness().every(({ failures }) => failures === 0))
      agent.become(fault)
      yield* eventually(() => freshness().every(({ lastError }) => lastError !== undefined && remedy.test(lastError)))
      assert.isTrue(freshness().every(({ failures }) => failures > 0))
      const accepted = stats().connections.accepted
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* get("http://api/"), "hello")
        yield* Effect.scoped(Effect.gen(function*() {
          const { socket } = yield* dialer.dial({ service: "api" })
          socket.write("GET / HTTP/1.1\r\nhost: api\r\n\r\n")
          yield* record(socket).until("hello")
        }))
      }
      assert.strictEqual(stats().connections.accepted, accepted + 20)
      // While it answers, it does so every 300 ms. One answer may have been on its way.
      yield* eventually(() => freshness().every(({ answeredAt }) => Date.now() - answeredAt! > 1000))

      agent.become(undefined)
      yield* eventually(() =>
        freshness().every(({ answeredAt, failures }) => failures === 0 && Date.now() - answeredAt! < 1000)
      )
      assert.strictEqual(yield* get("http://api/"), "hello")
    }))

  it.live("a service that was not called before is given up in time, with the reason", () =>
    Effect.gen(function*() {
      const { agent, get, web } = yield* running
      agent.become(fault)
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(web))
      const [failed, undialled] = yield* Effect.all([
        failureOf(get("http://other/")),
        Effect.flip(dialer.dial({ service: "other", connectTimeoutMillis }))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual([failed.service, failed.sent, failed.reason._tag], ["other", false, "TimedOut"])
      assert.match(
        failed.message,
        new RegExp(
          `^the request to other failed: its discovery chain was not ready within ${connectTimeoutMillis} ms: `
        )
      )
      assert.match(failed.message, remedy)
      assert.match(
        undialled.message,
        new RegExp(`^cannot reach other: its discovery chain was not ready within ${connectTimeoutMillis} ms: `)
      )
      assert.match(undialled.message, remedy)
    }))
})

describe("a service that nobody can answer for", () => {
  it.live("is reported at once: that it is not registered, what to look at, and that nothing was sent", () =>
    Effect.gen(function*() {
      const { get, web } = yield* running
      const failed = yield* failureOf(get("http://nowhere.service.consul/"))
      assert.deepStrictEqual([failed.service, failed.sent, failed.reason._tag], ["nowhere", false, "NoHealthyInstance"])
      assert.match(
        failed.message,
        /the request to nowhere failed: no instance .* is registered under this name\. Check /
      )
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(web))
      const undialled = yield* Effect.flip(dialer.dial({ service: "nowhere" }))
      assert.strictEqual(undialled.reason._tag, "NoHealthyInstance")
    }))

  it.live("is reported at once when no instance is healthy, and called when one is", () =>
    Effect.gen(function*() {
      const { get, web } = yield* running
      const maintenance = (enable: boolean) =>
        ConsulClient.ConsulClient.use((consul) =>
          consul.call(
            "maintenance",
            (api) => api.agent.serviceMaintenance({ params: { id: "api" }, query: { enable, reason: "a test" } })
          )
        ).pipe(Effect.provideContext(web))
      yield* maintenance(true)
      const failed = yield* Effect.repeat(Effect.option(failureOf(get("http://api/"))), {
        schedule: Schedule.spaced("5 millis"),
        until: Option.isSome
      })
      assert.match(
        Option.getOrThrow(failed).message,
        /its only instance is not healthy.*\. Look at the checks, at the agent under \/v1\/health\/service$/
      )
      yield* maintenance(false)
      assert.strictEqual(yield* Effect.retry(get("http://api/"), Schedule.spaced("10 millis")), "hello")
    }))
})

describe("a registration whose agent has gone", () => {
  it.live("lets its scope close all the same", () =>
    Effect.gen(function*() {
      const behind = yield* DevelopmentAgent.make({ port: 0 })
      const agent = yield* agentBehind(behind.port)
      const scope = yield* Scope.make()
      yield* ServiceRegistration.make({ name: "web", port: 8443, drain: 0 }).pipe(
        Effect.provide(consulAt(agent.address)),
        Scope.provide(scope)
      )
      agent.become(faults["has gone"])
      yield* Scope.close(scope, Exit.void)
    }))
})
