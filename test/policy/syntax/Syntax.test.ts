import { assert, describe, it } from "@effect/vitest"
import * as Node from "../../../src/policy/syntax/Node.ts"
import * as Syntax from "../../../src/policy/syntax/Syntax.ts"

const values = (file: string, text: string): unknown => {
  const { mistakes, roots } = Syntax.parse(file, text)
  return mistakes.length > 0 ? mistakes.map(({ message }) => message).join("\n") : roots.map(Node.toValue)
}

describe("Syntax", () => {
  it.each([
    ["a.json", "{\"a\": 1}"],
    ["a.JSON", "// as agents have it\n{\"a\": 1}"],
    ["a.hcl", "a = 1"],
    ["a.HCL", "{\"a\": 1}"],
    ["a.yaml", "a: 1"],
    ["a.Yml", "{a: 1}"],
    ["standard input", "\n{\"a\": 1}"],
    ["standard input", "# a comment\na = 1"],
    ["standard input", "# a comment\na: 1"],
    ["standard input", "---\na: 1"],
    ["/dev/fd/63", "a   = 1"]
  ])(
    "reads %s by its name, or else by its words: %j",
    (file, text) => assert.deepStrictEqual(values(file, text), [{ a: 1 }])
  )

  it("reads several values of JSON in a row, as commands print them one after the other", () => {
    assert.deepStrictEqual(values("-", "{\"a\": 1}\n{\"b\": 2} // end\n[3]\n"), [{ a: 1 }, { b: 2 }, [3]])
    assert.match(String(values("a.json", "{\"a\": 1}\n} ")), /not JSON/)
    assert.match(String(values("a.json", "{\"a\": 1},")), /not JSON/)
  })

  it("says what to give instead of what Consul prints for people", () => {
    assert.match(String(values("-", "api\nweb-2\n")), /list of names.*consul config read/)
    assert.match(
      String(values("-", "ID      Source  Action  Destination  Precedence\n        web     allow   api          9\n")),
      /leaves permissions out.*GET \/v1\/connect\/intentions/
    )
  })

  it("does not come to grief over depth", () => {
    for (const file of ["a.json", "a.yaml", "a.hcl"]) {
      assert.match(String(values(file, `${file === "a.hcl" ? "a = " : ""}${"[".repeat(100_000)}`)), /deep|not/)
    }
  })
})
