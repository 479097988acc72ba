/** The matrix for a terminal, and for a pull request. */
import * as Markdown from "./Markdown.ts"
import * as Matrix from "../question/Matrix.ts"

export interface Terminal {
  readonly color: boolean
  /** In characters. */
  readonly width: number
}

/**
 * Each column has its whole name, at the end of a line that leads down to it. What is wider than the terminal goes on below, with
 * the callers again.
 */
export const format = (matrix: Matrix.Matrix, { color, width }: Terminal = { color: false, width: 120 }): string => {
  const callers = matrix.callers.map(({ label }) => plain(label))
  const names = matrix.destinations.map(({ label }) => plain(label))
  const margin = Math.max(0, ...callers.map((name) => name.length)) + 2
  const mark = (verdict: Matrix.Verdict) =>
    color ? `\u001b[${colors[verdict]}m${marks[verdict]}\u001b[0m` : marks[verdict]
  const total = Matrix.counts(matrix)
  return [
    ...matrix.remarks,
    ...blocks(names, width - margin).flatMap(({ end, start }) => [
      ...names.slice(start, end).map((name, i) => `${" ".repeat(margin)}${"│ ".repeat(i)}╭─ ${name}`),
      ...callers.map((caller, row) =>
        `${caller.padEnd(margin)}${matrix.rows[row]!.slice(start, end).map(({ verdict }) => mark(verdict)).join(" ")}`
      ),
      ""
    ]),
    (["allow", "some", "deny", "undecided"] as const)
      .filter((verdict) => verdict !== "undecided" || total.undecided > 0)
      .map((verdict) => `${mark(verdict)} ${words[verdict]} ${total[verdict]}`)
      .join("   ")
  ].join("\n")
}

const marks: { readonly [V in Matrix.Verdict]: string } = { allow: "●", deny: "·", some: "◐", undecided: "?" }
const words = { allow: "allowed", some: "some requests", deny: "denied", undecided: "not decided" }
/** Green, yellow, faint, magenta: told apart without colours by their shapes. */
const colors: { readonly [V in Matrix.Verdict]: number } = { allow: 32, some: 33, deny: 2, undecided: 35 }

/** As many columns at a time as fit with their names. */
const blocks = (
  names: ReadonlyArray<string>,
  width: number
): ReadonlyArray<{ readonly start: number; readonly end: number }> => {
  const found: Array<{ start: number; end: number }> = []
  for (let start = 0; start < names.length;) {
    let end = start + 1
    while (end < names.length && 2 * (end - start) + 3 + names[end]!.length <= width) end++
    found.push({ start, end })
    start = end
  }
  return found
}

/** A name can not move the cursor. */
// eslint-disable-next-line no-control-regex -- control characters are what it takes out
const plain = (name: string): string => name.replace(/[\0-\x1f\x7f-\x9f]/g, "\ufffd")

/** Who may call each service. Services without a caller are counted. */
export const markdown = (matrix: Matrix.Matrix): string => {
  const total = Matrix.counts(matrix)
  const callersOf = (column: number, verdict: Matrix.Verdict) =>
    matrix.callers.filter((_, row) => matrix.rows[row]![column]!.verdict === verdict)
      .map(({ label }) => Markdown.code(label)).join(" ")
  const rows = matrix.destinations.map(({ label }, column) => [
    Markdown.code(label),
    callersOf(column, "allow"),
    callersOf(column, "some"),
    callersOf(column, "undecided")
  ])
  const columns = total.undecided === 0 ? 3 : 4
  const reached = rows.filter(([, ...cells]) => cells.some((cell) => cell !== ""))
  const closed = rows.length - reached.length
  return [
    `### Policy: ${matrix.callers.length} callers, ${matrix.destinations.length} destinations`,
    ...Markdown.warning(matrix.remarks),
    `${total.allow} allowed, ${total.some} for some requests, ${total.deny} denied${
      total.undecided === 0 ? "" : `, ${total.undecided} not decided`
    }.${closed === 0 ? "" : ` Nobody may call ${closed} of the destinations.`}`,
    ...(reached.length === 0 ? [] : [
      Markdown.details(
        "Who may call whom",
        Markdown.table(
          ["Destination", "Allowed", "Some requests", "Not decided"].slice(0, columns),
          reached.map((row) => row.slice(0, columns))
        )
      )
    ])
  ].join("\n\n")
}
