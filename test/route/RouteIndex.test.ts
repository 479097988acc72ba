import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { HttpMatch } from "../../src/consul/config/ServiceRouter.ts"
import * as RouteIndex from "../../src/route/RouteIndex.ts"

// Few texts, many of which begin like others.
const path = Schema.Literals(["/", "/a", "/ab", "/abc", "/b", "/b/", "*", ""])
const key = Schema.Union([
  Schema.TaggedStruct("Exact", { path }),
  Schema.TaggedStruct("Prefix", { path }),
  Schema.TaggedStruct("Header", { name: Schema.Literals(["x-a", "x-b"]), value: Schema.Literals(["1", "2"]) }),
  Schema.TaggedStruct("Any", {})
])

const lines = Schema.Array(Schema.Literals(["1", "2", "3"]))

const mayTake = (key: RouteIndex.Key, { lines, path }: RouteIndex.Request): boolean => {
  switch (key._tag) {
    case "Any":
      return true
    case "Exact":
      return path === key.path
    case "Prefix":
      return path.startsWith(key.path)
    case "Header":
      return lines(key.name).includes(key.value)
  }
}

const match = (fields: Partial<HttpMatch>): HttpMatch => ({
  PathExact: "",
  PathPrefix: "",
  PathRegex: "",
  CaseInsensitive: false,
  Header: [],
  QueryParam: [],
  Methods: [],
  ...fields
})

describe("RouteIndex", () => {
  it.prop(
    "finds what asking every route in order finds",
    { keys: Schema.Array(key), path, a: lines, b: lines, refusing: Schema.Array(Schema.Boolean) },
    ({ a, b, keys, path, refusing }) => {
      const request: RouteIndex.Request = { path, lines: (name) => name === "x-a" ? a : b }
      const takes = (position: number) => refusing[position] !== true
      const expected = keys.findIndex((key, position) => mayTake(key, request) && takes(position))
      assert.strictEqual(RouteIndex.make(keys).first(request, takes) ?? -1, expected)
    }
  )

  it("asks no route whose path is another one", () => {
    const keys = Array.from({ length: 1000 }, (_, i): RouteIndex.Key => ({ _tag: "Prefix", path: `/service-${i}/` }))
    const asked: Array<number> = []
    RouteIndex.make(keys).first({ path: "/service-7/x", lines: () => [] }, (position) => asked.push(position) < 0)
    assert.deepStrictEqual(asked, [7])
  })

  const exact = { Name: "X-A", Exact: "1", Prefix: "", Suffix: "", Regex: "", Present: false, Invert: false }

  it.each([
    [{ PathExact: "/a" }, { _tag: "Exact", path: "/a" }],
    [{ PathExact: "/a", CaseInsensitive: true }, { _tag: "Any" }],
    [{ PathPrefix: "/a" }, { _tag: "Prefix", path: "/a" }],
    [{ PathPrefix: "/é" }, { _tag: "Prefix", path: "/\xc3\xa9" }],
    [{ PathPrefix: "/", Header: [exact] }, { _tag: "Header", name: "x-a", value: "1" }],
    [{ Header: [{ ...exact, Invert: true }] }, { _tag: "Any" }],
    [{ PathRegex: "/items/[0-9]+" }, { _tag: "Prefix", path: "/items/" }],
    [{ PathRegex: "^/items/.*" }, { _tag: "Prefix", path: "/items/" }],
    [{ PathRegex: "/items?" }, { _tag: "Prefix", path: "/item" }],
    [{ PathRegex: "/ab{0,2}c" }, { _tag: "Prefix", path: "/a" }],
    [{ PathRegex: "/a|/b" }, { _tag: "Any" }],
    [{ PathRegex: "(?i)/a" }, { _tag: "Any" }],
    [{ PathRegex: "\\/a" }, { _tag: "Any" }]
  ])("looks %j up by %j", (fields, expected) => assert.deepStrictEqual(RouteIndex.keyOf(match(fields)), expected))
})
