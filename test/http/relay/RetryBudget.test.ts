import { assert, describe, it } from "@effect/vitest"
import * as RetryBudget from "../../../src/http/relay/RetryBudget.ts"

const taken = (budget: RetryBudget.RetryBudget, times: number, isFree: boolean) =>
  Array.from({ length: times }, () => RetryBudget.take(budget, isFree)).filter((granted) => granted).length

describe("RetryBudget", () => {
  it("lets a fifth of the requests at hand wait for another attempt, and never less than three", () => {
    const few = RetryBudget.make()
    assert.strictEqual(taken(few, 10, false), 3)
    const many = { ...RetryBudget.make(), requests: 100 }
    assert.strictEqual(taken(many, 100, false), 20)
    RetryBudget.giveBack(many, false)
    assert.strictEqual(taken(many, 10, false), 1)
    assert.deepStrictEqual([many.granted, many.refused], [21, 89])
  })

  it("holds nobody up whose attempt no instance has seen", () => {
    const budget = RetryBudget.make()
    assert.strictEqual(taken(budget, 100, true), 100)
    RetryBudget.giveBack(budget, true)
    assert.strictEqual(taken(budget, 10, false), 3)
  })
})
