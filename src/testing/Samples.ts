/** Texts that come close to what a policy says: its own words, their neighbours, and words of its expressions. */
import { Result } from "effect"
import * as Bytes from "../intention/Bytes.ts"
import type * as Intention from "../intention/Intention.ts"
import * as PathNormalization from "../intention/PathNormalization.ts"
import * as Automaton from "../policy/language/Automaton.ts"
import type * as Policy from "../policy/Policy.ts"
import * as Re2 from "../policy/language/Re2.ts"

export interface Samples {
  /** Simplest first, as all of these are: shrinking walks to the front. Texts hold one character for each byte. */
  readonly methods: ReadonlyArray<string>
  readonly paths: ReadonlyArray<string>
  readonly headers: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<string> }>
  readonly expressions: ReadonlyArray<string>
}

export const make = (policy: Policy.Policy): Samples => {
  const permissions = policy.intentions.flatMap((intention) => intention.Permissions ?? [])
  const http = permissions.flatMap((permission) => permission.HTTP ?? [])
  const paths = http.flatMap(({ PathExact, PathPrefix, PathRegex }) => [
    ...[PathExact, PathPrefix].flatMap((text) => text ? neighbours(Bytes.fromText(text), "/") : []),
    ...(PathRegex ? words(PathRegex).flatMap((word) => [word, `${word}a`, word.slice(0, -1)]) : [])
  ])
  const headers = new Map<string, Array<string>>()
  for (const matcher of http.flatMap((each) => each.Header ?? [])) {
    const name = Bytes.foldCase(matcher.Name)
    if (name === "" || name.startsWith(":") && name !== ":authority") continue
    const key = name === ":authority" ? "host" : name
    headers.set(key, [...headers.get(key) ?? ["", "a"], ...valuesOf(matcher)])
  }
  return {
    methods: simplestFirst(["GET", "POST", "DELETE", "HEAD", "FETCH", ...http.flatMap((each) => each.Methods ?? [])]),
    paths: simplestFirst(["/", "/a", ...paths].flatMap((path) => {
      const normalized = PathNormalization.normalize(path.replace(/[\0-\x20\x7f#]/g, ""), policy.normalization)
      return normalized._tag === "Rejected" ? [] : [normalized.path]
    })),
    headers: Array.from(headers, ([name, values]) => ({
      name,
      values: simplestFirst(values.map((value) => value.replace(/[\0-\x1f\x7f]/g, "").trim()))
    })).sort((a, b) => compare(a.name, b.name)),
    expressions: simplestFirst(http.flatMap((each) => [
      ...(each.PathRegex ? [each.PathRegex] : []),
      ...(each.Header ?? []).flatMap((matcher) => matcher.Regex ?? [])
    ]))
  }
}

const valuesOf = ({ Contains, Exact, Prefix, Regex, Suffix }: Intention.HeaderMatcher): ReadonlyArray<string> => [
  ...[Exact, Prefix, Suffix, Contains].flatMap((text) =>
    text ? neighbours(Bytes.fromText(text), ",").flatMap((near) => [near, `a${near}`]) : []
  ),
  ...(Regex ? words(Regex).flatMap((word) => [word, `${word}a`]) : [])
]

/** Itself, longer, shorter, and in other letters. */
const neighbours = (text: string, separator: string): ReadonlyArray<string> => [
  text,
  `${text}${separator}`,
  `${text}a`,
  `${text}${separator}a`,
  text.slice(0, -1),
  text.toUpperCase(),
  text.toLowerCase()
]

const maxWords = 40

/** Short words of the expression that, together, go through as much of it as so many words can. */
export const words = (expression: string): ReadonlyArray<string> => {
  const compiled = Re2.compile(expression, 2000)
  if (Result.isFailure(compiled)) return []
  const automaton = compiled.success
  const states = automaton.accepting.length
  const samples = new Map<number, number>()
  for (const byte of nice) if (!samples.has(automaton.columns[byte]!)) samples.set(automaton.columns[byte]!, byte)
  const edges: Array<readonly [from: number, byte: number, to: number]> = []
  for (let state = 0; state < states; state++) {
    for (const byte of samples.values()) {
      const to = Automaton.step(automaton, state, byte)
      if (to !== Automaton.dead) edges.push([state, byte, to])
    }
  }
  const starts = shortest(
    new Map([[0, ""]]),
    edges.map(([from, byte, to]) => [from, to, byte]),
    (word, byte) => word + byte
  )
  const ends = shortest(
    new Map(
      Array.from({ length: states }, (_, state) => state).filter((s) => automaton.accepting[s]).map((s) => [s, ""])
    ),
    edges.map(([from, byte, to]) => [to, from, byte]),
    (word, byte) => byte + word
  )
  const found = edges.flatMap(([from, byte, to]) => {
    const start = starts.get(from)
    const end = ends.get(to)
    return start === undefined || end === undefined ? [] : [start + String.fromCharCode(byte) + end]
  })
  return simplestFirst([...(automaton.accepting[0] === 1 ? [""] : []), ...found]).slice(0, maxWords)
}

const nice = [..."abcdefghijklmnopqrstuvwxyz0123456789/-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ"].map((c) => c.charCodeAt(0))
  .concat(
    Array.from({ length: 223 }, (_, i) => i + 33)
  )

/** Breadth first, from all of these at once. */
const shortest = (
  from: ReadonlyMap<number, string>,
  edges: ReadonlyArray<readonly [from: number, to: number, byte: number]>,
  extend: (word: string, byte: string) => string
): ReadonlyMap<number, string> => {
  const found = new Map(from)
  const leaving = Map.groupBy(edges, ([from]) => from)
  for (const [state, word] of found) {
    for (const [, to, byte] of leaving.get(state) ?? []) {
      if (!found.has(to)) found.set(to, extend(word, String.fromCharCode(byte)))
    }
  }
  return found
}

export const compare = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)

export const simplestFirst = (texts: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(texts)].sort(compare)
