/** One scenario in which everything happens that is counted, and what Prometheus then reads. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schedule } from "effect"
import { HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import * as MetricCatalogue from "../../src/observe/MetricCatalogue.ts"
import * as Forwarder from "../../src/outbound/Forwarder.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"
import * as scrape from "../support/scrape.ts"
import { closedPort, connect, record } from "../support/sockets.ts"

/** Native services have none of these: test/sidecar, test/gateway. */
const ofSidecars: ReadonlySet<object> = new Set([
  MetricCatalogue.routedRequests,
  MetricCatalogue.retriesRefused,
  MetricCatalogue.sidecarRunning,
  MetricCatalogue.sidecarRestarts,
  MetricCatalogue.workerRunning,
  MetricCatalogue.workerRestarts,
  MetricCatalogue.gatewayConnections,
  MetricCatalogue.gatewayRefusals
])

const quiet = { disableLogger: true, disableListenLog: true }

const scenario = Effect.gen(function*() {
  const mesh = yield* TestMesh.TestMesh
  const waiting = yield* Deferred.make<void>()
  const orders = yield* mesh.serve(
    "orders",
    HttpRouter.serve(
      HttpRouter.add(
        "*",
        "/*",
        Effect.gen(function*() {
          const { url } = yield* HttpServerRequest.HttpServerRequest
          if (url === "/wait") {
            yield* Deferred.succeed(waiting, undefined)
            return yield* Effect.never
          }
          return HttpServerResponse.empty({ status: url === "/broken" ? 500 : 200 })
        })
      ),
      quiet
    )
  )
  yield* mesh.allow("shop", "orders")
  const shop = yield* mesh.client("shop")
  const thief = yield* mesh.client("thief")
  yield* shop.get("http://orders/")
  assert.strictEqual((yield* thief.get("http://orders/")).status, 403)

  // Nobody knows what comes here: none of it may be seen.
  for (let i = 0; i < 30; i++) yield* shop.get(`http://orders/secret-${i}?token=${i}`)
  yield* shop.execute(HttpClientRequest.make("PROPFIND" as "GET")("http://orders/secret-method"))
  yield* record(yield* Effect.tap(connect(orders.port), (socket) => Effect.sync(() => socket.write("hello\r\n\r\n"))))
    .ending

  // By a local port to a service that lets nobody in.
  yield* mesh.serveSockets("vault", Layer.empty)
  const { bound } = yield* Forwarder.make({ bind: { host: "127.0.0.1", port: 0 }, to: { service: "vault" } }).pipe(
    Effect.provideContext(yield* mesh.join("shop"))
  )
  yield* record(yield* connect((bound as { readonly port: number }).port)).ending

  // Ended by the server, so it is tried again, and refused.
  const held = yield* Effect.forkChild(Effect.exit(shop.get("http://orders/wait")))
  yield* Deferred.await(waiting)
  yield* mesh.deny("shop", "orders")
  yield* Fiber.join(held)
  yield* mesh.allow("shop", "orders")

  // Five failures in a row: out for a while.
  for (let i = 0; i < 5; i++) yield* shop.get("http://orders/broken")

  // An instance that nobody answers for: the request goes elsewhere, to one that is out rather than to none.
  const gone = yield* closedPort
  yield* ServiceRegistration.make({ name: "orders", id: "gone", port: gone, address: "127.0.0.1", drain: 0 })
  yield* Effect.repeat(shop.get("http://orders/"), {
    schedule: Schedule.spaced("5 millis"),
    until: () => Effect.map(scrape.samples, (now) => now["mesh_http_retries_total{destination=\"orders\"}"] === 2)
  })
})

describe("the metrics of a mesh", () => {
  it.live("are all there, as documented, and take nothing from what callers say", () =>
    Effect.gen(function*() {
      yield* scenario
      const text = yield* PrometheusMetrics.format()
      const { labels, samples, types } = scrape.parse(text)
      assert.deepStrictEqual(
        Object.entries(types).map(([name, type]) => `${name} ${type} ${labels[name]!.toSorted().join(" ")}`).toSorted(),
        MetricCatalogue.all.filter((metric) => !ofSidecars.has(metric))
          .map(({ attributes, name, type }) => `${name} ${type} ${attributes.toSorted().join(" ")}`)
          .toSorted()
      )
      assert.notMatch(text, /secret|token|PROPFIND/)
      assert.isBelow(Object.keys(samples).length, 300, text)

      const is = (name: string, value: number) => assert.strictEqual(samples[name], value, `${name} in\n${text}`)
      const edge = "source=\"shop\",destination=\"orders\""
      is(`mesh_http_requests_total{direction="inbound",${edge},code="500"}`, 5)
      is(`mesh_http_requests_total{direction="outbound",${edge},code="500"}`, 5)
      is(`mesh_http_requests_total{direction="outbound",${edge},code="unreachable"}`, 1)
      is("mesh_http_requests_total{direction=\"inbound\",source=\"thief\",destination=\"orders\",code=\"403\"}", 1)
      is("mesh_http_refusals_total{source=\"thief\",destination=\"orders\",reason=\"denied\"}", 1)
      is("mesh_http_requests_active{direction=\"inbound\"}", 0)
      is("mesh_http_retries_total{destination=\"orders\"}", 2)
      is("mesh_ejections_total{destination=\"orders\"}", 1)
      is("mesh_http_aborted_total{direction=\"inbound\",reason=\"denied\"}", 1)
      is("mesh_refusals_total{direction=\"inbound\",reason=\"not_tls\"}", 1)
      is("mesh_handshakes_total{direction=\"inbound\",outcome=\"refused\"}", 2)
      is("mesh_connections_unanswered_total{destination=\"vault\"}", 1)
      is("mesh_dials_total{destination=\"orders\",outcome=\"connect_failed\"}", 1)
      is("mesh_registration_passing{service=\"orders\",instance=\"gone\"}", 1)
      is("mesh_watch_staleness_seconds{watch=\"intentions\",subject=\"orders\"}", 0)
      is("mesh_watch_failures_total{watch=\"roots\",subject=\"*\"}", 0)

      // What must agree: every accepted handshake was timed, and both ends saw the same.
      const accepted = samples["mesh_handshakes_total{direction=\"inbound\",outcome=\"accepted\"}"]!
      is("mesh_handshake_duration_seconds_count{direction=\"inbound\"}", accepted)
      is("mesh_connections_total{direction=\"inbound\"}", accepted)
      is("mesh_dials_total{destination=\"orders\",outcome=\"connected\"}", accepted)
      const hour = 3600
      const now = Date.now() / 1000
      assert.isAbove(samples["mesh_leaf_expiry_timestamp_seconds{service=\"orders\"}"]!, now + hour)
      assert.isAbove(samples["mesh_root_expiry_timestamp_seconds{service=\"orders\"}"]!, now + hour)
    }).pipe(Effect.provide(TestMesh.layer()), scrape.fresh))
})
