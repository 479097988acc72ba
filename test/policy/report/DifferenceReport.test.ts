import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Difference from "../../../src/policy/question/Difference.ts"
import * as DifferenceReport from "../../../src/policy/report/DifferenceReport.ts"
import * as Entries from "../../../src/policy/source/Entries.ts"
import * as Overlay from "../../../src/policy/source/Overlay.ts"
import * as Policy from "../../../src/policy/Policy.ts"

const read = (file: string, entries: ReadonlyArray<object>): Policy.Policy =>
  Policy.make({
    ...Result.getOrThrow(Entries.read([{ file, text: JSON.stringify(entries, null, 1) }])),
    defaultPolicy: "deny"
  })

const intentions = (Name: string, ...Sources: ReadonlyArray<object>) => ({ Kind: "service-intentions", Name, Sources })
const allow = (Name: string) => ({ Name, Action: "allow" })
const deny = (Name: string) => ({ Name, Action: "deny" })

const setting = { base: process.cwd(), version: "0", remarks: [], complete: true }

/** What storing the part would change, as `+ caller → destination`. */
const stored = (whole: ReadonlyArray<object>, part: ReadonlyArray<object>) => {
  const before = read("whole.json", whole)
  const { kept, policy } = Overlay.store(before, read("part.json", part))
  const { changes } = Difference.make(before, policy)
  return {
    kept,
    changes: changes.map(({ callers, destinations, newly }) =>
      `${newly === "allowed" ? "+" : "-"} ${callers.join()} → ${destinations.join()}`
    )
  }
}

const whole = [
  intentions("api", allow("web")),
  intentions("orders", allow("shop")),
  { Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" } }
]

describe("Overlay", () => {
  it("leaves alone what other teams own", () => {
    assert.deepStrictEqual(stored(whole, [intentions("api", allow("web"), allow("db"))]), {
      kept: ["service-intentions orders", "proxy-defaults global"],
      changes: ["+ db → api"]
    })
  })

  it("replaces an entry whole, whatever the letter case of its name", () => {
    assert.deepStrictEqual(stored(whole, [intentions("API", allow("db"))]).changes, ["+ db → api", "- web → api"])
  })

  it("sees what a wildcard of the part reaches at services that it does not name", () => {
    assert.deepStrictEqual(stored(whole, [intentions("*", allow("db"))]).changes, [
      "+ db → api,orders,any other service"
    ])
  })

  it("judges the part by the protocol that the whole says", () => {
    const list = { Name: "web", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/v1/" } }] }
    assert.deepStrictEqual(stored(whole, [intentions("api", list)]).changes, ["- web → api"])
    assert.deepStrictEqual(
      stored(whole, [intentions("api", allow("web")), { Kind: "service-defaults", Name: "api", Protocol: "tcp" }])
        .changes,
      []
    )
  })
})

describe("DifferenceReport", () => {
  const before = read("before.json", [intentions("api", allow("web"), deny("db"))])
  const after = read("after.json", [intentions("api", deny("web"), allow("db"))])
  const difference = Difference.make(before, after)
  const report = (format: DifferenceReport.Format, kept?: ReadonlyArray<string>) =>
    DifferenceReport.format({ difference, kept }, format, setting)

  it("names the rules before and after with file, line and column", () => {
    const { newlyAllowed } = JSON.parse(report("json")) as { newlyAllowed: Array<{ rules: object }> }
    assert.deepStrictEqual(newlyAllowed.map(({ rules }) => rules), [{
      before: { source: "db", destination: "api", file: "before.json", line: 10, column: 4 },
      after: { source: "db", destination: "api", file: "after.json", line: 10, column: 4 }
    }])
  })

  it("marks the rule that decides now, as an error where it lets somebody in", () => {
    assert.match(
      report("github"),
      /^::error file=after\.json,line=10,col=4,title=newly-allowed::db → api: newly allowed, every/
    )
    assert.match(report("github"), /\n::warning file=after\.json,line=6,col=4,title=newly-denied::web → api: /)
    const { runs } = JSON.parse(report("sarif")) as {
      runs: Array<{ results: Array<{ ruleId: string; level: string }> }>
    }
    assert.deepStrictEqual(runs[0]!.results.map(({ level, ruleId }) => `${level} ${ruleId}`), [
      "error newly-allowed",
      "warning newly-denied"
    ])
  })

  it("says in every format what was left as it is", () => {
    for (const format of DifferenceReport.formats) {
      assert.match(report(format, ["service-intentions orders"]), /service-intentions orders/, format)
      assert.notMatch(report(format), /stay/, format)
    }
  })

  it("is a table for a pull request, with the rules folded away", () => {
    const markdown = report("markdown")
    assert.match(markdown, /^### ❌ Policy: 1 newly allowed, 1 newly denied\n/)
    assert.include(markdown, "| ❗ newly allowed | `db` | `api` | every request |")
    assert.match(markdown, /<details><summary>Which rules decide<\/summary>\n\n\|[^]*`after\.json:10` \|/)
    const same = DifferenceReport.format(
      { difference: Difference.make(before, before), kept: undefined },
      "markdown",
      setting
    )
    assert.strictEqual(same, "### ✅ Policy: nothing newly allowed, nothing newly denied")
  })
})
