import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as GitHub from "../../../src/policy/report/GitHub.ts"
import * as Lint from "../../../src/policy/question/Lint.ts"
import * as LintReport from "../../../src/policy/report/LintReport.ts"
import * as Markdown from "../../../src/policy/report/Markdown.ts"
import type * as Notice from "../../../src/policy/Notice.ts"
import * as Sarif from "../../../src/policy/report/Sarif.ts"

const setting: Notice.Setting = { base: "/repo", version: "1.2.3", remarks: [], complete: true }

const notice: Notice.Notice = {
  rule: "no-boundary",
  level: "warning",
  message: "covers more",
  origin: { file: "policy/a b#1.json", line: 3, column: 7 },
  subject: "web → api",
  related: [{ message: "decided here", origin: { file: "/elsewhere/x.json", line: 1, column: 1 } }]
}

/** Whatever could end a line, a command, a cell, or a word. */
const hostile = Arbitrary.array(
  Arbitrary.schema(Schema.Literals([
    "\n",
    "\r",
    "::",
    "::error::",
    ",file=",
    "%0A",
    "|",
    "`",
    "``",
    "\\",
    "<img src=x>",
    "</details>",
    "<!--",
    "-->",
    "@team",
    "#1",
    "[a](http://x)",
    "https://x.y",
    "*b*",
    "a",
    " ",
    "\u2028",
    "\0"
  ]))
).pipe(Arbitrary.map((parts) => parts.join("")))

describe("annotations for GitHub", () => {
  it("name the file as the checkout has it, with line and column", () => {
    assert.strictEqual(
      GitHub.format([notice, { ...notice, level: "note", origin: undefined }], setting),
      "::warning file=policy/a b#1.json,line=3,col=7,title=no-boundary::web → api: covers more\n" +
        "::notice title=no-boundary::web → api: covers more\n1 warning, 1 note"
    )
    assert.strictEqual(
      GitHub.format(
        [{ ...notice, origin: { file: "/repo/p/a.json", line: 1, column: 1 }, silenced: "known" }],
        setting
      ),
      "nothing found; 1 silenced"
    )
  })

  it("name no file for what was piped in", () => {
    const origin = { file: "standard input", line: 1, column: 1 }
    assert.match(GitHub.format([{ ...notice, origin }], setting), /^::warning title=no-boundary::/)
    const [result] = Sarif.make(Lint.rules, [{ ...notice, origin }], setting).runs[0]!.results
    assert.deepStrictEqual(result!.locations, [{ logicalLocations: [{ fullyQualifiedName: "web → api" }] }])
  })

  it("say first that something was not read", () => {
    const remarks = ["INCOMPLETE: 2 intentions"]
    assert.match(
      GitHub.format([], { ...setting, remarks, complete: false }),
      /^::error title=policy::INCOMPLETE: 2 intentions\n/
    )
  })

  it.prop(
    "hold to one command a line, whatever stands in the policy",
    { file: hostile, message: hostile, subject: hostile },
    ({ file, message, subject }) => {
      const lines = GitHub.format(
        [{ ...notice, message, subject, origin: { file: `f${file}`, line: 1, column: 1 } }],
        setting
      ).split(/\r|\n/)
      assert.strictEqual(lines.length, 2)
      const [, properties, text] = /^::warning (.*?)::(.*)$/s.exec(lines[0]!)!
      assert.deepStrictEqual(properties!.split(",").map((each) => each.split("=")[0]), ["file", "line", "col", "title"])
      const decoded = text!.replace(/%0D/g, "\r").replace(/%0A/g, "\n").replace(/%25/g, "%")
      assert.strictEqual(decoded, `${subject}: ${message}`)
    }
  )
})

describe("SARIF", () => {
  const { runs: [run] } = Sarif.make(Lint.rules, [notice, { ...notice, silenced: "known", origin: undefined }], setting)
  const [result, silenced] = run!.results

  it("has what the format demands: a version, a tool with rules, and results that name one of them", () => {
    const log = Sarif.make(Lint.rules, [notice], setting)
    assert.strictEqual(log.version, "2.1.0")
    const { driver } = run!.tool
    assert.strictEqual(new Set(driver.rules.map(({ id }) => id)).size, driver.rules.length)
    for (const rule of driver.rules) {
      assert.include(["error", "warning", "note"], rule.defaultConfiguration.level)
      assert.match(rule.shortDescription.text, /\w/)
      assert.match(rule.help.text, /\.$/)
    }
    assert.strictEqual(driver.rules[result!.ruleIndex]!.id, result!.ruleId)
    assert.strictEqual(result!.level, "warning")
    assert.isAtLeast(result!.message.text.length, 1)
  })

  it("points at places by URIs, below the checkout where they are in it", () => {
    assert.deepStrictEqual(result!.locations, [{
      physicalLocation: {
        artifactLocation: { uri: "policy/a%20b%231.json" },
        region: { startLine: 3, startColumn: 7 }
      },
      logicalLocations: [{ fullyQualifiedName: "web → api" }]
    }])
    assert.strictEqual(result!.relatedLocations?.[0]?.physicalLocation.artifactLocation.uri, "file:///elsewhere/x.json")
    assert.deepStrictEqual(silenced!.locations, [{ logicalLocations: [{ fullyQualifiedName: "web → api" }] }])
  })

  it("keeps what is silenced, with the reason", () => {
    assert.deepStrictEqual(silenced!.suppressions, [{ kind: "external", justification: "known" }])
    assert.isUndefined(result!.suppressions)
  })

  it("knows a finding again whose line has moved, and tells two apart", () => {
    const print = (change: Partial<Notice.Notice>) =>
      Sarif.make(Lint.rules, [{ ...notice, ...change }], setting).runs[0]!.results[0]!.partialFingerprints
    assert.deepStrictEqual(print({ origin: { file: "b.json", line: 9, column: 9 } }), print({}))
    assert.notDeepEqual(print({ subject: "db → api" }), print({}))
    assert.notDeepEqual(print({ rule: "shadowed" }), print({}))
  })

  it("is an unsuccessful run where something was not read", () => {
    const whole = { remarks: ["INCOMPLETE: x"], complete: false }
    const [invocation] = Sarif.make(Lint.rules, [], { ...setting, ...whole }).runs[0]!.invocations
    assert.isFalse(invocation!.executionSuccessful)
    assert.deepStrictEqual(invocation!.toolExecutionNotifications, [
      { level: "error", message: { text: "INCOMPLETE: x" } }
    ])
    assert.isTrue(run!.invocations[0]!.executionSuccessful)
  })
})

/** What is shown: text without elements, and with entities as the characters they stand for. */
const shown = (markdown: string): string =>
  markdown.replace(/<!-- -->|<\/?code>/g, "").replace(
    /&#(\d+);/g,
    (_, code: string) => String.fromCharCode(Number(code))
  )

describe("Markdown", () => {
  it.prop("shows a hostile text, and makes nothing else of it", { text: hostile }, ({ text }) => {
    const escaped = Markdown.text(text)
    assert.notMatch(escaped.replace(/<!-- -->|&#\d+;/g, ""), /[^\p{L}\p{N} ,'()/-]/u)
    assert.strictEqual(shown(escaped), text.replace(/[\0\n\r\u2028]+/g, " "))
    // A mention or a reference needs the letter right after its sign.
    assert.notMatch(escaped, /&#(?:64|35);(?!<!-- -->)/)
  })

  it.prop("keeps a hostile name within its code", { text: hostile }, ({ text }) => {
    const escaped = Markdown.code(text)
    if (escaped.startsWith("`")) assert.match(escaped, /^`[^`|\\\n]+`$/)
    else assert.match(escaped, /^<code>(?:[\p{L}\p{N} ,'()/-]|&#\d+;)*<\/code>$/u)
  })

  it("keeps a table of findings to its columns", () => {
    const finding: Lint.Finding = {
      rule: "no-boundary",
      level: "warning",
      destinations: ["a|b"],
      about: undefined,
      permission: undefined,
      message: "x | y\n| z |",
      witness: undefined,
      origin: undefined,
      silenced: undefined
    }
    const markdown = LintReport.format([finding], "markdown", setting)
    const rows = markdown.split("\n").filter((line) => line.startsWith("|"))
    assert.deepStrictEqual(rows.map((row) => row.split("|").length), [6, 6, 6])
    assert.match(LintReport.format([], "markdown", { ...setting, remarks: ["INCOMPLETE: x"] }), /INCOMPLETE&#58; x/)
  })
})
