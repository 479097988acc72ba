/** Compares what an agent answers with what was recorded from another one: names and types, not values. */
import type { Schema } from "effect"

/** Everything recorded that the answer lacks, or has as another type, as paths. What the answer has besides is fine. */
export const missing = (
  recorded: Schema.Json,
  actual: Schema.Json,
  options: { readonly ignore: (path: string) => boolean; readonly byKey: (path: string) => boolean },
  path = "$"
): ReadonlyArray<string> => {
  if (options.ignore(path)) return []
  // In Go an empty list or map may be nil, which is null on the wire.
  if (isEmpty(recorded) && isEmpty(actual)) return []
  if (isEmpty(recorded) || isEmpty(actual)) {
    return kind(recorded) === kind(actual) || recorded === null || (actual === null && isEmpty(recorded))
      ? []
      : [`${path}: ${kind(recorded)} recorded, ${kind(actual)} answered`]
  }
  if (kind(recorded) !== kind(actual)) return [`${path}: ${kind(recorded)} recorded, ${kind(actual)} answered`]
  if (isList(recorded) && isList(actual)) {
    // Each recorded element is like one of those answered.
    return recorded.flatMap((element) => {
      const attempts = actual.map((candidate) => missing(element, candidate, options, `${path}[]`))
      return attempts.sort((a, b) => a.length - b.length)[0] ?? []
    })
  }
  if (!isObject(recorded) || !isObject(actual)) return []
  if (options.byKey(path)) {
    const values = Object.values(actual)
    return Object.values(recorded).flatMap((element) =>
      values.map((candidate) => missing(element, candidate, options, `${path}.*`)).sort((a, b) =>
        a.length - b.length
      )[0] ??
        []
    )
  }
  return Object.entries(recorded).flatMap(([name, value]) => {
    const found = actual[name]
    return found === undefined
      ? (options.ignore(`${path}.${name}`) ? [] : [`${path}.${name} is missing`])
      : missing(value, found, options, `${path}.${name}`)
  })
}

const isList = (value: Schema.Json): value is ReadonlyArray<Schema.Json> => Array.isArray(value)
const isObject = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const isEmpty = (value: Schema.Json): boolean =>
  value === null || (typeof value === "object" && Object.keys(value).length === 0)
const kind = (value: Schema.Json): string => value === null ? "null" : Array.isArray(value) ? "list" : typeof value
