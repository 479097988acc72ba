/** Reads the body of a config entry write, with the refusals of a real agent in its words. */
import { Result, Schema } from "effect"
import * as ApiError from "../../consul/ApiError.ts"
import * as ConfigEntry from "../../consul/ConfigEntry.ts"
import * as Opaque from "../../consul/config/Opaque.ts"
import * as StoredEntry from "../../consul/config/StoredEntry.ts"
import * as GoDecode from "../GoDecode.ts"

export const decode = (body: string): Result.Result<StoredEntry.StoredEntry, ApiError.BadRequest> =>
  Result.mapError(
    Result.gen(function*() {
      const document = yield* GoDecode.parse(body)
      if (!isObject(document)) {
        return yield* Result.fail(`'' expected a map, got '${Array.isArray(document) ? "slice" : kindOf(document)}'`)
      }
      const kind = Object.entries(document).find(([key]) => key === "Kind" || key === "kind")?.[1]
      if (typeof kind !== "string") {
        return yield* Result.fail("Payload does not contain a kind/Kind key at the top level")
      }
      if (!isKind(kind)) return yield* Result.fail(`invalid config entry kind: ${kind}`)
      const schema = schemaOf(kind)
      // Both are tolerated: the hash that a read shows, and a name for the mesh entry, which has none.
      const ignored = kind === "mesh" ? /^(hash|name)$/i : /^hash$/i
      const rest = Object.fromEntries(Object.entries(document).filter(([key]) => !ignored.test(key)))
      const conformed = yield* Result.mapError(
        GoDecode.conform(schema, rest, { snakeCase: true, weak: true }),
        describeAll
      )
      return yield* Result.mapError(
        Schema.decodeResult(StoredEntry.StoredEntry)(conformed),
        (error) => error.message
      )
    }),
    (reason) => new ApiError.BadRequest({ body: `Request decoding failed: ${reason}` })
  )

export const isKind = (kind: string): kind is ConfigEntry.Kind => ConfigEntry.kinds.some((known) => known === kind)

/** As the API writes an entry. */
export const encode = (entry: StoredEntry.StoredEntry): ConfigEntry.ConfigEntry =>
  Schema.decodeUnknownSync(ConfigEntry.ConfigEntry)(Schema.encodeSync(StoredEntry.StoredEntry)(entry))

const schemaOf = (kind: string): Schema.Constraint =>
  Object.hasOwn(StoredEntry.byKind, kind)
    ? StoredEntry.byKind[kind as keyof typeof StoredEntry.byKind]
    : Opaque.Opaque

/** Unknown keys are reported together, wrong types by another decoder in another shape. */
const describeAll = (problems: ReadonlyArray<GoDecode.Problem>): string => {
  const wrong = problems.filter((problem) => problem._tag === "WrongType")
  if (wrong.length > 0) {
    return `${wrong.length} error(s) decoding:\n\n${
      wrong.map(({ actual, expected, path }) =>
        expected === "time.Duration"
          ? `* error decoding '${path}': time: invalid duration ${JSON.stringify(actual)}`
          : `* '${path}' expected type '${expected}', got unconvertible type '${kindOf(actual)}', value: '${
            typeof actual === "object" ? JSON.stringify(actual) : actual
          }'`
      ).join("\n")
    }`
  }
  return errors(problems.map(({ path }) => {
    const name = path.slice(path.lastIndexOf(".") + 1)
    return name === "Namespace" || name === "Partition"
      ? `invalid config key "${path}", ${name.toLowerCase()}s are a consul enterprise feature`
      : `invalid config key "${path}"`
  }))
}

/** Go's multierror. */
export const errors = (list: ReadonlyArray<string>): string =>
  `${list.length} error${list.length === 1 ? "" : "s"} occurred:\n${list.map((text) => `\t* ${text}\n`).join("")}\n`

const isObject = (value: GoDecode.Json): value is { readonly [key: string]: GoDecode.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const kindOf = (value: GoDecode.Json): string =>
  typeof value === "boolean" ? "bool" : typeof value === "number" ? "float64" : value === null ? "nil" : typeof value
