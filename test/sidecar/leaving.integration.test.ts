/** A sidecar that is to stop: who hears of it, and what becomes of their calls. */
import { assert, describe, it } from "@effect/vitest"
import type * as Http from "node:http"
import * as Tls from "node:tls"
import { Effect, Fiber, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as agents from "../support/agents.ts"
import * as Certificates from "../support/certificates.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import * as Mesh from "../support/mesh.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

/** `api` by itself, and connections to it as `web`. Time passes when the test says so. */
const setUp = Effect.fnUntraced(function*(protocol: "tcp" | "http", application: number) {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const api = yield* Mesh.member("api", ca)
  if (protocol === "http") {
    yield* SubscriptionRef.set(api.intentions, Mesh.requestPolicy("api", Intention.make("web", "api", "allow")))
  }
  const sidecar = yield* Sidecars.start(
    api,
    yield* Mesh.discovery({}),
    Sidecars.registration("api", { protocol, application: { host: "127.0.0.1", port: application } }),
    { shutdownDelay: "1 minute", drain: "1 minute" }
  )
  const port = sidecar.port("public")
  const uris = [SpiffeId.format(Certificates.service("web"))]
  const web = yield* Effect.promise(() => Certificates.issue(ca, { uris }))
  const connect = TlsClients.connect(port, web)
  return {
    sidecar,
    port,
    web,
    connect: Effect.map(connect, ({ socket }) => ({ socket, read: Sockets.record(socket) }))
  }
})

const hello: Http.RequestListener = (_, response) => void response.end("hello")

const request = "GET / HTTP/1.1\r\nhost: api\r\n\r\n"

/** In real time: that of the test stands still. */
const eventually = (holds: () => boolean) => TestClock.withLive(Sockets.eventually(holds))

const untilLeaving = (sidecar: Effect.Success<ReturnType<typeof setUp>>["sidecar"]) =>
  eventually(() => sidecar.status().phase === "leaving")

describe("a sidecar that leaves", () => {
  it.effect("has callers over HTTP come back elsewhere with their next answer, new ones too, and then closes", () =>
    Effect.gen(function*() {
      const { connect, port, sidecar } = yield* setUp("http", yield* HttpApplication.start(hello))
      const kept = yield* connect
      kept.socket.write(request)
      yield* kept.read.until("hello")
      assert.notInclude(kept.read.text(), "connection: close")

      const left = yield* Effect.forkChild(sidecar.leave)
      yield* untilLeaving(sidecar)
      kept.socket.write(request)
      assert.strictEqual(yield* kept.read.ending, "ended")
      assert.strictEqual(kept.read.text().split("hello").length, 3, "both were answered")
      assert.include(kept.read.text(), "connection: close")
      kept.socket.end()
      const late = yield* connect
      late.socket.write(request)
      assert.strictEqual(yield* late.read.ending, "ended")
      assert.include(late.read.text(), "connection: close")
      late.socket.end()

      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(left)
      assert.strictEqual(sidecar.status().phase, "gone")
      assert.include(String(yield* Effect.flip(Sockets.connect(port))), "ECONNREFUSED")
    }))

  it.effect("goes on with what is open on other protocols, and takes new callers until the delay is over", () =>
    Effect.gen(function*() {
      const { port: application } = yield* Sockets.shouting
      const { connect, port, sidecar } = yield* setUp("tcp", application)
      const kept = yield* connect
      kept.socket.write("before")
      yield* kept.read.until("BEFORE")
      const left = yield* Effect.forkChild(sidecar.leave)
      yield* untilLeaving(sidecar)
      const late = yield* connect
      late.socket.write("late")
      yield* late.read.until("LATE")
      yield* TestClock.adjust("1 minute")
      yield* eventually(() => sidecar.status().phase === "draining")
      assert.include(String(yield* Effect.flip(Sockets.connect(port))), "ECONNREFUSED")
      for (const { read, socket } of [kept, late]) {
        socket.end("still here")
        yield* read.until("STILL HERE")
        assert.strictEqual(yield* read.ending, "ended")
      }
      yield* Fiber.join(left)
    }))

  it.effect("waits for a caller whose handshake is under way, and serves it", () =>
    Effect.gen(function*() {
      const { port: application } = yield* Sockets.shouting
      const { port, sidecar, web } = yield* setUp("tcp", application)
      const transport = yield* Sockets.connect(port)
      yield* eventually(() => sidecar.listener("public")!.counts.handshaking === 1)
      const left = yield* Effect.forkChild(sidecar.leave)
      yield* untilLeaving(sidecar)
      yield* TestClock.adjust("1 minute")
      yield* eventually(() => sidecar.status().phase === "draining")
      const socket = Tls.connect({ socket: transport, rejectUnauthorized: false, cert: web.chainPem, key: web.keyPem })
      const read = Sockets.record(socket)
      socket.end("in time")
      yield* read.until("IN TIME")
      yield* Fiber.join(left)
    }))
})

describe("the agent", () => {
  const setUp = Effect.gen(function*() {
    const application = yield* HttpApplication.start(hello)
    const mesh = yield* SidecarMesh.make({ apps: [application], protocol: "http", shutdownDelay: "1 millis" })
    const proxy = "api-1-sidecar-proxy"
    const maintenance = Effect.map(
      mesh.call("checks", (api) => api.agent.checks({ query: {} })),
      ({ body }) => body[`_service_maintenance:${proxy}`]?.Notes
    )
    return { mesh, proxy, maintenance, api: mesh.api[0]! }
  })

  it.live("hears that it leaves, and that it is back", () =>
    Effect.gen(function*() {
      const { api, maintenance, mesh } = yield* setUp
      assert.isUndefined(yield* maintenance)
      yield* api.stop
      assert.strictEqual(yield* maintenance, "its sidecar has left; this ends when it is back")
      yield* mesh.start("api-1")
      yield* Sockets.eventuallyEffect(Effect.map(maintenance, (notes) => notes === undefined))
    }))

  it.live("keeps the maintenance mode that an operator has set", () =>
    Effect.gen(function*() {
      const { api, maintenance, mesh, proxy } = yield* setUp
      yield* mesh.call(
        "maintenance",
        ({ agent }) => agent.serviceMaintenance({ params: { id: proxy }, query: { enable: true, reason: "disk" } })
      )
      yield* api.stop
      assert.strictEqual(yield* maintenance, "disk")
      const seen = mesh.front.requests.length
      yield* mesh.start("api-1")
      yield* Sockets.eventually(() => mesh.front.requests.slice(seen).some((line) => line.includes("/agent/checks")))
      assert.strictEqual(yield* maintenance, "disk")
    }))

  for (const fault of ["denies", "has gone"] as const) {
    it.live(`need not hear of it: it leaves where the agent ${fault}`, () =>
      Effect.gen(function*() {
        const { api, mesh } = yield* setUp
        mesh.front.become(agents.faults[fault])
        yield* api.stop
        assert.strictEqual(api.status().phase, "gone")
      }))
  }
})
