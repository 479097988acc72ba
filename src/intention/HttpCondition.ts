/**
 * The `HTTP` part of a permission, compiled to a function of the request. All of its conditions must hold.
 * The byte-level rules are Envoy's (`agent/xds/rbac.go` says which of its matchers Consul uses).
 */
import { Result } from "effect"
import * as Bytes from "./Bytes.ts"
import type * as HttpRequest from "./HttpRequest.ts"
import * as Intention from "./Intention.ts"
import * as RegularExpression from "./RegularExpression.ts"
import * as Truth from "./Truth.ts"

/**
 * How several lines of one header are read: as one value, joined by commas, or one by one. Line by line, a matcher is fulfilled
 * where any line does, and an inverted one where none does. Older Envoys join, newer ones do not.
 */
export type Reading = "joined" | "lines"

export type Condition = (request: HttpRequest.HttpRequest, reading: Reading) => Truth.Truth

/** Called with the fault of each condition that cannot be evaluated. */
export type Report = (flaw: string) => void

export const compile = (http: Intention.HttpPermission | undefined, report: Report): Condition => {
  const conditions: Array<Condition> = []
  const unknown = (flaw: string) => {
    report(flaw)
    conditions.push(() => Truth.Unknown)
  }
  const methods = http?.Methods
  if (methods !== undefined && methods.length > 0) {
    const allowed = new Set(methods)
    conditions.push((request) => Truth.fromBoolean(allowed.has(request.method)))
  }
  const path = http && compilePath(http, report)
  if (path !== undefined) conditions.push((request) => path(withoutQuery(request.path)))
  for (const matcher of http?.Header ?? []) conditions.push(compileHeader(matcher, report))

  for (const field of http?.UnknownFields ?? []) unknown(`the condition ${field} is not known`)
  // A permission without conditions would match every request, which is hardly intended: Consul refuses to store it.
  if (conditions.length === 0) unknown("it has no condition")
  return all(conditions)
}

/** The headers that it looks at, in lower case. Only requests that have several lines of one can be read in two ways. */
export const headers = (http: Intention.HttpPermission | undefined): ReadonlyArray<string> =>
  (http?.Header ?? []).flatMap((matcher) => {
    const name = Bytes.foldCase(matcher.Name)
    return name === ":authority" ? ["host"] : name.startsWith(":") ? [] : [name]
  })

const all = (conditions: ReadonlyArray<Condition>): Condition => (request, reading) => {
  let verdict: Truth.Truth = Truth.Yes
  for (let i = 0; i < conditions.length; i++) {
    const next = conditions[i]!(request, reading)
    if (next === Truth.No) return Truth.No
    if (next === Truth.Unknown) verdict = Truth.Unknown
  }
  return verdict
}

/** Path conditions never see the query. */
const withoutQuery = (target: string): string => {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code === questionMark || code === hash) return target.slice(0, i)
  }
  return target
}

const questionMark = 63
const hash = 35

/** Compares one value, in bytes. */
type Compare = (value: string) => Truth.Truth

/** At most one of the three is set; of several the first counts. A prefix knows no segments: `/v1` covers `/v10`. */
const compilePath = (http: Intention.HttpPermission, report: Report): Compare | undefined => {
  if (http.PathExact) return exact(Bytes.fromText(http.PathExact))
  if (http.PathPrefix) return prefix(Bytes.fromText(http.PathPrefix))
  if (http.PathRegex) return regex("PathRegex", http.PathRegex, report)
  return undefined
}

/**
 * An absent header fails every comparison, the inverted ones too: only an inverted `Present` is fulfilled by it.
 */
const compileHeader = (matcher: Intention.HeaderMatcher, report: Report): Condition => {
  const name = Bytes.foldCase(matcher.Name)
  const shown = matcher.Name === "" ? "the header matcher" : `the matcher of header ${matcher.Name}`
  const unknown = (flaw: string): Condition => {
    report(`${shown} ${flaw}`)
    return () => Truth.Unknown
  }
  const invert = matcher.Invert === true
  const kind = Intention.headerKind(matcher)
  if (matcher.Name === "") return unknown("has no name")
  if (matcher.UnknownFields !== undefined) return unknown(`has the unknown field ${matcher.UnknownFields.join(", ")}`)
  if (kind === undefined) return unknown("has no kind that is known")
  const valueOf = readHeader(name)
  if (valueOf === undefined) return unknown("is about a pseudo-header that is not known")
  if (kind === "Present") return (request) => Truth.fromBoolean((valueOf(request) !== undefined) !== invert)

  const compare = compareValue(
    kind,
    matcher[kind] ?? "",
    matcher.IgnoreCase === true,
    (flaw) => report(`${shown}: ${flaw}`)
  )
  const [header] = headers({ Header: [matcher] })
  return (request, reading) => {
    const lines = reading === "lines" && header !== undefined ? request.lines(header) : undefined
    if (lines !== undefined) {
      let verdict: Truth.Truth = Truth.No
      for (const line of lines) verdict = Truth.some(verdict, compare(line))
      return invert ? Truth.not(verdict) : verdict
    }
    const value = valueOf(request)
    if (value === undefined) return Truth.No
    const verdict = compare(value)
    return invert ? Truth.not(verdict) : verdict
  }
}

/** Envoy's matchers also see the request line, under the names of HTTP/2. */
const readHeader = (name: string): ((request: HttpRequest.HttpRequest) => string | undefined) | undefined => {
  switch (name) {
    case ":method":
      return (request) => request.method
    case ":path":
      return (request) => request.path
    case ":authority":
      return (request) => request.header("host")
    default:
      return name.startsWith(":") ? undefined : (request) => request.header(name)
  }
}

const compareValue = (
  kind: Exclude<Intention.HeaderKind, "Present">,
  text: string,
  ignoreCase: boolean,
  report: Report
): Compare => {
  if (kind === "Regex") return regex(kind, text, report)
  const wanted = Bytes.fromText(text)
  const compare = comparisons[kind](ignoreCase ? Bytes.foldCase(wanted) : wanted)
  return ignoreCase ? (value) => compare(Bytes.foldCase(value)) : compare
}

const exact = (wanted: string): Compare => (value) => Truth.fromBoolean(value === wanted)
const prefix = (wanted: string): Compare => (value) => Truth.fromBoolean(value.startsWith(wanted))
const suffix = (wanted: string): Compare => (value) => Truth.fromBoolean(value.endsWith(wanted))
const contains = (wanted: string): Compare => (value) => Truth.fromBoolean(value.includes(wanted))
const comparisons = { Exact: exact, Prefix: prefix, Suffix: suffix, Contains: contains }

const regex = (field: string, expression: string, report: Report): Compare => {
  const compiled = RegularExpression.compile(expression)
  if (Result.isSuccess(compiled)) return compiled.success
  report(`${field} ${JSON.stringify(expression)} is no RE2 expression (${compiled.failure})`)
  return () => Truth.Unknown
}
