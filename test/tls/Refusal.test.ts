import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestConsole } from "effect/testing"
import * as Refusal from "../../src/tls/Refusal.ts"

describe("Refusal", () => {
  it.effect("is counted by reason and direction", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      Refusal.count({ _tag: "NotTls" }, "inbound", context)
      Refusal.count({ _tag: "NotTls" }, "inbound", context)
      Refusal.count({ _tag: "Expired" }, "outbound", context)
      const counted = (yield* Metric.snapshot)
        .filter(({ id }) => id === "mesh_refusals_total")
        .map((
          { attributes, state }
        ) => [attributes?.["direction"], attributes?.["reason"], "count" in state && state.count])
      assert.deepStrictEqual(counted, [["inbound", "not_tls", 2], ["outbound", "certificate_expired", 1]])
    }).pipe(Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))))

  it.effect("warns of every refusal, except of peers that merely went away", () =>
    Effect.gen(function*() {
      yield* Refusal.log({ _tag: "NoCertificate" }, "inbound", "10.0.0.1:5")
      yield* Refusal.log({ _tag: "Disconnected" }, "inbound", "10.0.0.1:6")
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, "refused 10.0.0.1:5: it presented no certificate")
      assert.include(lines, "no_certificate")
      assert.notInclude(lines, "10.0.0.1:6")
    }).pipe(Effect.provide(TestConsole.layer)))
})
