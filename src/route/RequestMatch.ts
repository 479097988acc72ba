/**
 * The conditions of one route of a service-router, all of which must hold. As Envoy judges them for Consul:
 *
 * - A path is compared without its query; a prefix need not end at a slash; an expression (RE2) describes the whole path.
 * - Of a header with several lines one line that matches is enough, and spoils the inverted condition. An inverted condition on
 *   a value asks for the header: only an inverted `Present` holds where it is absent.
 * - Of a query parameter the first one counts, as it was sent: nothing is decoded.
 */
import { Result } from "effect"
import type { HttpMatch } from "../consul/config/ServiceRouter.ts"
import * as Bytes from "../intention/Bytes.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as RegularExpression from "../intention/RegularExpression.ts"
import * as Truth from "../intention/Truth.ts"
import * as RequestField from "./RequestField.ts"
import * as RequestPath from "./RequestPath.ts"

export interface Condition {
  /** For people: `path starts with /v2`. */
  readonly says: string
  readonly holds: (request: HttpRequest.HttpRequest) => boolean
  /** What it looks at, with a value for which it holds, or, inverted, does not. Undefined: expressions have none to show. */
  readonly sample: Sample | undefined
}

/** Texts hold one character for each byte. */
export type Sample =
  | { readonly of: "path" | "method"; readonly value: string }
  | { readonly of: "header" | "parameter"; readonly name: string; readonly value: string }

/** Without a path, every path is meant. Fails with what is wrong with an expression. */
export const compile = (match: HttpMatch | undefined): Result.Result<ReadonlyArray<Condition>, string> =>
  match === undefined ? Result.succeed([anyPath]) : Result.gen(function*() {
    const conditions = [yield* onPath(match)]
    if (match.Methods.length > 0) conditions.push(onMethod(match.Methods.map((method) => method.toUpperCase())))
    for (const header of match.Header) conditions.push(yield* onHeader(header))
    for (const parameter of match.QueryParam) conditions.push(yield* onParameter(parameter))
    return conditions
  })

/** The first condition that does not hold. */
export const unmet = (
  conditions: ReadonlyArray<Condition>,
  request: HttpRequest.HttpRequest
): Condition | undefined => {
  for (const condition of conditions) if (!condition.holds(request)) return condition
  return undefined
}

/** `OPTIONS *` asks for none. */
const anyPath: Condition = {
  says: "any path",
  holds: ({ path }) => path.startsWith("/"),
  sample: { of: "path", value: "/" }
}

const onPath = (
  { CaseInsensitive, PathExact, PathPrefix, PathRegex }: HttpMatch
): Result.Result<Condition, string> => {
  const fold = CaseInsensitive ? lowerCase : asItIs
  const note = CaseInsensitive ? ", whatever its case" : ""
  if (PathExact !== "") {
    const exact = fold(Bytes.fromText(PathExact))
    const holds: Condition["holds"] = ({ path }) => fold(RequestPath.withoutQuery(path)) === exact
    return Result.succeed({ says: `path is ${PathExact}${note}`, holds, sample: pathOf(PathExact) })
  }
  if (PathPrefix !== "") {
    const prefix = fold(Bytes.fromText(PathPrefix))
    const holds: Condition["holds"] = ({ path }) => fold(RequestPath.withoutQuery(path)).startsWith(prefix)
    return Result.succeed({ says: `path starts with ${PathPrefix}${note}`, holds, sample: pathOf(PathPrefix) })
  }
  if (PathRegex === "") return Result.succeed(anyPath)
  return Result.map(expression(PathRegex), (matches) => ({
    says: `path matches ${PathRegex}`,
    holds: ({ path }) => matches(RequestPath.withoutQuery(path)),
    sample: undefined
  }))
}

const pathOf = (text: string): Sample => ({ of: "path", value: Bytes.fromText(text) })

const onMethod = (methods: ReadonlyArray<string>): Condition => ({
  says: `method is ${methods.join(" or ")}`,
  holds: ({ method }) => methods.includes(method),
  sample: { of: "method", value: methods[0]! }
})

const onHeader = (
  { Exact, Invert, Name, Prefix, Present, Regex, Suffix }: HttpMatch["Header"][number]
): Result.Result<Condition, string> => {
  const name = Name.toLowerCase()
  const value = (says: string, one: (line: string) => boolean, sample?: string): Condition => ({
    says: `header ${Name} ${Invert ? "is there and never " : ""}${says}`,
    sample: sample === undefined || name.startsWith(":") ? undefined : { of: "header", name, value: sample },
    holds: (request) => {
      const lines = linesOf(request, name)
      return lines.length > 0 && lines.some(one) !== Invert
    }
  })
  const exact = Bytes.fromText(Exact)
  const prefix = Bytes.fromText(Prefix)
  const suffix = Bytes.fromText(Suffix)
  if (exact !== "") return Result.succeed(value(`is ${Exact}`, (line) => line === exact, exact))
  if (prefix !== "") return Result.succeed(value(`starts with ${Prefix}`, (line) => line.startsWith(prefix), prefix))
  if (suffix !== "") return Result.succeed(value(`ends with ${Suffix}`, (line) => line.endsWith(suffix), suffix))
  if (Regex !== "") return Result.map(expression(Regex), (matches) => value(`matches ${Regex}`, matches))
  return Present
    ? Result.succeed({
      says: `header ${Name} is ${Invert ? "absent" : "present"}`,
      holds: (request) => (RequestField.read(request, name) !== undefined) !== Invert,
      sample: name.startsWith(":") ? undefined : { of: "header", name, value: "1" }
    })
    : Result.fail(`a condition on the header ${Name} says nothing about it`)
}

const onParameter = (
  { Exact, Name, Present, Regex }: HttpMatch["QueryParam"][number]
): Result.Result<Condition, string> => {
  const name = Bytes.fromText(Name)
  const exact = Bytes.fromText(Exact)
  const value = (says: string, one: (value: string) => boolean, sample?: string): Condition => ({
    says: `query parameter ${Name} ${says}`,
    sample: sample === undefined ? undefined : { of: "parameter", name, value: sample },
    holds: ({ path }) => {
      const found = RequestPath.parameter(path, name)
      return found !== undefined && one(found)
    }
  })
  if (Exact !== "") return Result.succeed(value(`is ${Exact}`, (found) => found === exact, exact))
  if (Regex !== "") return Result.map(expression(Regex), (matches) => value(`matches ${Regex}`, matches))
  return Present
    ? Result.succeed(value("is present", () => true, "1"))
    : Result.fail(`a condition on the query parameter ${Name} says nothing about it`)
}

/** What is no UTF-8 matches nothing: RE2 reads code points. */
const expression = (text: string): Result.Result<(bytes: string) => boolean, string> =>
  Result.mapBoth(RegularExpression.compile(text), {
    onFailure: (why) => `the expression ${text} can not be used: ${why}`,
    onSuccess: (match) => (bytes: string) => match(bytes) === Truth.Yes
  })

/**
 * In order; none where it is absent. `name` is in lower case, and may be one of the request line, as HTTP/2 calls its parts:
 * `:authority`, `:method`, `:path` with its query.
 */
export const linesOf = (request: HttpRequest.HttpRequest, name: string): ReadonlyArray<string> => {
  const several = request.lines(name)
  if (several !== undefined) return several
  const one = RequestField.read(request, name)
  return one === undefined ? none : [one]
}

const none: ReadonlyArray<string> = []

const lowerCase = (text: string): string => text.toLowerCase()
const asItIs = (text: string): string => text
