/** Competitors side by side, in rounds that alternate: what was measured in each, and ratios of one to another with their spread. */
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { quantile } from "./processes.ts"

export interface Row {
  readonly what: string
  readonly unit: string
  /** Whether more is better. */
  readonly more: boolean
  /** By competitor, one of each round. */
  readonly samples: Readonly<Record<string, ReadonlyArray<number>>>
}

/** Of the rounds, each by itself: what slows both sides of a round down does not show. */
export interface Ratio {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** What a benchmark prints, and what it writes for programs. */
export interface Report {
  readonly text: string
  readonly data: object
}

/** Rows in the making. */
export const sampler = (what: string, unit: string, more: boolean) => {
  const samples: Record<string, Array<number>> = {}
  const row: Row = { what, unit, more, samples }
  return { row, add: (name: string, value: number) => void (samples[name] ??= []).push(value) }
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

export const value = ({ samples }: Row, name: string): number | undefined => {
  const values = samples[name]
  return values === undefined || values.length === 0 ? undefined : median(values)
}

/** `one` as a multiple of `other`. Undefined: nothing to compare. */
export const ratio = ({ samples }: Row, one: string, other: string): Ratio | undefined => {
  const [own, others] = [samples[one] ?? [], samples[other] ?? []]
  const ratios = own.flatMap((value, round) => {
    const beside = others[round]
    return beside === undefined || beside <= 0 ? [] : [value / beside]
  })
  return ratios.length === 0
    ? undefined
    : { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }
}

/** Who of these does best. */
export const best = (row: Row, names: ReadonlyArray<string>): string | undefined => {
  const known = names.flatMap((name) => {
    const own = value(row, name)
    return own === undefined ? [] : [{ name, own }]
  })
  return known.toSorted((a, b) => row.more ? b.own - a.own : a.own - b.own)[0]?.name
}

/** `1.05 (0.98 to 1.10)`, or `1.05` where there was one round. */
export const formatRatio = (of: Ratio | undefined): string => {
  if (of === undefined) return "-"
  const { least, median, most } = of
  return least === most ? median.toFixed(2) : `${median.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`
}

export const formatValue = (row: Row, name: string): string => {
  const own = value(row, name)
  return own === undefined ? "-" : `${own.toFixed(own < 100 ? 1 : 0)}${row.unit}`
}

/** Rows as they are written for programs: everything that was measured, and `subject` beside each of `others`. */
export const data = (rows: ReadonlyArray<Row>, subject: string, others: ReadonlyArray<string>): ReadonlyArray<object> =>
  rows.map((row) => ({
    what: row.what,
    unit: row.unit.trim(),
    moreIsBetter: row.more,
    samples: row.samples,
    medians: Object.fromEntries(Object.keys(row.samples).map((name) => [name, value(row, name)])),
    ratios: Object.fromEntries(others.flatMap((other) => {
      const of = ratio(row, subject, other)
      return of === undefined ? [] : [[other, of]]
    })),
    best: best(row, others)
  }))

/** For `--json`: reports by the names of their benchmarks, and what they ran on. */
export const write = (file: string, reports: Readonly<Record<string, object>>): void => {
  const machine = { node: process.version, cores: cpus().length, processor: cpus()[0]?.model }
  writeFileSync(file, `${JSON.stringify({ machine, ...reports }, null, 2)}\n`)
}
