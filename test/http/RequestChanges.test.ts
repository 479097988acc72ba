import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as RequestChanges from "../../src/http/RequestChanges.ts"

const Name = Schema.Literals(["a", "b", "%61", "access_token", "access%5Ftoken", ""])
const Value = Schema.Literals(["", "1", "=", "%26", "x=y"])
const pairs = Arbitrary.schema(Schema.Array(Schema.Struct({ name: Name, value: Value, equals: Schema.Boolean })))

describe("RequestChanges.withoutParameters", () => {
  it.prop("leaves out the named ones, in any spelling, and nothing else", { pairs }, ({ pairs }) => {
    const query = pairs.map(({ equals, name, value }) => equals ? `${name}=${value}` : name).join("&")
    const target = `/p?${query}`
    const left = RequestChanges.withoutParameters(target, ["access_token"])
    const parse = (target: string) => [...new URLSearchParams(target.split("?")[1] ?? "")]
    assert.deepStrictEqual(parse(left), parse(target).filter(([name]) => name !== "access_token"))
  })

  it.each([
    ["/p", "/p"],
    ["/p?access_token=x", "/p"],
    ["/p?a=%31&access_token=x&&b", "/p?a=%31&&b"],
    ["/p?access_token=x?y&a=b?c", "/p?a=b?c"]
  ])(
    "makes %s %s",
    (target, expected) => assert.strictEqual(RequestChanges.withoutParameters(target, ["access_token"]), expected)
  )
})
