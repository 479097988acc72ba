import { assert, describe, it } from "@effect/vitest"
import * as Connections from "../../src/consul/Connections.ts"

const all = ({ ask, call, many, vital }: Connections.Sizes): number => ask + call + many + vital

describe("connections to an agent", () => {
  it("are within the 200 that it allows, for a process on its own and for several", () => {
    assert.deepStrictEqual(Connections.sizes(1), { call: 16, ask: 16, vital: 64, many: 80 })
    assert.strictEqual(all(Connections.sizes(1)), 176)
    assert.isAtMost(2 * all(Connections.sizes(2)), 200)
  })

  it("are there for each purpose, however many processes share them", () => {
    assert.deepStrictEqual(Connections.sizes(64), { call: 4, ask: 4, vital: 32, many: 8 })
    for (let sharers = 1; sharers <= 64; sharers++) {
      const sizes = Connections.sizes(sharers)
      assert.isAtLeast(sizes.vital - Connections.heldInTime(sizes), 24)
      assert.isAtLeast(Connections.manyAtLeisure(sizes), 4)
    }
  })
})
