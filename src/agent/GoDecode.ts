/**
 * Reads JSON documents as Consul's Go decoders do, driven by the wire side of a schema: keys in any case, optionally in
 * snake_case, unknown keys refused, and for config entries weak typing (`"10"` for a number). The result has the keys and
 * types of the schema, which then decodes it.
 */
import { Option, Result, Schema, SchemaAST } from "effect"
import * as GoDuration from "../consul/GoDuration.ts"
import * as GoWeak from "../consul/GoWeak.ts"

export type Json = Schema.Json

export interface Options {
  /** Accept `service_id` for `ServiceID`. */
  readonly snakeCase: boolean
  /** Keys to take for unknown all the same, as they are written, by the path of the object that has them. */
  readonly refuses?: ((parent: string, key: string) => boolean) | undefined
  /** Convert between texts, numbers and booleans, and between a value and a list of one. */
  readonly weak: boolean
  /** Take a list of one for its item, as all is that HCL says of objects. */
  readonly unwrap?: boolean
}

/** What is wrong with a document, in the order of the document. */
export type Problem =
  | { readonly _tag: "UnknownKey"; readonly path: string }
  | { readonly _tag: "WrongType"; readonly path: string; readonly expected: string; readonly actual: Json }

/** The document with the keys of `schema`, or everything that is wrong with it. */
export const conform = (
  schema: Schema.Constraint,
  document: Json,
  options: Options
): Result.Result<Json, ReadonlyArray<Problem>> => {
  const problems: Array<Problem> = []
  const conformed = walk(SchemaAST.toEncoded(schema.ast), document, "", options, problems)
  return problems.length > 0 ? Result.fail(problems) : Result.succeed(conformed ?? null)
}

/** Parses a body; fails with the text of Go's decoder. */
export const parse = (text: string): Result.Result<Json, string> => {
  if (text.trim() === "") return Result.fail("EOF")
  return Result.try({
    try: (): Json => JSON.parse(text),
    catch: (error) => syntaxError(text, String(error))
  })
}

/** As `encoding/json` says it. */
export const describe = (problem: Problem): string =>
  problem._tag === "UnknownKey"
    ? `json: unknown field ${JSON.stringify(lastOf(problem.path))}`
    : problem.path === ""
    ? `json: cannot unmarshal ${goKind(problem.actual)} into Go value of type ${problem.expected}`
    : `json: cannot unmarshal ${
      goKind(problem.actual)
    } into Go struct field .${problem.path} of type ${problem.expected}`

const lastOf = (path: string): string => path.slice(path.lastIndexOf(".") + 1)

/** Undefined: nothing to keep, as Go ignores a `null`. */
const walk = (
  ast: SchemaAST.AST,
  value: Json,
  path: string,
  options: Options,
  problems: Array<Problem>
): Json | undefined => {
  const wrong = (expected: string) => {
    problems.push({ _tag: "WrongType", path, expected, actual: value })
    return undefined
  }
  if (value === null && !SchemaAST.isDeclaration(ast)) return undefined
  switch (ast._tag) {
    case "Objects":
      return walkObjectOrList(ast, value, path, options, problems) ?? wrong("map")
    case "Arrays": {
      const item = ast.rest[0]
      if (item === undefined) return value
      const list = Array.isArray(value) ? value : options.weak ? asList(value) : undefined
      return list === undefined
        ? wrong("slice")
        : list.map((element, index) => walk(item, element, `${path}[${index}]`, options, problems) ?? null)
    }
    case "String": {
      const only = unwrap(value, options)
      return typeof only === "string"
        ? only
        : typeof only === "number" && isDurationName(lastOf(path))
        ? GoDuration.formatNanos(BigInt(Math.round(only)))
        : isScalar(only) && options.weak
        ? GoWeak.text(only)
        : wrong("string")
    }
    case "Number": {
      const only = unwrap(value, options)
      const number = isScalar(only) && (options.weak || typeof only === "number") ? GoWeak.number(only) : undefined
      return number ?? wrong("int")
    }
    case "Boolean": {
      const only = unwrap(value, options)
      const flag = isScalar(only) && (options.weak || typeof only === "boolean") ? GoWeak.boolean(only) : undefined
      return flag ?? wrong("bool")
    }
    case "Union": {
      if (ast.types.every(SchemaAST.isLiteral)) return typeof value === "string" ? value : wrong("string")
      // Other unions are durations: a text or a number of nanoseconds.
      if (typeof value === "string" && value !== "" && Option.isNone(GoDuration.parse(value))) {
        return wrong("time.Duration")
      }
      return typeof value === "string" || typeof value === "number" ? value : wrong("time.Duration")
    }
    default:
      return unwrap(value, { ...options, unwrap: false })
  }
}

const walkObject = (
  ast: SchemaAST.Objects,
  value: { readonly [key: string]: Json },
  path: string,
  options: Options,
  problems: Array<Problem>
): Json => {
  const result: Record<string, Json> = {}
  const rest = ast.indexSignatures[0]?.type
  const fields = new Map(ast.propertySignatures.map((field) => [String(field.name).toLowerCase(), field]))
  for (const [key, element] of Object.entries(value)) {
    const folded = key.toLowerCase()
    const field = fields.get(folded) ?? (options.snakeCase ? fields.get(folded.replaceAll("_", "")) : undefined)
    const name = field === undefined ? key : String(field.name)
    const inner = path === "" ? name : `${path}.${name}`
    const type = field?.type ?? rest
    if (type === undefined || options.refuses?.(path, key) === true) {
      problems.push({ _tag: "UnknownKey", path: path === "" ? key : `${path}.${key}` })
      continue
    }
    const conformed = walk(type, element, inner, options, problems)
    if (conformed !== undefined) result[name] = conformed
  }
  return result
}

/** A list of one where an object is expected, and for a map a list of maps, which add up. */
const walkObjectOrList = (
  ast: SchemaAST.Objects,
  value: Json,
  path: string,
  options: Options,
  problems: Array<Problem>
): Json | undefined => {
  const only = unwrap(value, options)
  const isMap = ast.propertySignatures.length === 0
  const merged = options.weak && isMap && Array.isArray(only) && only.every(isObject)
    ? Object.assign({}, ...only)
    : only
  return isObject(merged) ? walkObject(ast, merged, path, options, problems) : undefined
}

const unwrap = (value: Json, { unwrap = false, weak }: Options): Json =>
  (unwrap || weak) && Array.isArray(value) && value.length === 1 ? value[0]! : value

/** An object without anything in it is a list without anything in it. */
const asList = (value: Json): ReadonlyArray<Json> => isObject(value) && Object.keys(value).length === 0 ? [] : [value]

const isScalar = (value: Json): value is GoWeak.Scalar => typeof value !== "object"

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Fields that Go holds as durations and reads from a number of nanoseconds too. */
const isDurationName = (name: string): boolean =>
  /^(TTL|Interval|Timeout|DeregisterCriticalServiceAfter|ConnectTimeout|RequestTimeout|IdleTimeout)$/.test(name)

/** As `encoding/json` names the kinds. */
const goKind = (value: Json): string =>
  Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : value === null ? "null" : typeof value

/** In the words of Go's parser, from those of the engine's. */
const syntaxError = (text: string, message: string): string => {
  if (/end of JSON input|Unterminated/.test(message)) return "unexpected EOF"
  const position = /position (\d+)/.exec(message)?.[1]
  const character = /Unexpected token '(.+?)',/su.exec(message)?.[1] ??
    text[position === undefined ? text.search(/\S/) : Number(position)]
  return character === undefined ? "unexpected EOF" : `invalid character '${character}' looking for beginning of value`
}
