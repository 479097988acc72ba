import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AdmissionLog from "../../src/inbound/AdmissionLog.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as RefusalLines from "../../src/observe/RefusalLines.ts"
import * as Doubles from "../support/doubles.ts"

const denied = Decision.make(false, "no-intention")
const audited: Decision.Decision = { ...denied, allowed: true, audited: true }

const make = Effect.gen(function*() {
  const { lines, run } = Doubles.runner()
  const log = yield* AdmissionLog.make({ service: () => "api", subject: (remote) => `a call from ${remote}`, run })
  return { lines, log }
})

const { connection: web } = Doubles.connection("web", "10.0.0.1:4711")
const { connection: ops } = Doubles.connection("ops", "10.0.0.2:4711")
const keys = (name: "web" | "ops") =>
  `direction=inbound service=api peer=${Doubles.peerOf(name === "web" ? web : ops)} remote=${
    name === "web" ? web.remote : ops.remote
  }`

describe("AdmissionLog", () => {
  it.effect("says who was refused, and why, once in a flood of them, and counts each", () =>
    Effect.gen(function*() {
      const { lines, log } = yield* make
      for (let turn = 0; turn < 20; turn++) log.denied(web, denied)
      log.denied(ops, denied)
      assert.strictEqual(lines.length, 2)
      const sentence = "denied by the default policy: no intention is about this caller"
      assert.include(lines[0], `"refused a call from 10.0.0.1:4711: web → api: ${sentence}"`)
      assert.include(lines[0], `${keys("web")} reason=denied`)
      assert.include(lines[1], `${keys("ops")} reason=denied`)
      assert.deepStrictEqual(log.denials(), [
        { source: "web", destination: "api", rule: "default policy", refusals: 20, audited: 0 },
        { source: "ops", destination: "api", rule: "default policy", refusals: 1, audited: 0 }
      ])
    }))

  it.effect("says so where audit mode let a caller through", () =>
    Effect.gen(function*() {
      const { lines, log } = yield* make
      log.denied(web, audited)
      assert.include(lines[0], "let through, in audit mode, a call from 10.0.0.1:4711: web → api: ")
      assert.deepStrictEqual(log.denials().map(({ audited, refusals }) => [refusals, audited]), [[1, 1]])
    }))

  it.effect("says what a caller did, once for each kind, and counts it among no denials", () =>
    Effect.gen(function*() {
      const { lines, log } = yield* make
      for (let turn = 0; turn < 5; turn++) log.fault(web, "refused a request", "malformed", "no path")
      log.fault(ops, "ended a connection", "flood", "flood")
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0], "\"refused a request of web (10.0.0.1:4711): no path\"")
      assert.include(lines[0], `${keys("web")} reason=malformed`)
      assert.include(lines[1], "\"ended a connection of ops (10.0.0.2:4711): flood\"")
      assert.include(lines[1], `${keys("ops")} reason=flood`)
      assert.deepStrictEqual(log.denials(), [])
    }))

  it.effect("writes each line where that is wanted", () =>
    Effect.gen(function*() {
      const { lines, log } = yield* Effect.provideService(make, RefusalLines.RefusalLines, RefusalLines.all)
      for (let turn = 0; turn < 3; turn++) log.denied(web, denied)
      for (let turn = 0; turn < 3; turn++) log.fault(web, "refused a request", "malformed", "no path")
      assert.strictEqual(lines.length, 6)
    }))
})
