import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Intention from "../../src/intention/Intention.ts"
import * as TokenRequirement from "../../src/intention/TokenRequirement.ts"
import * as Truth from "../../src/intention/Truth.ts"

const compile = (jwt: typeof Intention.JwtRequirement["Encoded"]) => {
  const flaws: Array<string> = []
  const requirement = TokenRequirement.compile(
    Schema.decodeSync(Intention.JwtRequirement)(jwt),
    (flaw) => flaws.push(flaw)
  )
  return {
    flaws,
    requirement,
    judge: (tokens: Record<string, TokenRequirement.Claims>) => requirement?.judge((name) => tokens[name])
  }
}

const claim = (path: ReadonlyArray<string>, value: string) => ({
  Providers: [{ Name: "okta", VerifyClaims: [{ Path: path, Value: value }] }]
})

describe("TokenRequirement", () => {
  it("without providers requires nothing", () => {
    for (const jwt of [{}, { Providers: null }, { Providers: [] }]) assert.isUndefined(compile(jwt).requirement)
  })

  it("is fulfilled by any one of its providers", () => {
    const { judge } = compile({ Providers: [{ Name: "okta" }, { Name: "auth0" }] })
    assert.strictEqual(judge({}), Truth.No)
    assert.strictEqual(judge({ auth0: {} }), Truth.Yes)
    assert.strictEqual(judge({ google: {} }), Truth.No)
  })

  it("needs every claim of a provider", () => {
    const { judge } = compile({
      Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["a"], Value: "1" }, { Path: ["b", "c"], Value: "2" }] }]
    })
    assert.strictEqual(judge({ okta: { a: "1", b: { c: "2" } } }), Truth.Yes)
    assert.strictEqual(judge({ okta: { a: "1", b: { c: "3" } } }), Truth.No)
    assert.strictEqual(judge({ okta: { b: { c: "2" } } }), Truth.No)
  })

  it("compares strings, and nothing else", () => {
    const { judge } = compile(claim(["a"], "1"))
    for (const a of [1, true, null, undefined, { 1: "1" }, ["1"], "11", ""]) {
      assert.strictEqual(judge({ okta: { a } }), Truth.No, JSON.stringify(a))
    }
  })

  it("walks objects by their own keys: no dots, no lists, no prototypes", () => {
    assert.strictEqual(compile(claim(["a.b"], "x")).judge({ okta: { a: { b: "x" } } }), Truth.No)
    assert.strictEqual(compile(claim(["a.b"], "x")).judge({ okta: { "a.b": "x" } }), Truth.Yes)
    assert.strictEqual(compile(claim(["a", "0"], "x")).judge({ okta: { a: ["x"] } }), Truth.No)
    assert.strictEqual(compile(claim(["constructor", "name"], "Object")).judge({ okta: {} }), Truth.No)
  })

  it("can not be judged when it has parts that are not known", () => {
    for (
      const jwt of [
        { Providers: [{ Name: "okta" }], AnyOf: ["x"] },
        { AnyOf: ["x"] },
        { Providers: [{ Name: "okta", Audience: "x" }] },
        { Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["a"], Value: "1", Regex: true }] }] },
        { Providers: [{ Name: "okta", VerifyClaims: [{ Value: "1" }] }] },
        { Providers: [{ VerifyClaims: [{ Path: ["a"], Value: "1" }] }] }
      ]
    ) {
      const { flaws, judge } = compile(jwt)
      assert.strictEqual(judge({ okta: { a: "1" } }), Truth.Unknown, JSON.stringify(jwt))
      assert.strictEqual(flaws.length, 1)
    }
  })
})
