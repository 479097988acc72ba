import { assert, describe, it } from "@effect/vitest"
import * as CallerTotals from "../../src/inbound/CallerTotals.ts"
import { connection } from "../support/doubles.ts"

/** Has carried so many bytes. */
const used = (name: string, bytesWritten: number, bytesRead: number) => {
  const { connection: made } = connection(name)
  Object.defineProperty(made.socket, "bytesWritten", { value: bytesWritten })
  Object.defineProperty(made.socket, "bytesRead", { value: bytesRead })
  return made
}

describe("CallerTotals", () => {
  it("adds up what is open and what is closed, by caller", () => {
    const totals = CallerTotals.make()
    const [first, second, other] = [used("web", 10, 1), used("web", 20, 2), used("cron", 0, 0)]
    for (const each of [first, second, other]) totals.entered(each)
    const web = { caller: "web", open: 2, accepted: 2, sent: 30, received: 3 }
    const cron = { caller: "cron", open: 1, accepted: 1, sent: 0, received: 0 }
    assert.deepStrictEqual(totals.list([first, second, other]), [web, cron])
    totals.left(first)
    assert.deepStrictEqual(totals.list([second, other]), [{ ...web, open: 1 }, cron])
    assert.deepStrictEqual(totals.list([second, other]), [{ ...web, open: 1 }, cron], "twice is the same")
  })

  it("counts callers beyond a bound together", () => {
    const totals = CallerTotals.make()
    const callers = Array.from({ length: 2002 }, (_, i) => used(`service-${i}`, 5, 0))
    callers.forEach(totals.entered)
    const list = totals.list(callers)
    assert.strictEqual(list.length, 2001)
    assert.deepStrictEqual(list.at(-1), { caller: "*", open: 2, accepted: 2, sent: 10, received: 0 })
    callers.forEach(totals.left)
    assert.deepStrictEqual(totals.list([]).at(-1), { caller: "*", open: 0, accepted: 2, sent: 10, received: 0 })
  })
})
