import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, Scope } from "effect"
import * as MetricCatalogue from "../../src/observe/MetricCatalogue.ts"
import * as Meter from "../../src/observe/Meter.ts"
import * as scrape from "../support/scrape.ts"

const outbound = { direction: "outbound" }
const web = { destination: "web" }

describe("Meter", () => {
  it.effect("gives everybody who asks the same series, in each registry its own", () =>
    Effect.gen(function*() {
      const retried = Effect.map(Effect.context<never>(), (context) => {
        Meter.count(MetricCatalogue.retries, web, context).value++
      })
      yield* retried
      yield* retried
      yield* Effect.provideService(retried, Metric.MetricRegistry, new Map())
      assert.deepStrictEqual(yield* scrape.samples, { "mesh_http_retries_total{destination=\"web\"}": 2 })
    }).pipe(scrape.fresh))

  it.effect("keeps the attributes of the context apart", () =>
    Effect.gen(function*() {
      const retried = Effect.map(Effect.context<never>(), (context) => {
        Meter.count(MetricCatalogue.retries, web, context).value++
      })
      yield* retried
      yield* Effect.provideService(retried, Metric.CurrentMetricAttributes, { pod: "a" })
      assert.deepStrictEqual(yield* scrape.samples, {
        "mesh_http_retries_total{destination=\"web\"}": 1,
        "mesh_http_retries_total{destination=\"web\",pod=\"a\"}": 1
      })
    }).pipe(scrape.fresh))

  it.effect("adds up what several keep, and keeps what those have counted who are gone", () =>
    Effect.gen(function*() {
      const name = "mesh_connections_total{direction=\"outbound\"}"
      const one = yield* Scope.make()
      const counts = [1, 10]
      yield* Scope.provide(Meter.follow(MetricCatalogue.connections, outbound, () => counts[0]!), one)
      yield* Meter.follow(MetricCatalogue.connections, outbound, () => counts[1]!)
      assert.strictEqual((yield* scrape.samples)[name], 11)
      counts[0] = 2
      yield* Scope.close(one, Exit.void)
      counts[0] = 100
      counts[1] = 20
      assert.strictEqual((yield* scrape.samples)[name], 22)
    }).pipe(scrape.fresh))

  it.effect("combines gauges, and forgets those that are gone", () =>
    Effect.gen(function*() {
      const name = "mesh_leaf_expiry_timestamp_seconds{service=\"web\"}"
      const follow = (at: number) => Meter.follow(MetricCatalogue.leafExpiry, { service: "web" }, () => at)
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Scope.provide(follow(100), first)
      yield* Scope.provide(follow(200), second)
      assert.strictEqual((yield* scrape.samples)[name], 100)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual((yield* scrape.samples)[name], 200)
      yield* Scope.close(second, Exit.void)
      assert.deepStrictEqual(yield* scrape.samples, {})
      yield* follow(300)
      assert.strictEqual((yield* scrape.samples)[name], 300)
    }).pipe(scrape.fresh))

  it.effect("sorts into buckets as Effect's histogram does", () =>
    Effect.gen(function*() {
      const { boundaries, name } = MetricCatalogue.handshakeDuration
      const ours = Meter.distribution(MetricCatalogue.handshakeDuration, outbound, yield* Effect.context<never>())
      const theirs = Metric.histogram("theirs", { boundaries })
      for (const seconds of [0, 0.001, 0.0011, 0.3, 10, 11, 60]) {
        ours.record(seconds)
        yield* Metric.update(theirs, seconds)
      }
      const states = (yield* Metric.snapshot).map(({ id, state }) => [id, state] as const)
      const [own] = states.find(([id]) => id === name)!.slice(1)
      assert.deepStrictEqual(own, yield* Metric.value(theirs))
    }).pipe(scrape.fresh))

  it.effect("does not let names make any number of series", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      for (let i = 0; i < 3 * Meter.maxSeries; i++) {
        Meter.count(MetricCatalogue.dials, { destination: `service-${i}`, outcome: "connected" }, context).value++
      }
      const samples = Object.entries(yield* scrape.samples)
      assert.strictEqual(samples.length, Meter.maxSeries + 1)
      assert.deepStrictEqual(samples.at(-1), [
        "mesh_dials_total{destination=\"*\",outcome=\"connected\"}",
        2 * Meter.maxSeries
      ])
    }).pipe(scrape.fresh))

  it.effect("takes no names from one service for the many of another", () =>
    Effect.gen(function*() {
      const dialled = (service: string, destination: string) =>
        Effect.context<never>().pipe(
          Effect.map((context) => {
            Meter.count(MetricCatalogue.dials, { destination, outcome: "connected" }, context).value++
          }),
          Effect.provideService(Metric.CurrentMetricAttributes, { service })
        )
      for (let i = 0; i < Meter.maxSeries + 1; i++) yield* dialled("flooded", `service-${i}`)
      yield* dialled("quiet", "api")
      assert.strictEqual(
        (yield* scrape.samples)["mesh_dials_total{destination=\"api\",outcome=\"connected\",service=\"quiet\"}"],
        1
      )
    }).pipe(scrape.fresh))
})
