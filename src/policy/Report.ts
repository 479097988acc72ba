/** Findings for people, for machines, and in the formats that CI systems read. */
import type * as Assertion from "./Assertion.ts"
import * as Witnesses from "./Witnesses.ts"

export type Format = "text" | "json" | "junit" | "tap"

export const format = (findings: ReadonlyArray<Assertion.Finding>, format: Format): string => formats[format](findings)

const text = (findings: ReadonlyArray<Assertion.Finding>): string => {
  const proved = findings.filter(({ verdict }) => verdict._tag === "Proved").length
  return [
    ...findings.flatMap(({ name, verdict }) => [
      `${marks[verdict._tag]} ${name}`,
      ...(verdict._tag === "Proved" ? [] : [`    ${words[verdict._tag]}: ${verdict.why}`])
    ]),
    "",
    `${proved} of ${findings.length} proved`
  ].join("\n")
}

const marks = { Proved: "✓", Refuted: "✗", Undecided: "?", Invalid: "!" }
const words = { Refuted: "refuted", Undecided: "not decided", Invalid: "invalid" }

const json = (findings: ReadonlyArray<Assertion.Finding>): string =>
  JSON.stringify(
    findings.map(({ name, verdict }) => ({
      name,
      verdict: verdict._tag.toLowerCase(),
      ...(verdict._tag === "Proved" ? {} : { why: verdict.why }),
      ...(verdict._tag === "Refuted"
        ? { counterexample: { ...verdict.counterexample, request: Witnesses.toJson(verdict.counterexample.request) } }
        : {})
    })),
    null,
    2
  )

/** A refutation is a failure; what could not be decided, or makes no sense, is an error. */
const junit = (findings: ReadonlyArray<Assertion.Finding>): string => {
  const count = (...tags: ReadonlyArray<string>) => findings.filter(({ verdict }) => tags.includes(verdict._tag)).length
  const attributes = `name="mesh policy" tests="${findings.length}" failures="${count("Refuted")}" errors="${
    count("Undecided", "Invalid")
  }"`
  return [
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    `<testsuites ${attributes}>`,
    `  <testsuite ${attributes}>`,
    ...findings.map(({ name, verdict }) => {
      const start = `    <testcase classname="policy" name="${escape(name)}"`
      if (verdict._tag === "Proved") return `${start}/>`
      const element = verdict._tag === "Refuted" ? "failure" : "error"
      return `${start}><${element} type="${words[verdict._tag]}" message="${escape(verdict.why)}"/></testcase>`
    }),
    "  </testsuite>",
    "</testsuites>"
  ].join("\n")
}

const escape = (text: string): string =>
  text
    // eslint-disable-next-line no-control-regex -- XML has no way to write them
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"'\n\r\t]/g, (character) => `&#${character.charCodeAt(0)};`)

const tap = (findings: ReadonlyArray<Assertion.Finding>): string =>
  [
    "TAP version 14",
    `1..${findings.length}`,
    ...findings.flatMap(({ name, verdict }, i) => [
      `${verdict._tag === "Proved" ? "ok" : "not ok"} ${i + 1} - ${
        name.replace(/[\\#]/g, "\\$&").replace(/\s+/g, " ")
      }`,
      ...(verdict._tag === "Proved"
        ? []
        : ["  ---", `  severity: ${words[verdict._tag]}`, `  message: ${JSON.stringify(verdict.why)}`, "  ..."])
    ])
  ].join("\n")

const formats = { text, json, junit, tap }
