import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Collector from "../../support/collector.ts"
import { mesh, meshWith } from "../../support/meshCommand.ts"
import { eventually } from "../../support/sockets.ts"
import * as TwoServices from "../../support/twoServices.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"

describe("effect-mesh proxy, telemetry", () => {
  it.live("goes to the collector that the variables of OpenTelemetry name: traces, metrics and logs of each service", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.make
      const { address, upstream } = yield* TwoServices.make
      const proxy = yield* meshWith(
        {
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.address,
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
          OTEL_SERVICE_NAME: "sidecars",
          OTEL_METRIC_EXPORT_INTERVAL: "100",
          OTEL_BSP_SCHEDULE_DELAY: "100",
          OTEL_BLRP_SCHEDULE_DELAY: "100"
        },
        "proxy",
        "--node",
        "--http-addr",
        address
      )
      yield* TwoServices.call(upstream, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
      const ours = () => collector.spans.filter((span) => span.traceId === traceId)
      const labels = (name: string) =>
        collector.metrics.filter((metric) => metric.name === name).flatMap(({ gauge, histogram, sum }) =>
          (sum ?? gauge ?? histogram)!.dataPoints.map((point) => Collector.attribute(point, "service"))
        )
      yield* eventually(() => ours().length >= 2 && new Set(labels("mesh_http_requests_total")).size >= 2)
      assert.deepStrictEqual(
        new Set(ours().map((span) => [span.name, Collector.attribute(span, "mesh.destination")].join(" "))),
        new Set(["GET api"])
      )
      assert.deepStrictEqual(new Set(labels("mesh_http_requests_total")), new Set(["web", "api"]))
      yield* eventually(() => collector.logs.some(({ body }) => body.stringValue?.includes("upstream api: listening")))
      const line = collector.logs.find(({ body }) => body.stringValue?.includes("upstream api: listening"))!
      assert.strictEqual(Collector.attribute(line, "service"), "web")
      assert.deepStrictEqual(collector.services, new Set(["sidecars"]))
      assert.deepStrictEqual(collector.paths, new Set(["/v1/traces", "/v1/metrics", "/v1/logs"]))
      assert.match(proxy.printed(), /INFO traces go to http/)
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.ended, 0, proxy.printed())
      assert.isTrue(collector.logs.some(({ body }) => body.stringValue?.includes("no longer listening")))
    }))

  it.live("goes nowhere without them", () =>
    Effect.gen(function*() {
      const { address, upstream } = yield* TwoServices.make
      const proxy = yield* mesh("proxy", "--node", "--http-addr", address)
      yield* TwoServices.call(upstream)
      assert.notInclude(proxy.printed(), "go to")
    }))

  it.live("is said to be impossible in one line where a variable is wrong", () =>
    Effect.gen(function*() {
      const proxy = yield* meshWith({ OTEL_EXPORTER_OTLP_ENDPOINT: "collector" }, "proxy", "--node")
      assert.strictEqual(yield* proxy.ended, 1)
      assert.strictEqual(
        proxy.printed(),
        "effect-mesh: OTEL_EXPORTER_OTLP_ENDPOINT is \"collector\": write http://HOST:PORT or https://HOST:PORT\n"
      )
    }))
})
