/** Findings for people, for machines, and in the formats that CI systems read. */
import type * as Assertion from "../question/Assertion.ts"
import * as GitHub from "./GitHub.ts"
import * as Markdown from "./Markdown.ts"
import type * as Notice from "../Notice.ts"
import * as Origin from "../Origin.ts"
import * as Sarif from "./Sarif.ts"
import * as Witnesses from "../space/Witnesses.ts"

export const formats = ["text", "json", "junit", "tap", "sarif", "github", "markdown"] as const
export type Format = (typeof formats)[number]

export const format = (
  findings: ReadonlyArray<Assertion.Finding>,
  format: Format,
  setting: Notice.Setting
): string => writers[format](findings, setting)

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
    findings.map(({ name, origin, verdict }) => ({
      name,
      ...origin,
      verdict: verdict._tag.toLowerCase(),
      ...(verdict._tag === "Proved" ? {} : { why: verdict.why }),
      ...(verdict._tag === "Refuted"
        ? {
          counterexample: { ...verdict.counterexample, request: Witnesses.toJson(verdict.counterexample.request) },
          ...decidedAt(verdict)
        }
        : {})
    })),
    null,
    2
  )

/** The place of the intention, or the permission, by which the counterexample was decided. */
const decidedAt = ({ decision: { by, permission } }: Extract<Assertion.Verdict, { _tag: "Refuted" }>) => {
  const origin = Origin.ofRule(by?.intention, permission)
  return origin === undefined ? {} : { decidedAt: origin }
}

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

export const rules: ReadonlyArray<Notice.Rule> = [
  {
    id: "refuted",
    level: "error",
    summary: "A statement about the policy does not hold",
    help: "The request in the message shows it. Correct the intention that decides about it, or the statement."
  },
  {
    id: "undecided",
    level: "error",
    summary: "A statement could be neither proved nor refuted",
    help: "Write the conditions of the intentions simpler."
  },
  {
    id: "invalid",
    level: "error",
    summary: "A statement makes no sense for this policy",
    help: "Correct it, or name the services that exist with --service."
  }
]

const toNotices = (findings: ReadonlyArray<Assertion.Finding>): ReadonlyArray<Notice.Notice> =>
  findings.flatMap(({ name, origin, verdict }) => {
    if (verdict._tag === "Proved") return []
    const decided = verdict._tag === "Refuted" ? decidedAt(verdict).decidedAt : undefined
    return [{
      rule: verdict._tag.toLowerCase(),
      level: "error" as const,
      message: verdict.why,
      origin,
      subject: name,
      related: decided === undefined ? [] : [{ message: "decided here", origin: decided }]
    }]
  })

const markdown = (findings: ReadonlyArray<Assertion.Finding>, { remarks }: Notice.Setting): string => {
  const open = findings.filter(({ verdict }) => verdict._tag !== "Proved")
  const proved = findings.filter(({ verdict }) => verdict._tag === "Proved")
  return [
    `### ${open.length === 0 ? "✅" : "❌"} Policy: ${proved.length} of ${findings.length} statements proved`,
    ...Markdown.warning(remarks),
    ...(open.length === 0 ? [] : [Markdown.table(
      ["Statement", "", "Why"],
      open.map(({ name, verdict }) => [
        Markdown.code(name),
        verdict._tag === "Proved" ? "" : words[verdict._tag],
        verdict._tag === "Proved" ? "" : Markdown.text(verdict.why)
      ])
    )]),
    ...(proved.length === 0
      ? []
      : [Markdown.details(`${proved.length} proved`, proved.map(({ name }) => `- ${Markdown.code(name)}`).join("\n"))])
  ].join("\n\n")
}

const writers: {
  readonly [F in Format]: (findings: ReadonlyArray<Assertion.Finding>, setting: Notice.Setting) => string
} = {
  text,
  json,
  junit,
  tap,
  markdown,
  sarif: (findings, setting) => Sarif.format(rules, toNotices(findings), setting),
  github: (findings, setting) => GitHub.format(toNotices(findings), setting)
}
