import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as LineLimit from "../../src/observe/LineLimit.ts"

describe("LineLimit", () => {
  it("admits the first of each kind at once, then one in a while with how many were left out", () => {
    const limit = LineLimit.make({ intervalMilliseconds: 1000 })
    assert.strictEqual(limit.admit("not_tls", 5), 0)
    for (let now = 6; now < 1005; now++) assert.isUndefined(limit.admit("not_tls", now))
    assert.strictEqual(limit.admit("expired", 500), 0)
    assert.strictEqual(limit.admit("not_tls", 1005), 999)
    assert.isUndefined(limit.admit("not_tls", 1006))
    assert.strictEqual(LineLimit.suffix(999), " (999 more like it since the last line)")
    assert.strictEqual(LineLimit.suffix(0), "")
  })

  const events = Arbitrary.array(
    Arbitrary.schema(Schema.Struct({
      kind: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
      later: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
    })),
    { minLength: 200, maxLength: 400 }
  )

  it.prop("never admits more than it may, and loses no count", { events }, ({ events }) => {
    const limit = LineLimit.make({ intervalMilliseconds: 100, linesPerInterval: 5, kinds: 20 })
    const lines: Array<number> = []
    let told = 0
    let now = 0
    for (const { kind, later } of events) {
      now += later
      const leftOut = limit.admit(`kind ${kind}`, now)
      if (leftOut === undefined) continue
      lines.push(now)
      told += 1 + leftOut
    }
    // Two windows may meet in any 100 ms.
    for (const at of lines) assert.isAtMost(lines.filter((other) => other > at - 100 && other <= at).length, 10)
    // In the end, one of each kind brings out what is still held back.
    for (let kind = 0; kind <= 40; kind++) {
      now += 100
      const leftOut = limit.admit(`kind ${kind}`, now)
      assert.isDefined(leftOut)
      told += leftOut!
    }
    assert.strictEqual(told, events.length)
  })
})
