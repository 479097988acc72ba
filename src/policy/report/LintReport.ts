/** Findings of `Lint`, for people, machines, CI systems and pull requests. */
import * as GitHub from "./GitHub.ts"
import * as Lint from "../question/Lint.ts"
import * as Markdown from "./Markdown.ts"
import * as Notice from "../Notice.ts"
import * as Origin from "../Origin.ts"
import * as Sarif from "./Sarif.ts"

export const formats = ["text", "json", "sarif", "github", "markdown"] as const
export type Format = (typeof formats)[number]

export const format = (
  findings: ReadonlyArray<Lint.Finding>,
  format: Format,
  setting: Notice.Setting
): string => writers[format](findings, setting)

type Writer = (findings: ReadonlyArray<Lint.Finding>, setting: Notice.Setting) => string

const notices = (findings: ReadonlyArray<Lint.Finding>): ReadonlyArray<Notice.Notice> =>
  findings.map(Lint.toNotice).sort(Notice.compare)

const text: Writer = (findings, { remarks }) => {
  const all = notices(findings)
  return [
    ...remarks,
    ...all.filter(({ silenced }) => silenced === undefined).map(line),
    ...all.filter(({ silenced }) => silenced !== undefined).map((each) => `${line(each)} [silenced: ${each.silenced}]`),
    "",
    Notice.count(all)
  ].join("\n").trimStart()
}

const line = ({ level, message, origin, rule, subject }: Notice.Notice): string =>
  `${origin === undefined ? "" : `${Origin.format(origin)}: `}${level} ${rule}: ${subject}: ${message}`

const json: Writer = (findings, { complete, remarks }) =>
  JSON.stringify(
    {
      ...(complete ? {} : { incomplete: true }),
      ...(remarks.length === 0 ? {} : { remarks }),
      findings: findings.map(Lint.toJson)
    },
    null,
    2
  )

const markdown: Writer = (findings, { base, remarks }) => {
  const all = notices(findings)
  const loud = all.filter(({ level, silenced }) => silenced === undefined && level !== "note")
  const notes = all.filter(({ level, silenced }) => silenced === undefined && level === "note")
  const silenced = all.filter((each) => each.silenced !== undefined)
  const rows = (list: ReadonlyArray<Notice.Notice>, last: (notice: Notice.Notice) => string) =>
    Markdown.table(
      ["", "Rule", "About", "What"],
      list.map((each) => [
        marks[each.level],
        Markdown.code(each.rule),
        `${Markdown.code(each.subject)}${
          each.origin === undefined
            ? ""
            : `<br>${Markdown.code(`${Notice.pathOf(each.origin.file, base)}:${each.origin.line}`)}`
        }`,
        last(each)
      ])
    )
  const message = (notice: Notice.Notice) => Markdown.text(notice.message)
  return [
    `### ${Lint.fails(findings) ? "❌" : loud.length > 0 ? "⚠️" : "✅"} Policy: ${Notice.count(all)}`,
    ...Markdown.warning(remarks),
    ...(loud.length === 0 ? [] : [rows(loud, message)]),
    ...(notes.length === 0 ? [] : [Markdown.details(`${notes.length} of level note`, rows(notes, message))]),
    ...(silenced.length === 0 ? [] : [
      Markdown.details(
        `${silenced.length} silenced`,
        rows(silenced, (each) => `${message(each)}<br>Silenced: ${Markdown.text(each.silenced ?? "")}`)
      )
    ])
  ].join("\n\n")
}

const marks: { readonly [L in Notice.Level]: string } = { error: "❌", warning: "⚠️", note: "ℹ️" }

const writers: { readonly [F in Format]: Writer } = {
  text,
  json,
  markdown,
  sarif: (findings, setting) => Sarif.format(Lint.rules, notices(findings), setting),
  github: (findings, setting) => GitHub.format(notices(findings), setting)
}
