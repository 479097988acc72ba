/**
 * All requests, as far as some conditions can tell them apart: a dimension each for the method, the path, every header and
 * every token that a condition looks at, each divided into finitely many atoms. A request is one atom of each dimension.
 */
import { Result } from "effect"
import * as Bytes from "../../intention/Bytes.ts"
import type * as HttpCondition from "../../intention/HttpCondition.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import * as Intention from "../../intention/Intention.ts"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import * as RegularExpression from "../../intention/RegularExpression.ts"
import * as Truth from "../../intention/Truth.ts"
import * as Atoms from "../language/Atoms.ts"
import * as Automaton from "../language/Automaton.ts"
import type * as Dimension from "./Dimension.ts"
import * as Domains from "../language/Domains.ts"
import { memoize } from "../language/Memo.ts"
import * as Re2 from "../language/Re2.ts"
import { Refusal } from "./Refusal.ts"
import * as SeveralLines from "../language/SeveralLines.ts"
import * as TokenAtoms from "./TokenAtoms.ts"

/** What an analysis may cost before it gives up. */
export interface Budget {
  /** Of an automaton of one expression. */
  readonly states: number
  /** States of all automata of a dimension side by side. */
  readonly products: number
  /** Of a decision diagram. */
  readonly nodes: number
}

/** Well under a second for one intention. */
export const defaultBudget: Budget = { states: 5_000, products: 50_000, nodes: 100_000 }

export interface Settings {
  readonly normalization: PathNormalization.RequestNormalization
  readonly budget: Budget
  /**
   * Whether requests may have several lines of a header, or one of each. The lines joined are a line too, and whoever is let in
   * with several is let in with that one: so nothing more is ever allowed with several lines, and one is enough to ask what is.
   */
  readonly lines: "several" | "one"
}

/** What one condition says about each atom of a dimension. */
export interface Constraint {
  readonly level: number
  readonly verdicts: { readonly [R in HttpCondition.Reading]: ReadonlyArray<Truth.Truth> }
}

/** A conjunction of constraints, at most one for each dimension, in order of their levels. */
export interface Conjunction {
  readonly constraints: ReadonlyArray<Constraint>
  /** It also has a condition that cannot be judged. */
  readonly unknown: boolean
}

export interface Space {
  readonly dimensions: ReadonlyArray<Dimension.Dimension>
  /** Whether some atom stands for several lines of a header. */
  readonly several: boolean
  /** Of a condition that was given to `make`. */
  readonly conjunction: (http: Intention.HttpPermission | undefined) => Conjunction
  /** The level of the provider's tokens, if some requirement is about them. */
  readonly tokenLevel: (provider: string) => number | undefined
}

export interface Conditions {
  readonly http: ReadonlyArray<Intention.HttpPermission | undefined>
  readonly tokens: ReadonlyArray<Intention.JwtRequirement | undefined>
}

/** Fails with the reason why these conditions can not be analysed. */
export const make = (conditions: Conditions, settings: Settings): Result.Result<Space, string> => {
  const collector = new Collector(settings, conditions.http.some(looksAtQuery))
  const readings = new Map<Intention.HttpPermission | undefined, ReadonlyArray<Reading>>()
  try {
    for (const http of conditions.http) readings.set(http, collector.read(http))
    const textual = collector.divide()
    const tokens = TokenAtoms.make(conditions.tokens, settings.budget.products)
    const dimensions = [...textual.map((each) => each.dimension), ...tokens]
    const conjunctions = new Map<Intention.HttpPermission | undefined, Conjunction>()
    for (const [http, reading] of readings) conjunctions.set(http, conjoin(reading, textual))
    const levels = new Map(tokens.map((dimension, i) => [dimension.name, textual.length + i]))
    return Result.succeed({
      dimensions,
      several: dimensions.some(({ values }) => values.some(({ lines }) => lines !== undefined)),
      conjunction: (http) => conjunctions.get(http)!,
      tokenLevel: (provider) => levels.get(provider)
    })
  } catch (error) {
    if (error instanceof Refusal) return Result.fail(error.message)
    throw error
  }
}

/** The verdict on a value, from the languages that it is in. */
interface Reading {
  readonly dimension: string
  readonly judge: (value: string | undefined, within: Within) => Truth.Truth
  /** On several lines, one by one. */
  readonly judgeLines: (some: Within) => Truth.Truth
}

/** Whether the value is in a language; of several lines, whether some line is: or is no UTF-8, for the language of that. */
type Within = (language: string) => boolean

interface Divided {
  readonly id: string
  readonly dimension: Dimension.Dimension
  readonly within: ReadonlyArray<Within>
  /** Where the atom is several lines. */
  readonly some: ReadonlyArray<Within | undefined>
}

/** The judges of conditions on a value. */
type Judges = Omit<Reading, "dimension">

const looksAtQuery = (http: Intention.HttpPermission | undefined): boolean =>
  (http?.Header ?? []).some((matcher) => Bytes.foldCase(matcher.Name) === ":path")

const always = (verdict: Truth.Truth): Judges => ({ judge: () => verdict, judgeLines: () => verdict })

/** Whether it is in a language. */
const member = (key: string): Judges => ({
  judge: (_, within) => Truth.fromBoolean(within(key)),
  judgeLines: (some) => Truth.fromBoolean(some(key))
})

class Collector {
  readonly settings: Settings
  readonly withQuery: boolean
  /** By dimension, then by what identifies the language. */
  readonly languages = new Map<string, Map<string, Automaton.Automaton>>([["method", new Map()], ["path", new Map()]])

  constructor(settings: Settings, withQuery: boolean) {
    this.settings = settings
    this.withQuery = withQuery
  }

  /** Collects the languages of its conditions on the way. */
  read(http: Intention.HttpPermission | undefined): ReadonlyArray<Reading> {
    const readings: Array<Reading> = []
    const methods = http?.Methods
    if (methods !== undefined && methods.length > 0) {
      const key = this.add("method", `any of ${methods.toSorted().join()}`, () => Automaton.anyOf(methods))
      readings.push({ dimension: "method", ...member(key) })
    }
    const path = http && this.readPath(http)
    if (path !== undefined) readings.push(path)
    for (const matcher of http?.Header ?? []) readings.push(this.readHeader(matcher))
    for (const _ of http?.UnknownFields ?? []) readings.push(unknown)
    return readings.length === 0 ? [unknown] : readings
  }

  readPath(http: Intention.HttpPermission): Reading | undefined {
    const tail = this.withQuery
      ? (automaton: Automaton.Automaton) => Automaton.withTail(automaton, Domains.questionMark)
      : (automaton: Automaton.Automaton) => automaton
    const plain = (kind: "exact" | "prefix", text: string): Reading => {
      const bytes = Bytes.fromText(text)
      const key = this.add("path", `cut ${kind} ${bytes}`, () => tail(Automaton[kind](bytes)))
      return { dimension: "path", ...member(key) }
    }
    if (http.PathExact) return plain("exact", http.PathExact)
    if (http.PathPrefix) return plain("prefix", http.PathPrefix)
    return http.PathRegex
      ? { dimension: "path", ...this.expression("path", http.PathRegex, "cut ", tail) }
      : undefined
  }

  readHeader(matcher: Intention.HeaderMatcher): Reading {
    const name = Bytes.foldCase(matcher.Name)
    const kind = Intention.headerKind(matcher)
    if (name === "" || matcher.UnknownFields !== undefined || kind === undefined) return unknown
    const pseudo = pseudoHeaders.get(name)
    if (name.startsWith(":") && pseudo === undefined) return unknown
    const dimension = pseudo ?? `header ${name}`
    if (!this.languages.has(dimension)) this.languages.set(dimension, new Map())
    const invert = matcher.Invert === true
    if (kind === "Present") {
      return {
        dimension,
        judge: (value) => Truth.fromBoolean((value !== undefined) !== invert),
        judgeLines: () => Truth.fromBoolean(!invert)
      }
    }
    const { judge, judgeLines } = kind === "Regex"
      ? this.expression(dimension, matcher.Regex ?? "")
      : this.comparison(dimension, kind, matcher[kind] ?? "", matcher.IgnoreCase === true)
    const inverted = (verdict: Truth.Truth) => invert ? Truth.not(verdict) : verdict
    return {
      dimension,
      judge: (value, within) => value === undefined ? Truth.No : inverted(judge(value, within)),
      judgeLines: (some) => inverted(judgeLines(some))
    }
  }

  comparison(
    dimension: string,
    kind: "Exact" | "Prefix" | "Suffix" | "Contains",
    text: string,
    ignoreCase: boolean
  ): Judges {
    const bytes = ignoreCase ? Bytes.foldCase(Bytes.fromText(text)) : Bytes.fromText(text)
    const key = this.add(
      dimension,
      `${kind} ${ignoreCase} ${bytes}`,
      () => automata[kind](bytes, ignoreCase)
    )
    return member(key)
  }

  expression(
    dimension: string,
    expression: string,
    label = "",
    wrap = (automaton: Automaton.Automaton) => automaton
  ): Judges {
    // One that does not compile is no reason to give up: the Authorizer has an answer to it.
    if (Result.isFailure(RegularExpression.compile(expression))) return always(Truth.Unknown)
    const key = this.add(dimension, `${label}regex ${expression}`, () => {
      const compiled = Re2.compile(expression, this.settings.budget.states)
      if (Result.isSuccess(compiled)) return wrap(compiled.success)
      throw new Refusal(`the expression ${JSON.stringify(expression)} ${compiled.failure}`)
    })
    const utf8 = this.add(dimension, `${label}${encoded}`, () => wrap(Automaton.utf8))
    return {
      judge: (_, within) => within(utf8) ? Truth.fromBoolean(within(key)) : Truth.Unknown,
      judgeLines: (some) => some(key) ? Truth.Yes : some(utf8) ? Truth.Unknown : Truth.No
    }
  }

  add(dimension: string, key: string, make: () => Automaton.Automaton): string {
    const known = this.languages.get(dimension)!
    if (!known.has(key)) known.set(key, make())
    return key
  }

  divide(): ReadonlyArray<Divided> {
    return Array.from(this.languages, ([id, languages]) => this.divideOne(id, languages))
  }

  private divideOne(id: string, named: ReadonlyMap<string, Automaton.Automaton>): Divided {
    const kind = id === "method" || id === "path" ? id : "header"
    const name = kind === "header" ? id.slice("header ".length) : ""
    const domain = kind === "method"
      ? Domains.method
      : kind === "path"
      ? Domains.path(this.settings.normalization, this.withQuery)
      : Domains.headerValue
    const divided = this.atoms(kind, name, domain, named)
    const combinations = kind === "header" && this.settings.lines === "several" && mayRepeat(name)
      ? this.combinations(name, domain, named)
      : []
    const absent: ReadonlyArray<Dimension.Value> = kind === "header"
      ? [{ text: undefined, lines: undefined, claims: undefined, cost: 0 }]
      : []
    const keys = new Map([...named.keys()].map((key, i) => [key, i]))
    const asked = (bits: ReadonlyArray<boolean>) => (language: string) => bits[keys.get(language)!]!
    return {
      id,
      dimension: {
        kind,
        name,
        values: [
          ...absent,
          ...divided.atoms.map(({ word }) => ({
            text: word,
            lines: undefined,
            claims: undefined,
            cost: costs[kind](word)
          })),
          ...combinations.map(({ lines }) => ({
            text: lines.join(","),
            lines,
            claims: undefined,
            cost: lines.reduce((sum, line) => sum + costs[kind](line), 0)
          }))
        ],
        find: finder(kind, domain, named, divided, combinations)
      },
      within: [
        ...absent.map(() => () => false),
        ...divided.atoms.map((atom) => asked(atom.within)),
        ...combinations.map(({ joined }) => asked(joined))
      ],
      some: [
        ...absent.map(() => undefined),
        ...divided.atoms.map(() => undefined),
        ...combinations.map(({ some }) => asked(some))
      ]
    }
  }

  private atoms(
    kind: Dimension.Dimension["kind"],
    name: string,
    domain: Automaton.Automaton,
    named: ReadonlyMap<string, Automaton.Automaton>
  ): Atoms.Atoms {
    const limit = this.settings.budget.products
    const divided = divideOnce(
      JSON.stringify([
        kind,
        kind === "path" ? [this.settings.normalization, this.withQuery] : [],
        limit,
        ...named.keys()
      ]),
      () => Atoms.divide(domain, [...named.values()], limit, kind === "method" ? Domains.methods : [])
    )
    if (divided !== undefined) return divided
    throw new Refusal(
      `the conditions on the ${kind}${name && ` ${name}`} need more than ${limit} states to be told apart`
    )
  }

  private combinations(
    name: string,
    domain: Automaton.Automaton,
    named: ReadonlyMap<string, Automaton.Automaton>
  ): ReadonlyArray<SeveralLines.Combination> {
    const limit = this.settings.budget.products
    const languages = [...named.values()]
    const combinations = combineOnce(JSON.stringify([limit, ...named.keys()]), () =>
      SeveralLines.combine(
        domain,
        languages,
        Atoms.representatives([domain, ...languages]),
        asksForOutside(named),
        limit
      ))
    if (combinations !== undefined) return combinations
    throw new Refusal(`several lines of the header ${name} need more than ${limit} states to be told apart`)
  }
}

/** Of lines it is asked whether one is no UTF-8, of all other languages whether one is in it. */
const asksForOutside = (named: ReadonlyMap<string, Automaton.Automaton>): ReadonlyArray<boolean> =>
  [...named.keys()].map((key) => key === encoded)

/** Finds the position of a value: an absent header comes first, then the atoms, then the combinations of lines. */
const finder = (
  kind: Dimension.Dimension["kind"],
  domain: Automaton.Automaton,
  named: ReadonlyMap<string, Automaton.Automaton>,
  divided: Atoms.Atoms,
  combinations: ReadonlyArray<SeveralLines.Combination>
): Dimension.Dimension["find"] => {
  const absent = kind === "header" ? 1 : 0
  const languages = [...named.values()]
  const outside = asksForOutside(named)
  const positions = new Map(
    combinations.map((each, i) => [SeveralLines.identity(each), absent + divided.atoms.length + i])
  )
  return (text, lines) => {
    if (text === undefined) return kind === "header" ? 0 : undefined
    if (lines !== undefined) {
      if (!lines.every((line) => Automaton.accepts(domain, line))) return undefined
      return positions.get(SeveralLines.identity({
        joined: languages.map((language) => Automaton.accepts(language, text)),
        some: languages.map((language, i) => lines.some((line) => Automaton.accepts(language, line) !== outside[i]))
      }))
    }
    const atom = divided.find(text)
    return atom === undefined ? undefined : atom + absent
  }
}

/** The language of texts that are UTF-8. */
const encoded = "utf8"

/** Of some headers proxies take one line only. */
const mayRepeat = (name: string): boolean => !HttpRequest.isAmbiguous([name, "", name, ""], name)

const combineOnce = memoize<ReadonlyArray<SeveralLines.Combination> | undefined>(256)

/** The intentions of one mesh look at the same few things again and again. The languages' names say all about them. */
const divideOnce = memoize<Atoms.Atoms | undefined>(256)

const unknown: Reading = { dimension: "", ...always(Truth.Unknown) }

/** Envoy's names for the request line. */
const pseudoHeaders: ReadonlyMap<string, string> = new Map([
  [":method", "method"],
  [":path", "path"],
  [":authority", "header host"]
])

const automata = {
  Exact: Automaton.exact,
  Prefix: Automaton.prefix,
  Suffix: Automaton.suffix,
  Contains: Automaton.contains
}

/** Fewer parts first, then shorter ones. */
const costs = {
  method: (word: string) => word === "GET" ? 0 : Domains.methods.some((method) => method === word) ? 1 : 3,
  path: (word: string) => word.length,
  header: (word: string) => 10 + word.length
}

const conjoin = (readings: ReadonlyArray<Reading>, divided: ReadonlyArray<Divided>): Conjunction => {
  const constraints = divided.flatMap(({ dimension, id, some, within }, level): ReadonlyArray<Constraint> => {
    const own = readings.filter((reading) => reading.dimension === id)
    if (own.length === 0) return []
    const all = (judge: (reading: Reading) => Truth.Truth) =>
      own.reduce((verdict: Truth.Truth, reading) => Truth.all(verdict, judge(reading)), Truth.Yes)
    const joined = dimension.values.map(({ text }, atom) => all(({ judge }) => judge(text, within[atom]!)))
    const lines = joined.map((verdict, atom) => {
      const ofLines = some[atom]
      return ofLines === undefined ? verdict : all(({ judgeLines }) => judgeLines(ofLines))
    })
    return [{ level, verdicts: { joined, lines } }]
  })
  return { constraints, unknown: readings.includes(unknown) }
}
