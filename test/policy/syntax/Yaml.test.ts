import { assert, describe, it } from "@effect/vitest"
import * as Node from "../../../src/policy/syntax/Node.ts"
import * as Yaml from "../../../src/policy/syntax/Yaml.ts"

const values = (text: string): ReadonlyArray<unknown> => {
  const { mistakes, roots } = Yaml.parse(text)
  assert.deepStrictEqual(mistakes, [])
  return roots.map(Node.toValue)
}

const mistake = (text: string): string => {
  const [found] = Yaml.parse(text).mistakes
  return found === undefined ? "accepted" : `${found.offset}: ${found.message}`
}

describe("Yaml", () => {
  it("reads several documents, and passes over those that are empty", () => {
    assert.deepStrictEqual(values("# head\n---\na: 1\n---\n# nothing\n---\nb: [x, \"y\", null, true]\n...\n"), [
      { a: 1 },
      { b: ["x", "y", null, true] }
    ])
    assert.deepStrictEqual(values("---\n"), [])
  })

  it("reads anchors, aliases and merged fields", () => {
    const [first] = values("a: &x { b: 1, c: 2 }\nd: *x\ne: { <<: *x, c: 3 }\nf: { <<: [{ g: 1 }, { g: 2, h: 3 }] }\n")
    assert.deepStrictEqual(first, {
      a: { b: 1, c: 2 },
      d: { b: 1, c: 2 },
      e: { b: 1, c: 3 },
      f: { g: 1, h: 3 }
    })
  })

  it("says where each value stands", () => {
    const root = Yaml.parse("a:\n  - b: x\n").roots[0]!
    const list = Node.get(root, "a")
    assert.deepStrictEqual([list?.offset, list?.type === "list" ? list.items[0]?.offset : undefined], [5, 7])
  })

  it.each(["yes", "No", "on", "OFF", "y", "010", "0o10", "0b1", "1_000"])(
    "refuses %s without quotes, which Kubernetes reads as something else",
    (text) => {
      assert.match(mistake(`a: ${text}`), /^3: .*is not the same in YAML 1\.2 and in 1\.1/)
      assert.deepStrictEqual(values(`a: "${text}"`), [{ a: text }])
    }
  )

  it.each([
    ["wrong syntax", "a: [1, 2\nb: 1", /^\d+: not YAML: .*; correct the syntax/],
    ["a field twice", "a: 1\na: 2", /^\d+: not YAML: map keys must be unique/],
    ["a tag that it does not know", "a: !Ref x", /tag/i],
    ["an unknown alias", "a: *x", /alias/i],
    ["an alias inside of what it names", "a: &x\n  b: *x\n", /stands inside of what it names|alias/],
    ["a template that is no YAML", "a: 1\n{{- if .Values.x }}\nb: 2\n{{- end }}\n", /template/],
    ["a template that could be YAML", "a: {{ .Values.x }}\n", /template/],
    ["what is no number of JSON", "a: .nan", /is no number/],
    [
      "aliases of aliases of aliases",
      "a: &a [1,1,1,1,1,1,1,1,1,1]\n" +
      ["b", "c", "d", "e", "f", "g"].map((key, i) => {
        const before = ["a", "b", "c", "d", "e", "f"][i]
        return `${key}: &${key} [${Array.from({ length: 10 }, () => `*${before}`).join(",")}]\n`
      }).join(""),
      /too large/
    ]
  ])("refuses %s", (_, text, message) => assert.match(mistake(text), message))
})
