/**
 * Applies filter expressions to documents. An expression is checked against the schema of the documents first: an unknown
 * field is an error even where no document would reach it. Values are those of the schema's type, in the spelling of the wire.
 */
import { Result, type Schema, SchemaAST } from "effect"
import { RE2JS } from "re2js"
import * as Bexpr from "./Bexpr.ts"

/** Keeps the documents for which the filter is true; no filter keeps all. */
export const compile = (
  filter: string | undefined,
  schema: Schema.Constraint
): Result.Result<(document: unknown) => boolean, Bexpr.BexprError> => {
  if (filter === undefined || filter === "") return Result.succeed(() => true)
  return Result.flatMap(Bexpr.parse(filter), (expression) => test(expression, SchemaAST.toType(schema.ast)))
}

/** With the prefix that Consul's endpoints put before every error. */
export const describe = (error: Bexpr.BexprError): string =>
  `Failed to create boolean expression evaluator: ${error.detail}`

type Predicate = (document: unknown) => boolean

const test = (expression: Bexpr.Expression, ast: SchemaAST.AST): Result.Result<Predicate, Bexpr.BexprError> => {
  switch (expression._tag) {
    case "And":
    case "Or":
      return Result.gen(function*() {
        const left = yield* test(expression.left, ast)
        const right = yield* test(expression.right, ast)
        return expression._tag === "And"
          ? (document) => left(document) && right(document)
          : (document) => left(document) || right(document)
      })
    case "Not":
      return Result.map(test(expression.operand, ast), (operand) => (document) => !operand(document))
    case "Match":
      return Result.gen(function*() {
        const type = yield* resolve(expression.selector, ast)
        const matches = yield* comparison(expression, type)
        return (document) => select(document, expression.selector, 0, matches)
      })
  }
}

const fail = (detail: string) => Result.fail(new Bexpr.BexprError({ detail }))

/** The type that a selector leads to. Lists are looked into: a condition holds if it does for any element. */
const resolve = (
  selector: ReadonlyArray<string>,
  ast: SchemaAST.AST
): Result.Result<SchemaAST.AST, Bexpr.BexprError> => {
  let current = ast
  for (const part of selector) {
    if (SchemaAST.isArrays(current)) current = current.rest[0] ?? current
    const next = SchemaAST.isObjects(current)
      ? current.propertySignatures.find((field) => field.name === part)?.type ?? current.indexSignatures[0]?.type
      : SchemaAST.isDeclaration(current)
      ? current
      : undefined
    if (next === undefined) return fail(`Selector "${Bexpr.formatSelector(selector)}" is not valid`)
    current = next
  }
  return Result.succeed(current)
}

const operatorNames: Record<Bexpr.Operator, string> = {
  "==": "Equal",
  "!=": "Not Equal",
  in: "In",
  "not in": "Not In",
  contains: "In",
  "not contains": "Not In",
  "is empty": "Is Empty",
  "is not empty": "Is Not Empty",
  matches: "Matches",
  "not matches": "Not Matches"
}

const allowed: Record<string, ReadonlyArray<Bexpr.Operator>> = {
  String: [
    "==",
    "!=",
    "in",
    "not in",
    "contains",
    "not contains",
    "is empty",
    "is not empty",
    "matches",
    "not matches"
  ],
  Number: ["==", "!="],
  Boolean: ["==", "!="],
  Arrays: ["in", "not in", "contains", "not contains", "is empty", "is not empty"],
  Map: ["in", "not in", "contains", "not contains", "is empty", "is not empty"],
  StructList: ["is empty", "is not empty"]
}

const kindOf = (ast: SchemaAST.AST): string =>
  SchemaAST.isArrays(ast)
    ? (ast.rest[0] !== undefined && SchemaAST.isObjects(ast.rest[0]) ? "StructList" : "Arrays")
    : SchemaAST.isObjects(ast)
    ? (ast.indexSignatures.length > 0 ? "Map" : "Struct")
    : ast._tag === "Number" || ast._tag === "Boolean"
    ? ast._tag
    : "String"

/** Undefined stands for a key that a map does not have. */
const comparison = (
  { operator, selector, value }: Bexpr.Expression & { readonly _tag: "Match" },
  type: SchemaAST.AST
): Result.Result<Predicate, Bexpr.BexprError> => {
  const kind = kindOf(type)
  if (allowed[kind]?.includes(operator) !== true) {
    return fail(`Invalid match operator "${operatorNames[operator]}" for selector "${Bexpr.formatSelector(selector)}"`)
  }
  const coerced = coerce(kind, value, selector, operator)
  if (Result.isFailure(coerced)) return Result.fail(coerced.failure)
  const wanted = coerced.success
  const positive = Result.map(matcher(operator, value), (matches): Predicate => {
    switch (operator) {
      case "==":
      case "!=":
        return (actual) => actual === wanted
      case "in":
      case "not in":
      case "contains":
      case "not contains":
        return (actual) =>
          typeof actual === "string" || Array.isArray(actual)
            ? actual.includes(value)
            : typeof actual === "object" && actual !== null && Object.hasOwn(actual, value)
      case "is empty":
      case "is not empty":
        return (actual) =>
          actual === undefined || actual === null || actual === "" ||
          (typeof actual === "object" && Object.keys(actual).length === 0)
      default:
        return (actual) => typeof actual === "string" && matches(actual)
    }
  })
  const negated = operator === "!=" || operator.includes("not")
  return negated ? Result.map(positive, (matches) => (actual) => !matches(actual)) : positive
}

/** RE2, as Go's: linear time whatever the expression. Finds a match anywhere. */
const matcher = (
  operator: Bexpr.Operator,
  value: string
): Result.Result<(text: string) => boolean, Bexpr.BexprError> => {
  if (operator !== "matches" && operator !== "not matches") return Result.succeed(() => false)
  return Result.try({
    try: () => {
      const pattern = RE2JS.compile(value)
      return (text: string) => pattern.matcher(text).find()
    },
    catch: (error) =>
      new Bexpr.BexprError({
        detail: `Failed to compile regular expression "${value}": ${
          error instanceof Error ? error.message : String(error)
        }`
      })
  })
}

const coerce = (
  kind: string,
  value: string,
  selector: ReadonlyArray<string>,
  operator: Bexpr.Operator
): Result.Result<string | number | boolean, Bexpr.BexprError> => {
  const invalid = (parser: string) =>
    fail(
      `Failed to coerce value "${value}" for selector "${Bexpr.formatSelector(selector)}": strconv.${parser}: ` +
        `parsing "${value}": invalid syntax`
    )
  if (operator !== "==" && operator !== "!=") return Result.succeed(value)
  if (kind === "Number") return /^-?\d+(\.\d+)?$/.test(value) ? Result.succeed(Number(value)) : invalid("ParseInt")
  if (kind !== "Boolean") return Result.succeed(value)
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return Result.succeed(true)
  return /^(0|f|F|FALSE|false|False)$/.test(value) ? Result.succeed(false) : invalid("ParseBool")
}

const select = (value: unknown, selector: ReadonlyArray<string>, from: number, matches: Predicate): boolean => {
  const part = selector[from]
  if (part === undefined) return matches(value)
  if (Array.isArray(value)) return value.some((element) => select(element, selector, from, matches))
  return typeof value === "object" && value !== null && Object.hasOwn(value, part)
    ? select(value[part as keyof typeof value], selector, from + 1, matches)
    : matches(undefined)
}
