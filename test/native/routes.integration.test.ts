/** `MeshHttpClient` under the times and retries of routes, and under its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Stream } from "effect"
import { HttpBody, HttpClientRequest, HttpServerResponse } from "effect/http"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import { authorityOf, client, failureOf, instance } from "../support/httpMesh.ts"
import * as Mesh from "../support/mesh.ts"
import * as Parity from "../support/parity.ts"
import { eventually } from "../support/sockets.ts"
import { calling, router, scripted } from "../support/routedService.ts"

const url = "http://billing/"
const retrying = router({ NumRetries: 1, RetryOn: ["connect-failure", "5xx"] })

describe("MeshHttpClient", () => {
  it.live("has a request tried again as its route says, with a stream to send too", () =>
    Effect.gen(function*() {
      const { apps: [app], http } = yield* calling("billing", [retrying])
      const body = HttpBody.stream(Stream.make(Buffer.from("ab"), Buffer.from("cd")))
      const posted = yield* http.post(url, { ...scripted("fail=1&key=a&reset=1"), body })
      assert.strictEqual(yield* posted.text, "billing-1")
      const gotten = yield* http.get(url, scripted("fail=1&key=b&status=500"))
      assert.strictEqual(yield* gotten.text, "billing-1")
      assert.deepStrictEqual(app!.seen.map(({ bytes }) => bytes), [4, 4, 0, 0])
    }))

  it.live("does not add attempts of its own to those of the route", () =>
    Effect.gen(function*() {
      const { dispatcher, http } = yield* calling("billing", [retrying], { dead: 5, instances: 0 })
      const failure = yield* failureOf(http.get(url))
      assert.deepStrictEqual([failure.reason._tag, failure.attempts], ["ConnectFailed", 2])
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing unreachable": 2 })
    }))

  it.live("goes by a schedule of its own in place of the route's retries, unless a request says otherwise", () =>
    Effect.gen(function*() {
      const { apps: [app], http } = yield* calling("billing", [retrying], { retry: Schedule.recurs(0) })
      const failing = http.get(url, scripted("fail=1&key=a&status=500"))
      assert.strictEqual((yield* failing).status, 500)
      const saved = http.get(url, scripted("fail=1&key=b&status=500")).pipe(MeshHttpClient.override({ retries: true }))
      assert.strictEqual((yield* saved).status, 200)
      assert.strictEqual(app!.seen.length, 3)
    }))

  it.live("makes one attempt where a request says so", () =>
    Effect.gen(function*() {
      const { dispatcher, http } = yield* calling("billing", [], { dead: 5, instances: 0 })
      yield* failureOf(http.get(url).pipe(MeshHttpClient.override({ retries: false })))
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing unreachable": 1 })
      yield* failureOf(http.get(url))
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing unreachable": 4 })
    }))

  it.live("fails a request whose time is over, and does not repeat it; the nearest word about times counts", () =>
    Effect.gen(function*() {
      const { dispatcher, http } = yield* calling("billing", [router({ RequestTimeout: "10m" })], {
        overrides: { requestTimeoutMillis: 50 }
      })
      const slow = http.get(url, scripted("delay=400"))
      assert.strictEqual((yield* failureOf(slow)).reason._tag, "RouteTimedOut")
      yield* eventually(() => dispatcher.stats().active === 0)
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing timed_out": 1 })
      const patient = slow.pipe(MeshHttpClient.override({ requestTimeoutMillis: 60_000 }))
      assert.strictEqual((yield* patient).status, 200)
      const nearest = patient.pipe(MeshHttpClient.override({ requestTimeoutMillis: 10 }))
      assert.strictEqual((yield* nearest).status, 200)
    }))

  it.live("keeps other requests on the connection of HTTP/2 where the time of one is over", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const billing = yield* Mesh.member("billing", authority)
      const slow = yield* instance(
        billing,
        "slow",
        Effect.as(Effect.sleep("400 millis"), HttpServerResponse.text("late"))
      )
      const discovery = yield* Mesh.discovery({ "billing.default": [Mesh.endpoint(slow.port)] })
      yield* discovery.setChain("billing", Parity.compile("billing", [router({ RequestTimeout: "5s" })]))
      const { get, http } = yield* client(authority, discovery.layer, { pool: { http2: true, connections: 1 } })
      const impatient = http.execute(HttpClientRequest.get(url)).pipe(
        MeshHttpClient.override({ requestTimeoutMillis: 50 })
      )
      const [text, failure] = yield* Effect.all([get(url), failureOf(impatient)], { concurrency: "unbounded" })
      assert.deepStrictEqual([text, failure.reason._tag], ["late", "RouteTimedOut"])
      assert.strictEqual(slow.stats().connections.accepted, 1)
    }))
})
