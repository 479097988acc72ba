import { assert, describe, it } from "@effect/vitest"
import { Duration, Option, Schema } from "effect"
import * as GoDuration from "../../src/consul/GoDuration.ts"

describe("GoDuration", () => {
  it.each(
    [
      ["5s", 5_000_000_000n],
      ["1m30s", 90_000_000_000n],
      ["500ms", 500_000_000n],
      ["1.5h", 5_400_000_000_000n],
      ["-2s", -2_000_000_000n],
      ["1us", 1_000n],
      ["0", 0n],
      [".5s", 500_000_000n],
      ["87600h", 315_360_000_000_000_000n]
    ] as const
  )("reads %s", (text, nanos) => assert.deepStrictEqual(GoDuration.parseNanos(text), Option.some(nanos)))

  it.each(["", "5", "s", "soon", "5 s", "1h30", "--1s"])(
    "refuses %j",
    (text) => assert.isTrue(Option.isNone(GoDuration.parseNanos(text)))
  )

  it.each(
    [
      [0n, "0s"],
      [1_500_000n, "1.5ms"],
      [33_000_000n, "33ms"],
      [5_000_000_000n, "5s"],
      [90_000_000_000n, "1m30s"],
      [3_600_000_000_000n, "1h0m0s"],
      [-1_000_000_000n, "-1s"]
    ] as const
  )("writes %i nanoseconds as Go does", (nanos, text) => assert.strictEqual(GoDuration.formatNanos(nanos), text))

  it.prop(
    "reads back what it writes",
    { nanos: Schema.BigInt },
    ({ nanos }) => assert.deepStrictEqual(GoDuration.parseNanos(GoDuration.formatNanos(nanos)), Option.some(nanos))
  )

  it("reads a number as nanoseconds, wherever a duration may stand", () => {
    assert.deepStrictEqual(Schema.decodeSync(GoDuration.FromText)(5_000_000_000), Duration.seconds(5))
    assert.deepStrictEqual(Schema.decodeSync(GoDuration.FromNanos)("5s"), Duration.seconds(5))
    assert.strictEqual(Schema.encodeSync(GoDuration.FromText)(Duration.seconds(5)), "5s")
    assert.strictEqual(Schema.encodeSync(GoDuration.FromNanos)(Duration.seconds(5)), 5_000_000_000)
  })
})
