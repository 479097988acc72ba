import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import * as MetricCatalogue from "../../src/observe/MetricCatalogue.ts"
import * as Meter from "../../src/observe/Meter.ts"
import * as OpenMetrics from "../../src/observe/OpenMetrics.ts"
import * as scrape from "../support/scrape.ts"

const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
const edge = { direction: "inbound", source: "web", destination: "a\"b\\c\nd" }

describe("the format of OpenMetrics", () => {
  it.effect("names a counter without its ending, and each family before its samples", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      Meter.count(MetricCatalogue.retries, { destination: "api" }, context).value = 3
      yield* Meter.follow(MetricCatalogue.leafExpiry, { service: "web" }, () => 1.5e9)
      assert.deepStrictEqual(OpenMetrics.format(context).split("\n"), [
        "# TYPE mesh_http_retries counter",
        `# HELP mesh_http_retries ${MetricCatalogue.retries.help}`,
        "mesh_http_retries_total{destination=\"api\"} 3",
        "# TYPE mesh_leaf_expiry_timestamp_seconds gauge",
        `# HELP mesh_leaf_expiry_timestamp_seconds ${MetricCatalogue.leafExpiry.help}`,
        "mesh_leaf_expiry_timestamp_seconds{service=\"web\"} 1500000000",
        "# EOF",
        ""
      ])
    }).pipe(scrape.fresh))

  it.effect("leaves out what it has no word for", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.frequency("others"), "a")
      assert.strictEqual(OpenMetrics.format(yield* Effect.context<never>()), "# EOF\n")
    }).pipe(scrape.fresh))

  // An application has metrics of its own in the same registry, and a line that is wrong costs all of them.
  it.effect("has the names of the older format, whatever a metric is called", () =>
    Effect.gen(function*() {
      const attributes = { "http.route": "/a", "2nd": "b", unit: "request" }
      yield* Metric.update(Metric.counter("app.requests-total", { attributes }), 2)
      yield* Metric.update(Metric.counter("app requests_total"), 3)
      yield* Metric.update(Metric.gauge("app:requests/total"), 5)
      yield* Metric.update(Metric.gauge("4xx_"), 1)
      assert.deepStrictEqual(OpenMetrics.format(yield* Effect.context<never>()).split("\n"), [
        "# TYPE app_requests counter",
        "app_requests_total{http_route=\"/a\",_2nd=\"b\"} 2",
        "app_requests_total 3",
        "# TYPE app:requests_total gauge",
        "app:requests_total 5",
        "# TYPE _4xx gauge",
        "_4xx 1",
        "# EOF",
        ""
      ])
      const older = yield* PrometheusMetrics.format()
      for (const line of ["app_requests_total{http_route=\"/a\",_2nd=\"b\"} 2", "app:requests_total 5", "_4xx 1"]) {
        assert.include(older.split("\n"), line)
      }
    }).pipe(scrape.fresh))

  it.effect("has one type for each name", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.counter("app_jobs"), 2)
      yield* Metric.update(Metric.gauge("app.jobs"), 5)
      yield* Metric.update(Metric.gauge("app_runs"), 5)
      yield* Metric.update(Metric.counter("app_runs_total"), 7)
      assert.deepStrictEqual(OpenMetrics.format(yield* Effect.context<never>()).split("\n"), [
        "# TYPE app_jobs unknown",
        "app_jobs 2",
        "# TYPE app_runs gauge",
        "app_runs 5",
        "# TYPE app_runs_total unknown",
        "app_runs_total 7",
        "# EOF",
        ""
      ])
    }).pipe(scrape.fresh))

  it.effect("has one bucket without a border", () =>
    Effect.gen(function*() {
      const boundaries = Metric.linearBoundaries({ start: 1, width: 1, count: 3 })
      yield* Metric.update(Metric.histogram("app_sizes", { boundaries }), 1.5)
      assert.deepStrictEqual(OpenMetrics.format(yield* Effect.context<never>()).split("\n"), [
        "# TYPE app_sizes histogram",
        "app_sizes_bucket{le=\"1.0\"} 0",
        "app_sizes_bucket{le=\"2.0\"} 1",
        "app_sizes_bucket{le=\"+Inf\"} 1",
        "app_sizes_sum 1.5",
        "app_sizes_count 1",
        "# EOF",
        ""
      ])
    }).pipe(scrape.fresh))

  it.effect("shows beside a bucket the last request in it whose trace is kept", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const duration = Meter.distribution(MetricCatalogue.requestDuration, edge, context)
      duration.record(0.0021, { ...trace, spanId: "0000000000000001" })
      duration.record(0.0022, trace)
      duration.record(0.0023)
      duration.record(1e9, trace)
      const lines = OpenMetrics.format(context).split("\n")
      const exemplars = lines.filter((line) => line.includes(" # "))
      const labels = "direction=\"inbound\",source=\"web\",destination=\"a\\\"b\\\\c\\nd\""
      const shown = (value: string) =>
        ` # {trace_id="${trace.traceId}",span_id="${trace.spanId}"} ${value} ${Math.floor(Date.now() / 1e6)}`
      assert.strictEqual(exemplars.length, 2)
      assert.isTrue(
        exemplars[0]!.startsWith(`mesh_http_request_duration_seconds_bucket{${labels},le="0.0025"} 3${shown("0.0022")}`)
      )
      assert.isTrue(
        exemplars[1]!.startsWith(
          `mesh_http_request_duration_seconds_bucket{${labels},le="+Inf"} 4${shown("1000000000")}`
        )
      )
      assert.include(lines, `mesh_http_request_duration_seconds_count{${labels}} 4`)
      // Whole borders have a point.
      assert.isTrue(lines.some((line) => line.includes("le=\"1.0\"")))
      // The older format has no word for them.
      assert.notInclude(JSON.stringify(yield* scrape.samples), trace.traceId)
    }).pipe(scrape.fresh))

  it.each([
    ["application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", true],
    ["application/openmetrics-text", true],
    ["text/plain;version=0.0.4;q=0.6, application/openmetrics-text;q=0.5", false],
    ["application/openmetrics-text;q=0", false],
    ["text/plain", false],
    ["*/*", false],
    [undefined, false]
  ])("where %s is accepted: %s", (accept, wanted) => {
    assert.strictEqual(OpenMetrics.isWanted(accept), wanted)
  })
})
