import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Metric } from "effect"
import * as AdmissionLog from "../../src/inbound/AdmissionLog.ts"
import * as ConnectionRefusals from "../../src/inbound/ConnectionRefusals.ts"
import * as Decision from "../../src/intention/Decision.ts"
import type * as Refusal from "../../src/tls/Refusal.ts"
import * as Certificates from "../support/certificates.ts"
import * as Doubles from "../support/doubles.ts"

const start = Effect.gen(function*() {
  const { lines, run } = Doubles.runner()
  const context = yield* Effect.context<never>()
  const log = yield* AdmissionLog.make({ service: () => "api", subject: (remote) => remote, run })
  let handshakes = 0
  const refusals = ConnectionRefusals.make({ context, handshakes: { refused: () => handshakes++ }, log, run })
  return { ...refusals, handshakes: () => handshakes, lines, log }
})

const remote = "10.0.0.1:4711"

describe("ConnectionRefusals", () => {
  it.effect("counts a flood of refusals by reason, and says each reason once", () =>
    Effect.gen(function*() {
      const { counts, handshakes, lines, refuse } = yield* start
      for (let turn = 0; turn < 30; turn++) {
        refuse({ _tag: "NotTls" }, remote)
        refuse({ _tag: "NoCertificate" }, remote)
      }
      assert.deepStrictEqual(counts(), { not_tls: 30, no_certificate: 30 })
      assert.strictEqual(handshakes(), 60)
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0], `"refused ${remote}: it does not speak TLS: `)
      assert.include(lines[0], `service=api reason=not_tls direction=inbound remote=${remote}`)
      assert.include(lines[1], `"refused ${remote}: it presented no certificate"`)
    }))

  it.effect("takes none for a handshake that did not begin", () =>
    Effect.gen(function*() {
      const { counts, handshakes, refuse } = yield* start
      refuse({ _tag: "TooManyConnections", limit: 2 }, remote)
      assert.deepStrictEqual([counts(), handshakes()], [{ too_many_connections: 1 }, 0])
    }))

  it.effect("leaves denials to the log of them, which tells callers apart", () =>
    Effect.gen(function*() {
      const { counts, lines, log, refuse } = yield* start
      const denied = (name: string): Refusal.Refusal => ({
        _tag: "Denied",
        caller: Certificates.service(name),
        decision: Decision.make(false, "no-intention")
      })
      for (const name of ["mallory", "mallory", "eve"]) refuse(denied(name), remote)
      assert.deepStrictEqual(counts(), { denied: 3 })
      const denials = log.denials().map(({ refusals, source }) => [source, refusals])
      assert.deepStrictEqual(denials, [["mallory", 2], ["eve", 1]])
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0], `"refused ${remote}: mallory → api: denied by the default policy`)
    }))

  it.effect("counts them in the metric, by reason", () =>
    Effect.gen(function*() {
      const { refuse } = yield* start
      refuse({ _tag: "Expired" }, remote)
      const counted = (yield* Metric.snapshot).filter(({ id }) => id === "mesh_refusals_total")
      assert.deepStrictEqual(counted.map(({ attributes }) => attributes), [
        { reason: "certificate_expired", direction: "inbound" }
      ])
    }).pipe(Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))))

  it("touches no log before it refuses anybody", () => {
    const { counts } = ConnectionRefusals.make({
      context: Context.empty(),
      handshakes: { refused: Doubles.untouchable("the handshakes") },
      log: Doubles.untouchableLog,
      run: Doubles.untouchable("the log")
    })
    assert.deepStrictEqual(counts(), {})
  })
})
