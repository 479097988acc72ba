/** Metrics in the text format of Prometheus, as far as the admin interface writes it. Pure. */

export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Lines that are none are left out. */
export const parse = (text: string): ReadonlyArray<Series> =>
  text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+(?:e[-+]?\d+)?)(?: |$)/.exec(line) ?? []
    return name === undefined ? [] : [{ name, labels: parseLabels(labels), value: Number(value) }]
  })

const parseLabels = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = "", value = ""]) => [
      name,
      value.replaceAll(/\\(.)/g, (_, escaped: string) => escaped === "n" ? "\n" : escaped)
    ])
  )

export type Labels = Readonly<Record<string, string>>

const hasLabels = (series: Series, labels: Labels): boolean => {
  for (const name in labels) {
    if (series.labels[name] !== labels[name]) return false
  }
  return true
}

/** Of all that have these labels. */
export const sum = (all: ReadonlyArray<Series>, name: string, labels: Labels): number =>
  all.reduce((sum, series) => series.name === name && hasLabels(series, labels) ? sum + series.value : sum, 0)

/** The different values of a label among all that have these. */
export const values = (
  all: ReadonlyArray<Series>,
  name: string,
  labels: Labels,
  label: string
): ReadonlyArray<string> => [
  ...new Set(
    all.flatMap((series) => series.name === name && hasLabels(series, labels) ? [series.labels[label] ?? ""] : [])
  )
]

/** A quantile of what a histogram has counted between two readings. Undefined: nothing was. */
export const quantile = (
  before: ReadonlyArray<Series>,
  after: ReadonlyArray<Series>,
  name: string,
  labels: Labels,
  share: number
): number | undefined => {
  const bounds = values(after, `${name}_bucket`, labels, "le").toSorted((a, b) => bound(a) - bound(b))
  const counts = bounds.map((le) => {
    const of = { ...labels, le }
    return sum(after, `${name}_bucket`, of) - sum(before, `${name}_bucket`, of)
  })
  const all = counts.at(-1) ?? 0
  if (all <= 0) return undefined
  const rank = share * all
  const at = counts.findIndex((count) => count >= rank)
  const [low, high] = [at <= 0 ? 0 : bound(bounds[at - 1]!), bound(bounds[at]!)]
  if (!Number.isFinite(high)) return low
  const below = at <= 0 ? 0 : counts[at - 1]!
  return low + (high - low) * (rank - below) / Math.max(1, counts[at]! - below)
}

const bound = (le: string): number => le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le)
