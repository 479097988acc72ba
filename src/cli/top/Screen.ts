/** The overview as lines of text, for a terminal of any size. Pure. */
import type * as Documents from "../../admin/Documents.ts"
import type * as Overview from "./Overview.ts"

export interface Options {
  readonly color: boolean
  /** Columns. Longer lines are cut. */
  readonly width: number
}

export interface Header {
  readonly address: string
  readonly configuration: typeof Documents.Configuration.Type
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Why what is shown is not of now. */
  readonly stale: string | undefined
  /** Undefined: it is looked at once. */
  readonly paused: boolean | undefined
}

type Color = "red" | "green" | "yellow" | "dim" | "bold" | "cyan"

const codes: Readonly<Record<Color, number>> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1, cyan: 36 }

/** A piece of a line. */
type Span = string | readonly [Color, string]

type Line = ReadonlyArray<Span>

/** The lines that stay on top, and those that are scrolled. */
export const render = (header: Header, overview: Overview.Overview, options: Options) => ({
  top: [...head(header, overview), [], titles(options.width)].map((line) => paint(line, options)),
  body: body(overview, options.width).map((line) => paint(line, options))
})

const head = (
  { address, configuration, now, paused, stale }: Header,
  overview: Overview.Overview
): ReadonlyArray<Line> => {
  const { absent, sidecars, watches } = overview
  const ready = sidecars.filter(({ problems }) => problems.length === 0).length
  const all = sidecars.length + absent.length
  const about = [
    `version ${configuration.version}`,
    `pid ${configuration.pid}`,
    `up ${duration((now - Date.parse(configuration.startedAt)) / 1000)}`,
    `agent ${configuration.agent}`
  ]
  const lines: ReadonlyArray<Line> = [
    [["bold", "effect-mesh top"], ["dim", ` · ${[address, ...about].join(" · ")}`]],
    [
      ready === all ? ["green", `${all} ready`] : ["red", `${ready} of ${all} ready`],
      " · ",
      watches.stale.length === 0
        ? ["green", `${watches.all} watches current`]
        : ["yellow", `${watches.stale.length} of ${watches.all} watches without an answer`],
      ...(paused === undefined ? [] : [["dim", " · q quits, ↑ ↓ scroll, space pauses"]] as const),
      ...(paused === true ? [["yellow", " · PAUSED"]] as const : [])
    ]
  ]
  return stale === undefined ? lines : [...lines, [["red", stale]]]
}

const body = ({ absent, sidecars, watches }: Overview.Overview, width: number): ReadonlyArray<Line> => [
  ...absent.flatMap(({ name, problems }): ReadonlyArray<Line> => [
    [],
    [["red", "✗ "], ["bold", name]],
    ...problems.map(ofProblem)
  ]),
  ...sidecars.flatMap((sidecar) => ofSidecar(sidecar, width)),
  ...(watches.stale.length === 0
    ? []
    : [[], [["bold", "Without an answer of the agent"]]] satisfies ReadonlyArray<Line>),
  ...watches.stale.slice(0, staleLines).map(({ lastError, secondsSinceAnswer, subject, what }): Line => [
    ["yellow", "  ! "],
    `${what}${subject === "*" || what.includes(subject) ? "" : ` of ${subject}`}, `,
    secondsSinceAnswer === null ? "never yet" : `for ${duration(secondsSinceAnswer)}`,
    ["dim", lastError === null ? "" : `: ${lastError}`]
  ]),
  ...(watches.stale.length > staleLines
    ? [[["yellow", `  ! and ${watches.stale.length - staleLines} more`]]] satisfies ReadonlyArray<Line>
    : [])
]

/** Mostly they have one cause. */
const staleLines = 5

const ofProblem = (problem: string): Line => [["red", `    ${problem}`]]

const ofSidecar = (
  { callers, problems, proxy, refusals, secondsLeft, service, upstreams }: Overview.Sidecar,
  width: number
): ReadonlyArray<Line> => [
  [],
  [
    problems.length === 0 ? ["green", "● "] : ["red", "✗ "],
    ["bold", `${service}  `],
    ["dim", proxy],
    ...(secondsLeft.leaf === undefined ? [] : [["dim", " · "] as const, left("leaf", secondsLeft.leaf, 3600)]),
    ...(secondsLeft.root === undefined ? [] : [["dim", " · "] as const, left("root", secondsLeft.root, 30 * 86_400)])
  ],
  ...problems.map(ofProblem),
  ...callers.map((line): Line => row(["cyan", "  ◀ "], [line.service, "", "", ...figures(line)], width)),
  ...upstreams.flatMap((upstream) => ofUpstream(upstream, width)),
  ...refusals.map(({ destination, perSecond, rule, source, total }): Line => [
    [perSecond > 0 ? "red" : "dim", "  ✗ "],
    `${source} → ${destination} `,
    ["dim", `refused by ${rule}: `],
    `${total}`,
    perSecond > 0 ? ["red", ` (${rate(perSecond)} a second)`] : ""
  ])
]

const ofUpstream = (upstream: Overview.Upstream, width: number): ReadonlyArray<Line> => {
  const { address, instances, message, service, state } = upstream
  return [
    row(["cyan", "  ▶ "], [service, ["dim", address], instancesOf(instances), ...figures(upstream)], width),
    ...(state === "Listening" ? [] : [ofProblem(`${state}${message === null ? "" : `: ${message}`}`)])
  ]
}

const instancesOf = (instances: Overview.Upstream["instances"]): Span => {
  if (instances === undefined) return ["dim", "unknown"]
  const { all, ejected, healthy } = instances
  if (all === 0) return ["red", "no instance"]
  const text = ejected > 0 ? `${healthy}/${all} ejected` : `${healthy}/${all} up`
  return healthy === 0 ? ["red", text] : healthy < all ? ["yellow", text] : ["green", text]
}

interface Column {
  readonly title: string
  readonly width: number
  /** Where a terminal has so few columns, this one is left out. */
  readonly from: number
  readonly align: "left" | "right"
}

const figure = (title: string, from = 0): Column => ({ title, width: 9, from, align: "right" })

const columns: ReadonlyArray<Column> = [
  { title: "SERVICE", width: 22, from: 0, align: "left" },
  { title: "AT", width: 24, from: 125, align: "left" },
  { title: "INSTANCES", width: 13, from: 0, align: "left" },
  figure("OPEN"),
  figure("PER S"),
  figure("P50", 84),
  figure("P95", 84),
  figure("WRONG"),
  figure("SENT/S", 102),
  figure("RECV/S", 102)
]

const titles = (width: number): Line => row("    ", columns.map(({ title }) => ["dim", title]), width)

const row = (mark: Span, cells: Line, width: number): Line => [
  mark,
  ...columns.flatMap((column, i) => column.from > width ? [] : [fitted(cells[i] ?? "", column)])
]

const fitted = (span: Span, { align, width }: Column): Span => {
  const [color, text] = typeof span === "string" ? [undefined, span] : span
  const cut = text.length < width ? text : `${text.slice(0, width - 2)}…`
  const fit = align === "left" ? cut.padEnd(width) : cut.padStart(width)
  return color === undefined ? fit : [color, fit]
}

const figures = ({ median, open, perSecond, received, sent, slow, wrong }: Overview.Line): Line => [
  String(open),
  rate(perSecond),
  time(median),
  time(slow),
  wrong === undefined
    ? "–"
    : wrong === 0
    ? ["green", "0 %"]
    : [wrong < 0.05 ? "yellow" : "red", `${wrong < 0.1 ? (wrong * 100).toFixed(1) : Math.round(wrong * 100)} %`],
  size(sent),
  size(received)
]

const left = (what: string, seconds: number, little: number): Span =>
  seconds < 0
    ? ["red", `${what} expired ${duration(-seconds)} ago`]
    : [seconds < little ? "yellow" : "dim", `${what} ${duration(seconds)}`]

export const duration = (seconds: number): string =>
  seconds < 60
    ? `${Math.max(0, Math.round(seconds))} s`
    : seconds < 2 * 3600
    ? `${Math.floor(seconds / 60)} min`
    : seconds < 2 * 86_400
    ? `${Math.floor(seconds / 3600)} h`
    : `${Math.floor(seconds / 86_400)} days`

export const rate = (perSecond: number): string =>
  perSecond === 0 ? "0" : perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond))

export const time = (seconds: number | undefined): string =>
  seconds === undefined
    ? "–"
    : seconds < 0.01
    ? `${(seconds * 1000).toFixed(1)} ms`
    : seconds < 1
    ? `${Math.round(seconds * 1000)} ms`
    : `${seconds.toFixed(1)} s`

export const size = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB"] as const
  let [value, unit] = [Math.max(0, bytes), 0]
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1]
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Cut to the width; each character takes one column. What others have written cannot steer the terminal. */
const paint = (spans: Line, { color, width }: Options): string => {
  let room = width
  return spans.map((span) => {
    const [of, text] = typeof span === "string" ? [undefined, span] : span
    const shown = [...text.replaceAll(/\p{Cc}/gu, " ")].slice(0, room).join("")
    room -= [...shown].length
    return color && of !== undefined && shown !== "" ? `\u001b[${codes[of]}m${shown}\u001b[0m` : shown
  }).join("").trimEnd()
}
