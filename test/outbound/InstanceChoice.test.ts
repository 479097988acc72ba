import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as InstanceChoice from "../../src/outbound/InstanceChoice.ts"
import { endpoint } from "../support/mesh.ts"

const Weights = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 128 })))
const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999999 }))

/** Numbers that look random and are the same each time. */
const sequence = (seed = 42) => () => {
  seed = (seed * 1_664_525 + 1_013_904_223) % 4_294_967_296
  return seed / 4_294_967_296
}

describe("InstanceChoice", () => {
  it.prop("tries every healthy instance once and no other", { weights: Weights, at: Fraction }, ({ at, weights }) => {
    const endpoints = weights.map((weight, index) => endpoint(index + 1, weight))
    const ordered = InstanceChoice.order(endpoints, () => at)
    assert.sameMembers(
      ordered.map(({ id }) => id),
      endpoints.filter(({ weight }) => weight > 0).map(({ id }) => id)
    )
  })

  it("puts each instance first as often as its weight says", () => {
    const endpoints = [endpoint(1, 1), endpoint(2, 3), endpoint(3, 0), endpoint(4, 6)]
    const random = sequence()
    const first = new Map<string, number>()
    for (let turn = 0; turn < 20_000; turn++) {
      const id = InstanceChoice.order(endpoints, random)[0]!.id
      first.set(id, (first.get(id) ?? 0) + 1)
    }
    const share = (port: number) => Math.round((first.get(`node/${port}`) ?? 0) / 1000)
    assert.deepStrictEqual([share(1), share(2), share(3), share(4)], [2, 6, 0, 12])
  })
})
