/** Differences, for people, machines, CI systems and pull requests. */
import * as Difference from "../question/Difference.ts"
import * as GitHub from "./GitHub.ts"
import * as Markdown from "./Markdown.ts"
import * as Names from "../Names.ts"
import * as Notice from "../Notice.ts"
import * as Sarif from "./Sarif.ts"
import * as Witnesses from "../space/Witnesses.ts"

export const formats = ["text", "json", "sarif", "github", "markdown"] as const
export type Format = (typeof formats)[number]

/** `kept`: entries that were not compared, because the new side does not name them; absent where all are compared. */
export interface Report {
  readonly difference: Difference.Difference
  readonly kept: ReadonlyArray<string> | undefined
}

export const format = (report: Report, format: Format, setting: Notice.Setting): string =>
  writers[format](report, setting)

type Writer = (report: Report, setting: Notice.Setting) => string

const text: Writer = ({ difference, kept }, { remarks }) =>
  [...remarks, Difference.format(difference), ...leftOut(kept)].join("\n")

/** What the new side does not name, and the comparison therefore leaves out. */
const leftOut = (kept: Report["kept"]): ReadonlyArray<string> =>
  kept === undefined
    ? []
    : [
      kept.length === 0
        ? "Only what the new side names was changed; it names everything there is."
        : `Only what the new side names was changed. These stay as they are, and if one of them is to be deleted, that is not ` +
          `looked at: ${kept.join(", ")}.`
    ]

const json: Writer = ({ difference, kept }, { complete, remarks }) =>
  JSON.stringify(
    {
      ...(complete ? {} : { incomplete: true }),
      ...(remarks.length === 0 ? {} : { remarks }),
      ...Difference.toJson(difference),
      ...(kept === undefined ? {} : { kept })
    },
    null,
    2
  )

export const rules: ReadonlyArray<Notice.Rule> = [
  {
    id: "newly-allowed",
    level: "error",
    summary: "The change lets in requests that were refused",
    help: "Make sure that it is meant. The message has a smallest request that shows it."
  },
  {
    id: "newly-denied",
    level: "warning",
    summary: "The change refuses requests that were let in",
    help: "Make sure that nobody relies on them. The message has a smallest request that shows it."
  },
  {
    id: "not-decided",
    level: "error",
    summary: "Whether something changes could not be decided",
    help: "Write the conditions simpler: nothing is said about these calls."
  },
  {
    id: "kept",
    level: "note",
    summary: "Entries that the new side does not name were left as they are",
    help: "Compare without --only-named where the new side is the whole policy."
  }
]

const toNotices = (
  { changes, undecided }: Difference.Difference,
  kept: Report["kept"]
): ReadonlyArray<Notice.Notice> =>
  [
    ...changes.map((change): Notice.Notice => {
      const { after, before } = change.rules
      // What decides now is in the new side; where that is no rule, look at the one that no longer decides.
      const origin = after?.origin ?? before?.origin
      const other = after?.origin === undefined ? undefined : before?.origin
      return {
        rule: `newly-${change.newly}`,
        level: change.newly === "allowed" ? "error" : "warning",
        message:
          `newly ${change.newly}, ${example(change)}${condition(change.underDefault)}; before ${change.before}; ` +
          `now ${change.after}`,
        origin,
        subject: subjectOf(change),
        related: other === undefined ? [] : [{ message: "decided before", origin: other }]
      }
    }),
    ...undecided.map((each): Notice.Notice => ({
      rule: "not-decided",
      level: "error",
      message: `not decided${condition(each.underDefault)}: ${each.why}`,
      origin: undefined,
      subject: subjectOf(each),
      related: []
    })),
    ...(kept === undefined ? [] : [
      {
        rule: "kept",
        level: "note" as const,
        message: leftOut(kept).join(" "),
        origin: undefined,
        subject: "compared in part",
        related: []
      }
    ])
  ].sort(Notice.compare)

const subjectOf = ({ callers, destinations }: Pick<Difference.Change, "callers" | "destinations">): string =>
  `${Names.few(callers)} → ${Names.few(destinations)}`

const example = ({ witness }: Difference.Change): string =>
  witness === undefined ? "every request" : `for example ${Witnesses.describe(witness)}`

const condition = (underDefault: Difference.Change["underDefault"]): string =>
  underDefault === undefined ? "" : ` if the default policy is ${underDefault}, which nobody says`

const markdown: Writer = ({ difference, kept }, { base, remarks }) => {
  const { changes, undecided } = difference
  const allowed = changes.filter(({ newly }) => newly === "allowed")
  const denied = changes.filter(({ newly }) => newly === "denied")
  const counts = [
    ...(allowed.length === 0 ? [] : [`${allowed.length} newly allowed`]),
    ...(denied.length === 0 ? [] : [`${denied.length} newly denied`]),
    ...(undecided.length === 0 ? [] : [`${undecided.length} not decided`])
  ]
  const mark = allowed.length + undecided.length > 0 ? "❌" : denied.length > 0 ? "⚠️" : "✅"
  const place = (basis: Difference.Basis | undefined) =>
    basis?.origin === undefined
      ? ""
      : `<br>${Markdown.code(`${Notice.pathOf(basis.origin.file, base)}:${basis.origin.line}`)}`
  return [
    `### ${mark} Policy: ${counts.length === 0 ? "nothing newly allowed, nothing newly denied" : counts.join(", ")}`,
    ...Markdown.warning(remarks),
    ...(changes.length === 0 ? [] : [Markdown.table(
      ["", "Callers", "Destinations", "Smallest request"],
      changes.map(({ callers, destinations, newly, underDefault, witness }) => [
        `${newly === "allowed" ? "❗ newly allowed" : "newly denied"}${Markdown.text(condition(underDefault))}`,
        Markdown.code(Names.few(callers)),
        Markdown.code(Names.few(destinations)),
        witness === undefined ? "every request" : Markdown.code(Witnesses.describe(witness))
      ])
    )]),
    ...undecided.map((each) =>
      `- not decided: ${Markdown.code(subjectOf(each))}${Markdown.text(condition(each.underDefault))}: ${
        Markdown.text(each.why)
      }`
    ),
    ...(changes.length === 0 ? [] : [Markdown.details(
      "Which rules decide",
      Markdown.table(
        ["Callers and destinations", "Before", "Now"],
        changes.map((change) => [
          `${Markdown.code(change.callers.join(", "))} → ${Markdown.code(change.destinations.join(", "))}`,
          `${Markdown.text(change.before)}${place(change.rules.before)}`,
          `${Markdown.text(change.after)}${place(change.rules.after)}`
        ])
      )
    )]),
    ...(kept === undefined ? [] : kept.length === 0
      ? leftOut(kept)
      : [Markdown.details(
        `Only what the new side names was changed; ${kept.length} other entries stay as they are`,
        kept.map((each) => `- ${Markdown.code(each)}`).join("\n")
      )])
  ].join("\n\n")
}

const writers: { readonly [F in Format]: Writer } = {
  text,
  json,
  markdown,
  sarif: ({ difference, kept }, setting) => Sarif.format(rules, toNotices(difference, kept), setting),
  github: ({ difference, kept }, setting) => GitHub.format(toNotices(difference, kept), setting)
}
