/** The conditions of Envoy on texts and headers, as intentions and routes spell them. */
import type * as Fields from "./Fields.ts"

/** Exactly one kind. */
export interface TextMatch {
  readonly kind: "Exact" | "Prefix" | "Suffix" | "Contains" | "Regex"
  readonly text: string
  readonly ignoreCase: boolean
}

/** A `StringMatcher`. Undefined: it is not understood, which is noted. */
export const text = (fields: Fields.Fields): TextMatch | undefined => {
  const kind = fields.which("exact", "prefix", "suffix", "contains", "safe_regex")
  const ignoreCase = fields.flag("ignore_case")
  if (kind === undefined) {
    fields.flaw("it has no kind that is known")
    return undefined
  }
  return kind === "safe_regex"
    ? { kind: "Regex", text: regex(fields.one(kind)), ignoreCase: false }
    : { kind: kinds[kind], text: fields.text(kind), ignoreCase }
}

const kinds = { exact: "Exact", prefix: "Prefix", suffix: "Suffix", contains: "Contains" } as const

/** A `RegexMatcher`: RE2, of the whole text. */
export const regex = (fields: Fields.Fields | undefined): string => {
  fields?.skip("google_re2")
  return fields?.text("regex") ?? ""
}

export interface HeaderMatch {
  readonly name: string
  readonly match: TextMatch | "Present"
  readonly invert: boolean
}

/** A `HeaderMatcher`. Undefined: it is not understood, which is noted. */
export const header = (fields: Fields.Fields): HeaderMatch | undefined => {
  const name = fields.text("name")
  const invert = fields.flag("invert_match")
  if (fields.which("present_match") !== undefined) {
    return { name, match: "Present", invert: fields.flag("present_match") === invert }
  }
  const old = fields.which("exact_match", "prefix_match", "suffix_match", "contains_match")
  const match: TextMatch | undefined = old !== undefined
    ? { kind: olderKinds[old], text: fields.text(old), ignoreCase: false }
    : fields.which("safe_regex_match") !== undefined
    ? { kind: "Regex", text: regex(fields.one("safe_regex_match")), ignoreCase: false }
    : nested(fields)
  if (match === undefined || name === "") {
    fields.flaw(name === "" ? "it has no name" : "it has no kind that is known")
    return undefined
  }
  return { name, match, invert }
}

const nested = (fields: Fields.Fields): TextMatch | undefined => {
  const inner = fields.one("string_match")
  return inner === undefined ? undefined : text(inner)
}

const olderKinds = {
  exact_match: "Exact",
  prefix_match: "Prefix",
  suffix_match: "Suffix",
  contains_match: "Contains"
} as const

/** The methods of `GET|PUT`, as Consul writes them; undefined: it is another condition. */
export const methods = ({ invert, match, name }: HeaderMatch): ReadonlyArray<string> | undefined =>
  name === ":method" && !invert && match !== "Present" &&
    (match.kind === "Exact" || match.kind === "Regex") && /^[A-Za-z_-]+(\|[A-Za-z_-]+)*$/.test(match.text)
    ? match.text.split("|")
    : undefined
