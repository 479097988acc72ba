import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Lifetimes from "../../src/net/Lifetimes.ts"

const limits: Lifetimes.Limits = { lifetimeMillis: 1000, jitter: 0, idleMillis: 300, graceMillis: 100 }

/** What is done when it is looked at with so many bytes, at these times. */
const looks = (given: Partial<Lifetimes.Limits>, ...seen: ReadonlyArray<readonly [now: number, bytes: number]>) => {
  const all = { ...limits, ...given }
  const life = Lifetimes.begin(0, 0)
  return seen.map(([now, bytes]) => {
    const due = Lifetimes.look(life, all, bytes, now)
    return due === undefined ? "" : [due.act, due.why].join(" ").trim()
  })
}

describe("Lifetimes", () => {
  it("ends what is unused, and resets it when the peer does not close", () =>
    assert.deepStrictEqual(
      looks({}, [100, 5], [399, 5], [400, 5], [499, 5], [500, 5]),
      ["", "", "end idle", "", "reset"]
    ))

  it("counts no use as use that is as old as the connection", () =>
    assert.deepStrictEqual(looks({}, [299, 0], [300, 0]), ["", "end idle"]))

  it("ends what is too old once it is quiet", () =>
    assert.deepStrictEqual(
      looks({}, [999, 1], [1000, 2], [1050, 2]),
      ["", "", "end lifetime"]
    ))

  it("resets what is too old and never quiet", () =>
    assert.deepStrictEqual(
      looks({}, [1000, 1], [1099, 2], [1100, 3]),
      ["", "", "reset lifetime"]
    ))

  it("leaves alone what has no limit", () =>
    assert.deepStrictEqual(looks({ lifetimeMillis: Infinity, idleMillis: Infinity }, [1e9, 0], [2e9, 0]), ["", ""]))

  const Part = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

  it.prop(
    "takes no more than the part that is left to chance, and adds nothing",
    { millis: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e9 })), jitter: Part, random: Part },
    ({ jitter, millis, random }) => {
      const drawn = Lifetimes.jittered(millis, jitter, random)
      assert.isAtMost(drawn, millis)
      assert.isAtLeast(drawn, millis * (1 - jitter))
    }
  )

  it("spreads over all of that part", () => {
    assert.strictEqual(Lifetimes.jittered(1000, 0.2, 0), 1000)
    assert.strictEqual(Lifetimes.jittered(1000, 0.2, 1), 800)
    assert.strictEqual(Lifetimes.jittered(Infinity, 0.2, 1), Infinity)
  })
})
