import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Schema } from "effect"
import * as Turnover from "../../src/net/Turnover.ts"

const Key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))

/** What is done to a map: added to, deleted from, or looked at while some are deleted. */
const Step = Schema.Union([
  Schema.Struct({ set: Key, value: Schema.Int }),
  Schema.Struct({ delete: Key }),
  Schema.Struct({ deleteWhileLooking: Schema.Array(Key) })
])
const Steps = Schema.Array(Step).check(Schema.isMinLength(150), Schema.isMaxLength(600))

describe("Turnover", () => {
  it.prop("is a map, whatever comes and goes", { steps: Steps }, ({ steps }) => {
    const [mine, model] = [new Turnover.TurnoverMap<number, number>(), new Map<number, number>()]
    for (const step of steps) {
      if ("set" in step) {
        mine.set(step.set, step.value)
        model.set(step.set, step.value)
      } else if ("delete" in step) assert.strictEqual(mine.delete(step.delete), model.delete(step.delete))
      else assert.deepStrictEqual(seen(mine, step.deleteWhileLooking), seen(model, step.deleteWhileLooking))
      assert.strictEqual(mine.size, model.size)
    }
    assert.deepStrictEqual([...mine], [...model])
    assert.deepStrictEqual([...mine.keys()], [...model.keys()])
    for (const [one, value] of model) {
      assert.isTrue(mine.has(one))
      assert.strictEqual(mine.get(one), value)
    }
  })

  it("shows the value that holds, whenever it was set", () => {
    const map = new Turnover.TurnoverMap<number, string>()
    for (let i = 0; i < 1000; i++) map.set(i, "before")
    for (const [one, value] of map) {
      if (one === 0) { for (let i = 1; i < 999; i++) map.delete(i) }
      if (one === 0) map.set(999, "after")
      else assert.strictEqual(value, "after")
    }
  })

  it("is a set in the order of what was added", () => {
    const set = new Turnover.TurnoverSet<number>()
    for (let i = 0; i < 1000; i++) {
      set.add(i)
      if (i >= 3) assert.isTrue(set.delete(i - 3))
    }
    assert.deepStrictEqual([...set], [997, 998, 999])
    assert.strictEqual(set.first(), 997)
    assert.isFalse(set.delete(3))
    set.clear()
    assert.strictEqual(set.size, 0)
    assert.isUndefined(set.first())
  })

  // A plain map keeps all 40 MB.
  it("does not keep what has gone until the whole heap is collected", () => {
    const kept = execFileSync(process.execPath, [
      "--expose-gc",
      "--no-allocation-site-pretenuring",
      fileURLToPath(new URL("turnover/churn.ts", import.meta.url))
    ], { encoding: "utf8" })
    assert.isBelow(Number(kept), 10e6)
  })
})

type Seen = Pick<Map<number, number>, "delete"> & Iterable<readonly [number, number]>

/** The keys that are met on a walk, on each step of which one of `leaving` is deleted. */
const seen = (map: Seen, leaving: ReadonlyArray<number>): ReadonlyArray<number> => {
  const [left, all] = [[...leaving], Array<number>()]
  for (const [one] of map) {
    all.push(one)
    const next = left.pop()
    if (next !== undefined) map.delete(next)
  }
  return all
}
