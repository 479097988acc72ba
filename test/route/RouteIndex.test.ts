import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as RouteIndex from "../../src/route/RouteIndex.ts"

// Few texts, many of which begin like others.
const path = Schema.Literals(["/", "/a", "/ab", "/abc", "/b", "/b/", "*", ""])
const key = Schema.Union([
  Schema.TaggedStruct("Exact", { path }),
  Schema.TaggedStruct("Prefix", { path }),
  Schema.TaggedStruct("Any", {})
])

const mayTake = (key: RouteIndex.Key, path: string): boolean =>
  key._tag === "Any" || (key._tag === "Exact" ? path === key.path : path.startsWith(key.path))

describe("RouteIndex", () => {
  it.prop(
    "finds what asking every route in order finds",
    { keys: Schema.Array(key), path, refusing: Schema.Array(Schema.Boolean) },
    ({ keys, path, refusing }) => {
      const takes = (position: number) => refusing[position] !== true
      const expected = keys.findIndex((key, position) => mayTake(key, path) && takes(position))
      assert.strictEqual(RouteIndex.make(keys).first(path, takes) ?? -1, expected)
    }
  )

  it("asks no route whose path is another one", () => {
    const keys = Array.from({ length: 1000 }, (_, i): RouteIndex.Key => ({ _tag: "Prefix", path: `/service-${i}/` }))
    const asked: Array<number> = []
    RouteIndex.make(keys).first("/service-7/x", (position) => asked.push(position) < 0)
    assert.deepStrictEqual(asked, [7])
  })
})
