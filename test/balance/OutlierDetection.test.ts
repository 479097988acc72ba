import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Arbitrary } from "effect"
import * as OutlierDetection from "../../src/balance/OutlierDetection.ts"

const ids = ["a", "b", "c", "d"]

const make = (options: Partial<OutlierDetection.Options> = {}, hosts: ReadonlyArray<string> = ids) => {
  const self = OutlierDetection.make({ ...OutlierDetection.defaults, ...options }, 0)
  self.update(hosts)
  return self
}

const fail = (self: OutlierDetection.OutlierDetection, id: string, times: number, now = 0) => {
  for (let i = 0; i < times; i++) self.report(id, false, now, 0)
}

const reports = Arbitrary.schema(Schema.Array(Schema.Struct({
  id: Schema.Literals(["a", "b", "c", "d"]),
  succeeded: Schema.Boolean,
  after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15_000 }))
})))

describe("OutlierDetection", () => {
  it("ejects at the last of so many failures in a row, and says so once", () => {
    const self = make()
    const answers = Array.from({ length: 7 }, () => self.report("a", false, 0, 0))
    assert.deepStrictEqual(answers, [false, false, false, false, true, false, false])
    assert.deepStrictEqual(self.ejected(0), ["a"])
  })

  it("starts counting again at a success", () => {
    const self = make()
    fail(self, "a", 4)
    self.report("a", true, 0, 0)
    fail(self, "a", 4)
    assert.isFalse(self.isEjected("a", 0))
  })

  it.each([[1, 30_000], [2, 60_000], [3, 90_000], [20, 300_000]])(
    "keeps a host out after its ejection number %i for %i ms",
    (number, millis) => {
      const self = make({ intervalMillis: 1000, baseEjectionMillis: 30_000 })
      let now = 0
      for (let i = 1; i < number; i++) {
        fail(self, "a", 5, now)
        while (self.isEjected("a", now)) now += 1000
      }
      fail(self, "a", 5, now)
      assert.isTrue(self.isEjected("a", now + millis - 1))
      assert.isFalse(self.isEjected("a", now + millis))
    }
  )

  it("forgets an ejection with each sweep in use", () => {
    const self = make({ intervalMillis: 1000 })
    fail(self, "a", 5, 0)
    assert.isFalse(self.isEjected("a", 30_000))
    fail(self, "a", 5, 40_000)
    assert.isTrue(self.isEjected("a", 69_999))
    assert.isFalse(self.isEjected("a", 70_000))
  })

  it.each([[10, ["a"]], [50, ["a", "b"]], [100, ids], [0, ["a"]]] as const)(
    "ejects at most %i %% of the hosts, but always one",
    (maxEjectionPercent, expected) => {
      const self = make({ maxEjectionPercent })
      for (const id of ids) fail(self, id, 5)
      assert.deepStrictEqual(self.ejected(0), [...expected])
    }
  )

  it("ejects nobody where failures are not enforced", () => {
    const never = make({ enforcing: 0 })
    const off = make({ maxFailures: 0 })
    fail(never, "a", 20)
    fail(off, "a", 20)
    assert.deepStrictEqual([never.ejected(0), off.ejected(0)], [[], []])
  })

  it("makes room when an ejected host leaves", () => {
    const self = make()
    fail(self, "a", 5)
    self.update(["b", "c"])
    fail(self, "b", 5)
    assert.deepStrictEqual(self.ejected(0), ["b"])
  })

  it.prop("never has more hosts out than allowed, and everybody back in the end", { reports }, ({ reports }) => {
    const self = make({ maxFailures: 2, maxEjectionPercent: 50 })
    let now = 0
    for (const { after, id, succeeded } of reports) {
      now += after
      self.report(id, succeeded, now, 0)
      assert.isAtMost(self.ejected(now).length, 2)
    }
    assert.deepStrictEqual(self.ejected(now + 310_000), [])
  })

  it.prop("does the same whether it is asked often or seldom", { reports }, ({ reports }) => {
    const often = make({ maxFailures: 2 })
    const seldom = make({ maxFailures: 2 })
    let now = 0
    for (const { after, id, succeeded } of reports) {
      for (let at = now; at < now + after; at += 1000) often.isEjected(id, at)
      now += after
      assert.strictEqual(often.report(id, succeeded, now, 0), seldom.report(id, succeeded, now, 0))
    }
    assert.deepStrictEqual(often.ejected(now), seldom.ejected(now))
  })
})
