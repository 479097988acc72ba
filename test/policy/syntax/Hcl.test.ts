import { assert, describe, it } from "@effect/vitest"
import * as Hcl from "../../../src/policy/syntax/Hcl.ts"
import * as Node from "../../../src/policy/syntax/Node.ts"

const value = (text: string): unknown => {
  const { mistakes, roots } = Hcl.parse(text)
  assert.deepStrictEqual(mistakes, [])
  return roots[0] === undefined ? {} : Node.toValue(roots[0])
}

const mistake = (text: string): string => {
  const [found] = Hcl.parse(text).mistakes
  return found === undefined ? "accepted" : `${found.offset}: ${found.message}`
}

/** What `hashicorp/hcl` 1.0.0 makes of each, as Consul 1.21 asks it. */
describe("Hcl", () => {
  it.each<readonly [string, string, unknown]>([
    ["a block and an object, as lists of one", "a { b = 1 }\nc = { d = 2 }", { a: [{ b: 1 }], c: [{ d: 2 }] }],
    ["blocks that come twice, as one list", "a { b = 1 }\na { b = 2 }", { a: [{ b: 1 }, { b: 2 }] }],
    ["a list and a block, as one list", "a = [{ b = 1 }]\na { b = 2 }", { a: [{ b: 1 }, { b: 2 }] }],
    ["labels, as keys", "a \"x\" \"y\" { b = 1 }", { a: [{ x: [{ y: [{ b: 1 }] }] }] }],
    ["two labels", "a \"x\" { b = 1 }\na \"y\" { b = 2 }", { a: [{ x: [{ b: 1 }] }, { y: [{ b: 2 }] }] }],
    ["lists with a comma too many, and lists of lists", "a = [1, \"2\", [true],]", { a: [1, "2", [true]] }],
    ["objects in lists, as they are", "a = [{ b = { c = 1 } }]", { a: [{ b: [{ c: 1 }] }] }],
    ["keys in quotes, with dashes and dots", "\"a b\" = 1\nc-d.e = 2", { "a b": 1, "c-d.e": 2 }],
    ["commas between fields", "a = 1, b { c = 2, d = 3 }", { a: 1, b: [{ c: 2, d: 3 }] }],
    ["several fields on a line", "a = 1 b = 2", { a: 1, b: 2 }],
    [
      "numbers in all their bases",
      "a = 010\nb = 0x1F\nc = -3\nd = 1.5\ne = 1e3\nf = .5\ng = 1.",
      { a: 8, b: 31, c: -3, d: 1.5, e: 1000, f: 0.5, g: 1 }
    ],
    ["escapes", "a = \"\\n\\t\\\"\\\\\\x41\\101\\u00e9\\U0001F600\"", { a: "\n\t\"\\AAé😀" }],
    ["a dollar by itself", "a = \"$a$\"", { a: "$a$" }],
    ["comments of three kinds", "# a\n// b\n/* c\n */ a = 1 # d\n// end", { a: 1 }],
    ["lines that end as on Windows", "a = 1\r\nb = <<EOF\r\nx\r\ny\r\nEOF\r\n", { a: 1, b: "x\ny\n" }],
    ["a text over several lines", "a = <<EOF\n  x\n y\nEOF\n", { a: "  x\n y\n" }],
    ["one whose end is indented", "a = <<EOF\nx\n  EOF\n", { a: "x\n  " }],
    ["one that is indented as a whole", "a = <<-EOF\n    x\n     y\n    EOF\n", { a: "x\n y\n" }],
    ["one that is indented in part", "a = <<-EOF\n  x\n y\n   EOF\n", { a: "  x\n y\n" }],
    ["such a text in a list", "a = [<<EOF\nx\nEOF\n, 1]", { a: ["x\n", 1] }],
    ["nothing", "# nothing\n", {}]
  ])("reads %s", (_, text, expected) => assert.deepStrictEqual(value(text), expected))

  it.each([
    ["a value without quotes", "Action = allow", /^9: not HCL: allow is no value; put it in quotes/],
    ["an expression", "Name = var.name", /^7: .*no value/],
    ["what Consul would not replace", "Name = \"${var.name}\"", /^8: .*Consul does not replace \$\{…\}/],
    ["the same over several lines", "a = <<EOF\n${x}\nEOF\n", /does not replace/],
    ["a key without a value", "a = {\n b\n}", /^9: .*after b belongs = or \{/],
    ["a block without an end", "a {\n b = 1\n", /^2: .*the block that begins here has no end/],
    ["a list without an end", "a = [1, 2,", /^4: .*the list that begins here has no end/],
    ["a list without commas", "a = [1 2]", /^7: .*a comma or \] belongs here, and this is 2/],
    ["a text without an end", "a = \"x\nb = 1", /^4: .*the text that begins here has no end/],
    ["a comment without an end", "a = 1 /* x", /^6: .*the comment/],
    ["an unknown escape", "a = \"\\d\"", /^5: .*\\d is no escape/],
    ["a byte by itself", "a = \"\\xff\"", /is no escape/],
    ["a brace too many", "a = 1\n}", /^6: .*the name of a field belongs here, and this is \}/],
    ["a colon", "a: 1", /^1: .*: does not belong here/],
    ["a number that is not octal", "a = 08", /^4: 08 begins with 0|not HCL: 08 begins with 0/],
    ["a number beyond 64 bits", "a = 9223372036854775808", /is too large/],
    ["a label beside none", "a { b = 1 }\na \"x\" { b = 2 }", /^12: .*with a label and without one/],
    ["two keys before a value", "a b = 1", /^4: .*after a belongs = or \{/],
    ["an indented text whose end is not indented", "a = <<-EOF\n x\nEOF\n", /has no end; write EOF/],
    ["a text over several lines without its last line", "a = <<EOF\nx\nEOF", /has no end/],
    ["more depth than anybody needs", "a {".repeat(200), /too deeply/]
  ])("refuses %s, and says where", (_, text, message) => assert.match(mistake(text), message))

  it("keeps the digits of a number that is read as a text", () => {
    const root = Hcl.parse("a = 9007199254740993").roots[0]!
    const number = Node.get(root, "a")
    assert.strictEqual(number?.type === "number" ? number.text : undefined, "9007199254740993")
  })

  it("leaves to its reader what comes twice and is no list", () => {
    const root = Hcl.parse("a = 1\na = 2").roots[0]
    assert.deepStrictEqual(root?.type === "object" ? root.members.map(({ offset }) => offset) : [], [0, 6])
  })
})
