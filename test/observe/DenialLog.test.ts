import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Audit from "../../src/intention/Audit.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as DenialLog from "../../src/observe/DenialLog.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as Source from "../../src/intention/Source.ts"

const rule = Source.rule(Intention.make("*", "api", "deny"))
const denied = Decision.make(false, "intention", rule)
const unnamed = Decision.make(false, "no-intention")

describe("DenialLog", () => {
  it("logs the first of a kind at once, then one in a while with how many were left out", () => {
    const log = DenialLog.make({ intervalMilliseconds: 1000 })
    assert.isDefined(log.record("web", "api", denied, 0))
    for (let now = 1; now < 1000; now++) assert.isUndefined(log.record("web", "api", denied, now))
    const line = log.record("web", "api", denied, 1000)
    assert.strictEqual(
      DenialLog.format(line!),
      "web → api: denied by intention * → api (precedence 8) (999 more like it since the last line)"
    )
    assert.deepStrictEqual(log.counts(), [
      { source: "web", destination: "api", rule: "* → api (precedence 8)", refusals: 1001, audited: 0 }
    ])
  })

  it("tells callers, destinations and rules apart", () => {
    const log = DenialLog.make()
    assert.isDefined(log.record("web", "api", denied, 0))
    assert.isDefined(log.record("db", "api", denied, 0))
    assert.isDefined(log.record("web", "db", denied, 0))
    assert.isDefined(log.record("web", "api", unnamed, 0))
    assert.isDefined(log.record("web", "api", Decision.make(false, "permission", rule, 1), 0))
    assert.isUndefined(log.record("web", "api", unnamed, 0))
    assert.strictEqual(log.counts().length, 5)
  })

  it("ignores what is allowed, and counts what audit mode let through", () => {
    const log = DenialLog.make()
    assert.isUndefined(log.record("web", "api", Decision.make(true, "intention", rule), 0))
    assert.isDefined(log.record("web", "api", Audit.letThrough(denied), 0))
    assert.deepStrictEqual(log.counts().map(({ audited, refusals }) => [refusals, audited]), [[1, 1]])
  })

  const floods = Arbitrary.array(
    Arbitrary.schema(Schema.Struct({
      source: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
      later: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
    })),
    { minLength: 200, maxLength: 400 }
  )

  it.prop("never logs more than it may, and loses no count", { floods }, ({ floods }) => {
    const log = DenialLog.make({ intervalMilliseconds: 100, linesPerInterval: 5, kinds: 20 })
    const logged: Array<number> = []
    let told = 0
    let now = 0
    for (const { later, source } of floods) {
      now += later
      const line = log.record(`caller-${source}`, "api", unnamed, now)
      if (line === undefined) continue
      logged.push(now)
      told += 1 + line.leftOut
    }
    // Two windows may meet in any 100 ms.
    for (const at of logged) assert.isAtMost(logged.filter((other) => other > at - 100 && other <= at).length, 10)
    const counts = log.counts()
    assert.isAtMost(counts.length, 21)
    assert.strictEqual(counts.reduce((sum, { refusals }) => sum + refusals, 0), floods.length)
    assert.isAtMost(told, floods.length)
  })
})
