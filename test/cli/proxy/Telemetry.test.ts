import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Telemetry from "../../../src/cli/proxy/Telemetry.ts"

const read = (environment: Readonly<Record<string, string>>) => Result.getOrThrow(Telemetry.read(environment))

const collector = "http://collector:4318"

describe("Telemetry", () => {
  it.each([
    ["nothing is said", {}],
    ["a name alone is said", { OTEL_SERVICE_NAME: "web" }],
    ["the endpoint is empty", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
    ["it is disabled", { OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_SDK_DISABLED: "True" }],
    ["no signal is exported", {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_TRACES_EXPORTER: "none",
      OTEL_METRICS_EXPORTER: "prometheus",
      OTEL_LOGS_EXPORTER: "none"
    }]
  ])("is off where %s", (_, environment) => assert.isUndefined(read(environment)))

  it("exports all signals to the one endpoint, each but those that go elsewhere or nowhere", () => {
    const settings = read({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://user:secret@metrics/v1/in",
      OTEL_LOGS_EXPORTER: "none"
    })
    assert.deepStrictEqual(settings?.endpoints, [
      ["TRACES", `${collector}/`],
      ["METRICS", "https://metrics/v1/in"]
    ])
    assert.notInclude(JSON.stringify(settings?.endpoints), "secret")
  })

  it("calls the program by a name of its own, unless it has got one", () => {
    const name = (environment: Readonly<Record<string, string>>) =>
      read({ OTEL_EXPORTER_OTLP_ENDPOINT: collector, ...environment })?.variables["OTEL_SERVICE_NAME"]
    assert.strictEqual(name({}), "effect-mesh")
    assert.strictEqual(name({ OTEL_SERVICE_NAME: "edge" }), "edge")
    assert.isUndefined(name({ OTEL_RESOURCE_ATTRIBUTES: "team=a, service.name=edge" }))
  })

  it.each([
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
      "OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4318\": write http://"
    ],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "nowhere" }, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is \"nowhere\""],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "http/protobuf or http/json"]
  ])("says what is wrong with %j", (environment, text) => {
    const result = Telemetry.read(environment)
    assert.include(Result.isFailure(result) ? result.failure : "", text)
  })

  it("names what it does not understand", () => {
    const settings = read({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_TRACES_SAMPLER: "always_off",
      OTEL_BSP_SCHEDULE_DELAY: "5000"
    })
    assert.deepStrictEqual(settings?.ignored, ["OTEL_TRACES_SAMPLER"])
  })
})
