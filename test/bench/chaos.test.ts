import { assert, describe, it } from "@effect/vitest"
import * as Chaos from "./chaos.ts"

describe("npm run bench -- chaos", () => {
  it("loses no request that may be tried again, whatever happens to the instances", async () => {
    const { chaos, quiet } = await Chaos.run({ requests: 500, concurrency: 8, seed: 3, every: 50 })
    assert.deepStrictEqual(quiet.failures, [])
    assert.isAbove(chaos.kills, 3)
    assert.isAbove(chaos.faults["503"], 5)
    assert.isAbove(chaos.faults.reset, 3)
    assert.isAbove(chaos.retried.length, 10)
    assert.isAtMost(chaos.failures.length, chaos.refused, JSON.stringify(chaos.failures))
  })
})
