import { assert, describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as AssertionFile from "../../../src/policy/question/AssertionFile.ts"
import * as Document from "../../../src/policy/source/Document.ts"
import * as Origin from "../../../src/policy/Origin.ts"

const problems = (value: unknown): ReadonlyArray<string> => {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1)
  const result = AssertionFile.read("a.json", text)
  return Result.isFailure(result) ? result.failure.map(Document.format) : []
}

describe("AssertionFile", () => {
  it("takes comments and the place of its schema, and knows where each statement stands", () => {
    const { assertions, lint } = Result.getOrThrow(AssertionFile.read(
      "a.json",
      `{ // to be proved
  "$schema": "./node_modules/effect-mesh/schema/assertions.json",
  "assertions": [
    { "never": { "to": "api" } }, /* and */
    { "only": { "from": "web", "to": "api" } }
  ],
  "lint": { "rules": { "outranked": "off" }, "silence": [
    { "rule": "no-boundary", "reason": "known" } ] }
}`
    ))
    assert.deepStrictEqual(assertions.map((each) => Origin.format(Origin.of(each)!)), ["a.json:4:5", "a.json:5:5"])
    assert.strictEqual(Origin.format(Origin.of(lint.silences[0])!), "a.json:8:5")
    assert.deepStrictEqual(lint.levels, { outranked: "off" })
  })

  it("says what was meant, at the line and column of what is wrong", () => {
    assert.deepStrictEqual(problems({ assertions: [{ nver: { to: "api" } }] }), [
      "a.json:4:4: the field nver is not known; did you mean never?"
    ])
    assert.deepStrictEqual(problems({ assertions: [{ never: { to: "api", form: "web" } }] }), [
      "a.json:6:5: the field form is not known; did you mean from?"
    ])
    assert.deepStrictEqual(problems({ assertions: [{ never: { to: "api", when: { PathPerfix: "/" } } }] }), [
      "a.json:7:6: the field PathPerfix is not known; did you mean PathPrefix?"
    ])
    assert.deepStrictEqual(problems({ assertions: [{ never: { to: "api", zzzzzz: 1 } }] }), [
      "a.json:6:5: the field zzzzzz is not known; known are from, except, when, tokens, to"
    ])
  })

  it("finds everything that is wrong", () => {
    assert.deepStrictEqual(problems({ assertions: [] }), [
      "a.json:2:2: there is no statement in the list; write one, or remove the field"
    ])
    assert.deepStrictEqual(
      problems({
        assertions: [{ never: {} }, { only: { to: [] } }, { name: "x" }, {
          never: { to: "a", when: { PathRegex: "(" } }
        }]
      })
        .map((line) => line.replace(/: it is no RE2.*/, ": it is no RE2")),
      [
        "a.json:4:4: the field to is missing",
        "a.json:8:5: the list is empty; name somebody",
        "a.json:11:3: it says nothing: give one of never, always, only, implies, equivalent",
        "a.json:18:6: it is no RE2"
      ]
    )
    assert.match(problems("{ \"assertions\" 1 }")[0]!, /^a\.json:1:16: not JSON/)
    assert.match(problems("[]")[0]!, /^a\.json:1:1: expected object/)
  })

  it("demands a reason of a silencing, and a rule that there is", () => {
    const silence = (fields: object) => problems({ lint: { silence: [fields] } })
    assert.deepStrictEqual(silence({ rule: "no-boundary" }), ["a.json:4:4: the field reason is missing"])
    assert.deepStrictEqual(silence({ rule: "no-boundary", reason: " " }), [
      "a.json:6:5: say why: a silencing has a reason"
    ])
    assert.match(silence({ rule: "no-bondary", reason: "x" })[0]!, /^a\.json:5:5: /)
  })

  it("reads the examples of the documentation", () => {
    const page = readFileSync(new URL("../../../docs/policy.md", import.meta.url), "utf8")
    const examples = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => text!)
      .filter((text) => /"assertions"|"lint"/.test(text))
    assert.deepStrictEqual(examples.map(problems), [[], []])
  })

  it("has a published JSON schema that says the same", async () => {
    const published = fileURLToPath(new URL("../../../schema/assertions.json", import.meta.url))
    // After a change: npx vitest run test/policy/question/AssertionFile.test.ts -u
    await expect(`${JSON.stringify(AssertionFile.jsonSchema(), null, 2)}\n`).toMatchFileSnapshot(published)
    const valid = new Ajv2020().compile(JSON.parse(readFileSync(published, "utf8")) as object)
    const [never, header] = [{ to: "api" }, { Name: "x-a", Exact: "b" }]
    const silence = { rule: "no-boundary", permission: 1, reason: "known" }
    const good = [
      { assertions: [{ never }, { name: "n", only: { from: ["web", "db"], to: "api" } }] },
      { $schema: "./x.json", assertions: [{ always: { ...never, when: { PathExact: "/a", Header: [header] } } }] },
      { assertions: [{ equivalent: { to: ["a", "b"] } }, { implies: { if: "a", then: "b" } }] },
      { assertions: [{ never: { ...never, tokens: { Providers: [{ Name: "okta" }] } } }] },
      { lint: { rules: { shadowed: "off" }, silence: [silence] } }
    ]
    const bad = [
      { assertions: [] },
      { assertions: [{}] },
      { assertions: [{ never, always: never }] },
      { assertions: [{ nver: never }] },
      { assertions: [{ never: {} }] },
      { assertions: [{ never: { to: [] } }] },
      { assertions: [{ never: { ...never, when: { PathPrefix: "a" } } }] },
      { assertions: [{ never: { ...never, when: { Header: [{ Name: "x" }] } } }] },
      { assertions: [{ never: { ...never, tokens: { Providers: [] } } }] },
      { lint: { rules: { shadowed: "loud" } } },
      { lint: { silence: [{ rule: "shadowed" }] } },
      { lint: { silence: [{ ...silence, permission: 0 }] } },
      { other: 1 }
    ]
    for (const each of good) assert.deepStrictEqual([valid(each), problems(each)], [true, []], JSON.stringify(each))
    for (const each of bad) {
      assert.isFalse(valid(each), JSON.stringify(each))
      assert.isNotEmpty(problems(each), JSON.stringify(each))
    }
  })
})
