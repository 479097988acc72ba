import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Slabs from "../../../src/net/tunnel/Slabs.ts"

const Sizes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 600 * 1024 })))
const Given = Schema.Array(Schema.Boolean)

/** Small ones share memory, in places of their own. */
const areApart = (one: Buffer, other: Buffer): boolean =>
  one.buffer !== other.buffer || one.byteOffset >= other.byteOffset + other.length ||
  other.byteOffset >= one.byteOffset + one.length

describe("memory for what is written together", () => {
  it.prop(
    "is large enough, and nobody's else until it is given back",
    { sizes: Sizes, given: Given },
    ({ given, sizes }) => {
      const taken: Array<Buffer> = []
      for (const [i, size] of sizes.entries()) {
        const slab = Slabs.take(size)
        assert.isAtLeast(slab.length, size)
        for (const other of taken) assert.isTrue(areApart(slab, other))
        taken.push(slab)
        if (given[i] === true) Slabs.give(taken.splice(i % taken.length, 1)[0]!)
      }
      for (const slab of taken) Slabs.give(slab)
    }
  )

  it("is used again", () => {
    const slab = Slabs.take(50_000)
    Slabs.give(slab)
    assert.strictEqual(Slabs.take(60_000), slab)
  })

  it("is kept for a few writes at a time, however many there were", () => {
    const taken = Array.from({ length: 100 }, () => Slabs.take(300_000))
    for (const slab of taken) Slabs.give(slab)
    const again = Array.from({ length: 100 }, () => Slabs.take(300_000))
    assert.strictEqual(again.filter((slab) => taken.includes(slab)).length, 4)
  })
})
