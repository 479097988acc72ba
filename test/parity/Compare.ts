/** Where what was seen differs from what was recorded. Header lines are compared by name: the order of values counts, that of names does not. */
import { Equal, type Schema } from "effect"
import * as Json from "./Json.ts"

export interface Difference {
  /** A path into the expectation: `seen[0].headers.host`. */
  readonly where: string
  readonly expected: Schema.Json | undefined
  readonly got: Schema.Json | undefined
}

export interface Options {
  /** Also the case of header names, and the marks by which Envoy names itself and its timings. */
  readonly strict: boolean
  /** By how much counts may be off. */
  readonly tolerance: number
}

/** What only Envoy can say of itself. */
const marks = new Set(["server", "date", "x-envoy-upstream-service-time", "x-envoy-expected-rq-timeout-ms"])

/** What an expectation may leave open, as it depends on timing. */
const open = new Set(["closed", "seen"])

export const differences = (
  expected: Schema.JsonObject,
  got: Schema.JsonObject,
  options: Options
): ReadonlyArray<Difference> => {
  const said = new Set(Object.keys(expected))
  const keys = [...new Set([...said, ...Object.keys(got)])]
    .filter((key) => key !== "tolerance" && (said.has(key) || !open.has(key)))
  return keys.flatMap((key) => walk(key, expected[key], got[key], options))
}

type Value = Schema.Json | undefined

const walk = (where: string, expected: Value, got: Value, options: Options): ReadonlyArray<Difference> => {
  if (Json.isArray(expected) && Json.isArray(got)) {
    if (/(^|\.)headers$/.test(where)) return walk(where, byName(expected, options), byName(got, options), options)
    if (expected.length === got.length) {
      return expected.flatMap((item: Schema.Json, i) => walk(`${where}[${i}]`, item, got[i], options))
    }
  }
  if (Json.isObject(expected) && Json.isObject(got)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(got)])
    return [...keys].flatMap((key) => walk(`${where}.${key}`, expected[key], got[key], options))
  }
  const near = where.startsWith("counts.") && options.tolerance > 0 &&
    Math.abs(Number(expected ?? 0) - Number(got ?? 0)) <= options.tolerance
  return near || Equal.equals(expected, got) ? [] : [{ where, expected, got }]
}

const byName = (lines: ReadonlyArray<Schema.Json>, { strict }: Options): Schema.JsonObject => {
  const values = new Map<string, Array<string>>()
  for (const line of lines.map(String)) {
    // Names of pseudo header fields begin with a colon.
    const colon = line.indexOf(":", 1)
    const name = strict ? line.slice(0, colon) : line.slice(0, colon).toLowerCase()
    if (!strict && marks.has(name)) continue
    values.set(name, [...(values.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  return Object.fromEntries(values)
}
