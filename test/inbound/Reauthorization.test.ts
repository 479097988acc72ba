import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Decision from "../../src/intention/Decision.ts"
import * as Reauthorization from "../../src/inbound/Reauthorization.ts"

/** Of a caller with this name. */
interface Thing {
  readonly caller: string
  readonly number: number
}

const named = ({ caller }: Thing) => caller

const refused = Decision.make(false, "no-intention")
const allowed = Decision.make(true, "no-intention")

/** What happens to the things of one listener, of which there may be several of a caller. */
const step = Arbitrary.schema(Schema.Struct({
  does: Schema.Literals(["admit", "admit", "leave", "amend", "judge"]),
  /** Which of those that were admitted so far; it may be gone. */
  which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
  caller: Schema.Literals(["web", "ops", "batch"]),
  verdict: Schema.Literals(["refused", "allowed", "unknown"])
}))

describe("Reauthorization", () => {
  it.prop(
    "judge exactly what is open, end each thing once at most, and count all of it",
    { steps: Arbitrary.array(step, { minLength: 20, maxLength: 120 }) },
    ({ steps }) => {
      const things: Array<Thing> = []
      const expected = new Set<Thing>()
      const ended: Array<Thing> = []
      let left = 0
      const admissions = Reauthorization.make<Thing, object>({ nameOf: named, end: (thing) => ended.push(thing) })
      for (const { caller, does, verdict, which } of steps) {
        const thing = things[which % Math.max(1, things.length)]
        if (does === "admit" || thing === undefined) {
          const one = { caller, number: things.length }
          things.push(one)
          expected.add(one)
          admissions.admit(one, {})
        } else if (does === "leave") {
          if (expected.delete(thing)) left++
          admissions.leave(thing)
        } else if (does === "amend") {
          admissions.amend(thing, {})
        } else {
          const asked: Array<Thing> = []
          const before = ended.length
          const groups = admissions.judge((thing) => {
            asked.push(thing)
            if (thing.caller !== caller) return allowed
            return verdict === "refused" ? refused : verdict === "allowed" ? allowed : undefined
          })
          assert.deepStrictEqual(asked, [...expected])
          const due = verdict === "refused" ? [...expected].filter((thing) => thing.caller === caller) : []
          due.forEach((thing) => expected.delete(thing))
          assert.deepStrictEqual(ended.slice(before), due)
          assert.deepStrictEqual(groups.map(({ all }) => [...all]), due.length === 0 ? [] : [due])
        }
        assert.deepStrictEqual(Array.from(admissions.open(), ([thing]) => thing), [...expected])
        assert.strictEqual(admissions.size(), expected.size)
        assert.strictEqual(admissions.admitted(), things.length)
        assert.strictEqual(admissions.ended(), ended.length)
        assert.strictEqual(admissions.admitted(), admissions.size() + admissions.ended() + left)
      }
      assert.strictEqual(new Set(ended).size, ended.length)
    }
  )

  const three = () => {
    const ended: Array<number> = []
    const admissions = Reauthorization.make<Thing, { readonly verdict: string }>({
      nameOf: named,
      end: ({ number }) => ended.push(number)
    })
    const [web, other, ops] = ["web", "web", "ops"].map((caller, number) => ({ caller, number }))
    for (const one of [web!, other!, ops!]) admissions.admit(one, { verdict: "first" })
    return { admissions, ended, web: web!, other: other!, ops: ops! }
  }

  it("return a group for each caller and reason", () => {
    const { admissions, ops, other, web } = three()
    const byAgent = Decision.make(false, "agent", undefined, undefined, "not today")
    assert.deepStrictEqual(admissions.judge((one) => one === other ? byAgent : refused), [
      { line: "web (denied by the default policy: no intention is about this caller)", all: [web] },
      { line: "web (denied by the agent: not today)", all: [other] },
      { line: "ops (denied by the default policy: no intention is about this caller)", all: [ops] }
    ])
  })

  it("judge some of what is open where only those are in question, and nothing that is gone", () => {
    const { admissions, ended, ops, other, web } = three()
    admissions.leave(other)
    const groups = admissions.judge(() => refused, [web, other, web])
    assert.deepStrictEqual([ended, groups.map(({ all }) => all)], [[0], [[web]]])
    assert.deepStrictEqual(admissions.judge(() => assert.fail("one that is gone was judged"), [web, other]), [])
    assert.isTrue(admissions.has(ops))
  })

  it("judge by the latest verdict on each, and keep none of what is gone", () => {
    const { admissions, ops, other, web } = three()
    admissions.amend(web, { verdict: "second" })
    admissions.leave(other)
    admissions.amend(other, { verdict: "second" })
    const known: Array<readonly [Thing, string]> = []
    admissions.judge((one, { verdict }) => {
      known.push([one, verdict])
      return allowed
    })
    assert.deepStrictEqual(known, [[web, "second"], [ops, "first"]])
    assert.strictEqual(admissions.admitted(), 3)
  })

  it("end a thing once, also where its end makes others leave and has them judged again", () => {
    const ended: Array<number> = []
    const admissions: Reauthorization.Reauthorization<Thing, object> = Reauthorization.make<Thing, object>({
      nameOf: named,
      end: ({ number }) => {
        ended.push(number)
        if (number === 0) admissions.leave(things[1]!)
        admissions.judge(() => refused, [things[2]!])
      }
    })
    const things = Array.from({ length: 4 }, (_, number) => ({ caller: "web", number }))
    for (const thing of things) admissions.admit(thing, {})
    admissions.judge(() => refused)
    assert.deepStrictEqual(ended, [0, 2, 3])
    assert.deepStrictEqual([admissions.size(), admissions.ended()], [0, 3])
  })

  it("let everything stay that audit mode would refuse", () => {
    const { admissions, ended } = three()
    admissions.judge(() => ({ ...refused, allowed: true, audited: true }))
    assert.deepStrictEqual([ended, admissions.size()], [[], 3])
  })
})
