/** What was played, for people: a table by area, then every request that is wrong. */
import type { Schema } from "effect"
import type * as Compare from "./Compare.ts"
import * as Recording from "./Recording.ts"
import * as RequestBytes from "./RequestBytes.ts"
import type * as Verdict from "./Verdict.ts"

export const table = (verdicts: ReadonlyArray<Verdict.Verdict>): string => {
  const areas = Map.groupBy(verdicts, ({ scenario }) => scenario.area)
  const rows = [...areas].map(([area, list]) => [area, ...numbersOf(list)])
  return aligned([
    ["area", "scenarios", "requests", "equal", "on purpose", "wrong"],
    ...rows,
    ["all", ...numbersOf(verdicts)]
  ])
}

const numbersOf = (list: ReadonlyArray<Verdict.Verdict>): ReadonlyArray<string> => {
  const count = (...outcomes: ReadonlyArray<Verdict.Outcome>) =>
    list.filter(({ outcome }) => outcomes.includes(outcome)).length
  return [
    new Set(list.map(({ scenario }) => Recording.titleOf(scenario))).size,
    list.length,
    count("equal"),
    count("on purpose"),
    count("wrong", "stale")
  ].map(String)
}

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  ).join("\n")
}

/** A request with each of its differences. `whole`: not shortened. */
export const details = (verdict: Verdict.Verdict, whole: boolean): string => {
  const { differences, number, outcome, reason, scenario } = verdict
  const request = scenario.requests[number]!
  const why = outcome === "stale" ? `equal, though listed as different on purpose (${reason})` : outcome
  const shown = whole ? differences : differences.slice(0, 6)
  return [
    `${Recording.titleOf(scenario)} #${number}: ${why}`,
    `  ${described(request)}`,
    ...shown.map((it) => `  ${difference(it, whole)}`),
    ...(shown.length < differences.length ? [`  and ${differences.length - shown.length} more`] : [])
  ].join("\n")
}

const described = (request: Recording.Request): string => {
  const { h2, raw, to } = request
  const asked = raw === undefined
    ? `${request.method ?? "GET"} ${shortened(RequestBytes.targetOf(request), 100)}${h2 === true ? " over HTTP/2" : ""}`
    : shortened(JSON.stringify([raw].flat()[0]), 100)
  return `${asked} to ${to}`
}

const difference = ({ expected, got, where }: Compare.Difference, whole: boolean): string =>
  `${where}: expected ${text(expected, whole)}, got ${text(got, whole)}`

const text = (value: Schema.Json | undefined, whole: boolean): string =>
  value === undefined ? "nothing" : whole ? JSON.stringify(value) : shortened(JSON.stringify(value), 160)

const shortened = (text: string, length: number): string => text.length > length ? `${text.slice(0, length)}…` : text
