/**
 * What several lines of one header can be, as far as some languages tell: in which of them the lines are when they are joined by
 * commas, and in which of them some line is. Line by line from the left: what one line can do to the joined value, then what
 * one more line can add.
 */
import * as Automaton from "./Automaton.ts"

export interface Combination {
  /** Two or more, in order, in bytes. As few as possible. */
  readonly lines: ReadonlyArray<string>
  /** By position of the language, whether the joined value is in it. */
  readonly joined: ReadonlyArray<boolean>
  /** By position of the language, whether some line is in it, or, for those that are asked so, whether some line is not. */
  readonly some: ReadonlyArray<boolean>
}

/** A line read after others: where it leads the joined value, and in which languages it is itself. */
interface Step {
  readonly joined: ReadonlyArray<number>
  readonly own: bigint
  readonly line: string
}

/**
 * Every combination that differs from the others. `undefined` when more than `limit` states would have to be looked at.
 * `bytes` are representatives: every other byte is treated as one of them by `domain` and all languages.
 */
export const combine = (
  domain: Automaton.Automaton,
  languages: ReadonlyArray<Automaton.Automaton>,
  bytes: ReadonlyArray<number>,
  asksForOutside: ReadonlyArray<boolean>,
  limit: number
): ReadonlyArray<Combination> | undefined => {
  const search = new Search(domain, languages, bytes, asksForOutside, limit)
  const combinations = new Map<string, Combination>()
  const seen = new Set<string>()
  let level: Array<readonly [joined: ReadonlyArray<number>, some: bigint, lines: ReadonlyArray<string>]> = [
    [languages.map(() => 0), 0n, []]
  ]
  while (level.length > 0) {
    const next: typeof level = []
    for (const [before, some, lines] of level) {
      const steps = search.stepsFrom(before)
      if (steps === undefined) return undefined
      for (const step of steps) {
        if (search.isSpent()) return undefined
        const all = some | step.own
        const read = [...lines, step.line]
        if (read.length > 1) {
          const joined = languages.map((language, i) => accepts(language, step.joined[i]!))
          const id = identify(joined, all)
          if (!combinations.has(id)) {
            combinations.set(id, { lines: read, joined, some: languages.map((_, i) => (all >> BigInt(i) & 1n) === 1n) })
          }
        }
        const more = advance(languages, step.joined, comma)
        const id = `${all} ${key(more)}`
        if (seen.has(id)) continue
        seen.add(id)
        next.push([more, all, read])
      }
    }
    level = next
  }
  return [...combinations.values()]
}

/** Reads one more line, byte by byte, from wherever the lines before it have led. */
class Search {
  private readonly domain: Automaton.Automaton
  private readonly languages: ReadonlyArray<Automaton.Automaton>
  private readonly bytes: ReadonlyArray<number>
  private readonly asksForOutside: ReadonlyArray<boolean>
  private readonly limit: number
  private readonly known = new Map<string, ReadonlyArray<Step>>()
  private looked = 0

  constructor(
    domain: Automaton.Automaton,
    languages: ReadonlyArray<Automaton.Automaton>,
    bytes: ReadonlyArray<number>,
    asksForOutside: ReadonlyArray<boolean>,
    limit: number
  ) {
    this.domain = domain
    this.languages = languages
    this.bytes = bytes
    this.asksForOutside = asksForOutside
    this.limit = limit
  }

  /** Counts one more state, and says whether that is one too many. */
  isSpent(): boolean {
    return ++this.looked > this.limit
  }

  /** Each effect that a line can have after others that have led to `joined`. `undefined`: too many states. */
  stepsFrom(joined: ReadonlyArray<number>): ReadonlyArray<Step> | undefined {
    const id = key(joined)
    const present = this.known.get(id)
    if (present !== undefined) return present
    const steps = this.search(joined)
    if (steps !== undefined) this.known.set(id, steps)
    return steps
  }

  private search(from: ReadonlyArray<number>): ReadonlyArray<Step> | undefined {
    const { bytes, domain, languages } = this
    const found = new Map<string, Step>()
    const start: ReadonlyArray<number> = [0, ...languages.map(() => 0)]
    const seen = new Set([key([...from, ...start])])
    let level: Array<readonly [joined: ReadonlyArray<number>, line: ReadonlyArray<number>, word: string]> = [
      [from, start, ""]
    ]
    while (level.length > 0) {
      const next: typeof level = []
      for (const [joined, line, word] of level) {
        if (domain.accepting[line[0]!] === 1) {
          const own = this.membership(line)
          const effect = `${own} ${key(joined)}`
          if (!found.has(effect)) found.set(effect, { joined, own, line: word })
        }
        for (const byte of bytes) {
          const inDomain = Automaton.step(domain, line[0]!, byte)
          if (inDomain === Automaton.dead) continue
          const nextJoined = advance(languages, joined, byte)
          const nextLine = [inDomain, ...languages.map((each, i) => Automaton.step(each, line[i + 1]!, byte))]
          const id = key([...nextJoined, ...nextLine])
          if (seen.has(id)) continue
          if (this.isSpent()) return undefined
          seen.add(id)
          next.push([nextJoined, nextLine, word + String.fromCharCode(byte)])
        }
      }
      level = next
    }
    return [...found.values()]
  }

  /** In which languages a line is, or is not where that is asked for. */
  private membership(line: ReadonlyArray<number>): bigint {
    return signature(
      this.languages.map((language, i) => accepts(language, line[i + 1]!) !== this.asksForOutside[i])
    )
  }
}

/** Combinations that languages do not tell apart have the same. */
export const identity = ({ joined, some }: Pick<Combination, "joined" | "some">): string =>
  identify(joined, signature(some))

const identify = (joined: ReadonlyArray<boolean>, some: bigint): string => `${signature(joined)} ${some}`

const comma = ",".charCodeAt(0)

const accepts = (language: Automaton.Automaton, state: number): boolean =>
  state !== Automaton.dead && language.accepting[state] === 1

const advance = (
  languages: ReadonlyArray<Automaton.Automaton>,
  states: ReadonlyArray<number>,
  byte: number
): ReadonlyArray<number> => states.map((state, i) => Automaton.step(languages[i]!, state, byte))

const key = (states: ReadonlyArray<number>): string => String.fromCharCode(...states.map((state) => state + 1))

const signature = (bits: ReadonlyArray<boolean>): bigint =>
  bits.reduce((all, bit, i) => bit ? all | (1n << BigInt(i)) : all, 0n)
