import { assert, describe, it } from "@effect/vitest"
import * as ArrivalRate from "../../src/net/ArrivalRate.ts"

/** How many of so many at a time are taken. */
const taken = (rate: ArrivalRate.ArrivalRate, perSecond: number, count: number, now: number): number =>
  Array.from({ length: count }, () => rate.take(perSecond, now)).filter(Boolean).length

describe("ArrivalRate", () => {
  it("takes as many at once as in a second, and then as many as time allows", () => {
    const rate = ArrivalRate.make()
    assert.deepStrictEqual(
      [[20, 0], [20, 100], [20, 100], [20, 1100]].map(([count, now]) => taken(rate, 10, count!, now!)),
      [10, 1, 0, 10]
    )
  })

  it("does not hold a flood against those who come after it", () => {
    const rate = ArrivalRate.make()
    assert.strictEqual(taken(rate, 10, 10_000, 0), 10)
    assert.strictEqual(taken(rate, 10, 1, 100), 1)
  })

  it("has no limit where there is none, and begins where one is set", () => {
    const rate = ArrivalRate.make()
    assert.strictEqual(taken(rate, 0, 1000, 0), 1000)
    assert.strictEqual(taken(rate, 5, 10, 0), 5)
    assert.strictEqual(taken(rate, 2, 10, 10_000), 2, "a limit that has been lowered")
  })
})
