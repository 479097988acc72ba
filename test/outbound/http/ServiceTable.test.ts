import { assert, describe, it } from "@effect/vitest"
import * as ServiceTable from "../../../src/outbound/http/ServiceTable.ts"

interface Entry extends ServiceTable.Entry {
  readonly name: string
  inUse: boolean
}

const entry = (name: string, usedAt: number, known = true): Entry => ({
  name,
  usedAt,
  inUse: false,
  isInUse() {
    return this.inUse
  },
  isKnown: () => known
})

const make = (...entries: ReadonlyArray<Entry>) => {
  const table = ServiceTable.make<Entry>({ maxServices: 3, idleMillis: 300, unknownMillis: 10 })
  for (const each of entries) table.add(each.name, each)
  return table
}

const names = (entries: ReadonlyArray<Entry> | undefined) => entries?.map(({ name }) => name)

describe("ServiceTable", () => {
  it("has a place for another one up to its limit, without one leaving", () => {
    const table = make(entry("a", 1), entry("b", 2))
    assert.deepStrictEqual(names(table.makePlace()), [])
    assert.strictEqual(table.size(), 2)
  })

  it("lets go of the one that was not used for the longest time, of those that are not in use", () => {
    const [oldest, older, old] = [entry("oldest", 1), entry("older", 2), entry("old", 3)]
    const table = make(old, oldest, older)
    oldest.inUse = true
    assert.deepStrictEqual(names(table.makePlace()), ["older"])
    assert.isUndefined(table.get("older"))
    assert.strictEqual(table.get("oldest"), oldest)
  })

  it("has no place where all are in use", () => {
    const entries = [entry("a", 1), entry("b", 2), entry("c", 3)]
    const table = make(...entries)
    for (const each of entries) each.inUse = true
    assert.isUndefined(table.makePlace())
    assert.strictEqual(table.size(), 3)
  })

  it("takes out what has been idle for too long, sooner where it leads to no instance", () => {
    const busy = entry("busy", 0)
    busy.inUse = true
    const table = make(busy, entry("known", 0), entry("unknown", 0, false))
    assert.deepStrictEqual(names(table.takeIdle(10)), [])
    assert.deepStrictEqual(names(table.takeIdle(11)), ["unknown"])
    assert.deepStrictEqual(names(table.takeIdle(300)), [])
    assert.deepStrictEqual(names(table.takeIdle(301)), ["known"])
    assert.deepStrictEqual(names([...table.entries()]), ["busy"])
  })
})
