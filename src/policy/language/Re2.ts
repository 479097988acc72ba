/**
 * RE2 expressions as automata over bytes. Nothing is parsed here: re2js compiles the expression, as it does for the
 * `Authorizer`, and its program (one instruction for each set of characters, branch or assertion) is read as a
 * nondeterministic automaton. So both read the same expression alike. An instruction that is not known is refused.
 *
 * A state is an instruction and what was read before it, because `^`, `$`, `\b` and their kin look at both neighbours. A set of
 * characters becomes one step for each byte of their UTF-8.
 */
import { Result } from "effect"
import { RE2JS } from "re2js"
import * as Refa from "refa"
import * as Automaton from "./Automaton.ts"
import { memoize } from "./Memo.ts"

/** Fails with a reason that reads on from "the expression …". Texts that are no UTF-8 are not in the language. */
export const compile = (expression: string, limit: number): Result.Result<Automaton.Automaton, string> =>
  compileOnce(JSON.stringify([expression, limit]), () =>
    Result.try({
      try: () => {
        const program = readProgram(RE2JS.compile(expression).re2Input.prog)
        try {
          return Automaton.determinize(iterate(program), limit)
        } catch (cause) {
          if (cause instanceof Refa.TooManyNodesError) {
            throw new Error(`needs an automaton of more than ${limit} states`, { cause })
          }
          throw cause
        }
      },
      catch: (error) => error instanceof Error ? error.message : String(error)
    }))

/** Policies repeat themselves, and so do analyses. */
const compileOnce = memoize<Result.Result<Automaton.Automaton, string>>(256)

type Instruction =
  | { readonly _tag: "Branch"; readonly to: ReadonlyArray<number> }
  | { readonly _tag: "Assert"; readonly conditions: number; readonly to: number }
  | { readonly _tag: "Read"; readonly sequences: ReadonlyArray<ReadonlyArray<Refa.CharSet>>; readonly to: number }
  | { readonly _tag: "Fail" }
  | { readonly _tag: "Match" }

interface Program {
  readonly start: number
  readonly instructions: ReadonlyArray<Instruction>
}

/** `Inst` of re2js. */
const readProgram = (program: unknown): Program => {
  const { inst, numLb, start } = program as { readonly inst: unknown; readonly start: unknown; readonly numLb: unknown }
  if (!Array.isArray(inst) || typeof start !== "number") throw new Error("was compiled to a form that is not known")
  if (numLb !== undefined && numLb !== 0) throw new Error("looks behind, which can not be translated")
  return { start, instructions: inst.map(readInstruction) }
}

interface Raw {
  readonly op: number
  readonly out: number
  readonly arg: number
  readonly runes: Int32Array
  readonly matchRune: (rune: number) => boolean
}

const readInstruction = (raw: Raw): Instruction => {
  switch (raw.op) {
    case 1:
    case 2:
      return { _tag: "Branch", to: [raw.out, raw.arg] }
    case 3:
    case 7:
      return { _tag: "Branch", to: [raw.out] }
    case 4:
      return { _tag: "Assert", conditions: raw.arg, to: raw.out }
    case 5:
      return { _tag: "Fail" }
    case 6:
      return { _tag: "Match" }
    case 8:
    case 9:
    case 10:
    case 11:
      return { _tag: "Read", sequences: rangesOf(raw).flatMap(([min, max]) => utf8Sequences(min, max)), to: raw.out }
    default:
      throw new Error(`has an instruction that is not known (${raw.op})`)
  }
}

type Range = readonly [min: number, max: number]

const rangesOf = (raw: Raw): ReadonlyArray<Range> => {
  if (raw.op === 10) return [[0, 0x10ffff]]
  if (raw.op === 11) return [[0, 9], [11, 0x10ffff]]
  const { runes } = raw
  if (runes.length === 1) {
    const rune = runes[0]!
    const folds = (raw.arg & foldCase) === 0 ? [] : casedCharacters().filter((c) => c !== rune && raw.matchRune(c))
    return [rune, ...folds].map((c) => [c, c])
  }
  if (runes.length % 2 !== 0) throw new Error("has a set of characters that can not be read")
  return Array.from({ length: runes.length / 2 }, (_, i) => [runes[2 * i]!, runes[2 * i + 1]!])
}

/** `RE2Flags.FOLD_CASE` */
const foldCase = 1

let cased: ReadonlyArray<number> | undefined
/** The characters that have another letter case: found once, because there are many to look at. */
const casedCharacters = (): ReadonlyArray<number> => {
  if (cased !== undefined) return cased
  const found: Array<number> = []
  for (let c = 0; c <= 0x1ffff; c++) {
    if (c >= 0xd800 && c <= 0xdfff) continue
    const text = String.fromCodePoint(c)
    if (text.toLowerCase() !== text || text.toUpperCase() !== text) found.push(c)
  }
  return (cased = found)
}

const bytes = (min: number, max: number): Refa.CharSet =>
  Refa.CharSet.fromRange(255 as Refa.Char, { min: min as Refa.Char, max: max as Refa.Char })

/** The UTF-8 of a range of characters, as sequences of byte ranges. Surrogates have none. */
const utf8Sequences = (min: number, max: number): ReadonlyArray<ReadonlyArray<Refa.CharSet>> => {
  for (const limit of [0x7f, 0x7ff, 0xd7ff, 0xffff]) {
    if (min <= limit && max > limit) return [...utf8Sequences(min, limit), ...utf8Sequences(limit + 1, max)]
  }
  if (min > max || (min >= 0xd800 && max <= 0xdfff)) return []
  if (min <= 0xdfff && min >= 0xd800) return utf8Sequences(0xe000, max)
  if (max <= 0x7f) return [[bytes(min, max)]]
  // All but the last byte must agree, or the last bytes be all that there are.
  for (const bits of [6, 12, 18]) {
    const mask = (1 << bits) - 1
    if (max >= 1 << bits && (min & ~mask) !== (max & ~mask)) {
      if ((min & mask) !== 0) return [...utf8Sequences(min, min | mask), ...utf8Sequences((min | mask) + 1, max)]
      if ((max & mask) !== mask) return [...utf8Sequences(min, (max & ~mask) - 1), ...utf8Sequences(max & ~mask, max)]
    }
  }
  const low = encode(min)
  const high = encode(max)
  return [low.map((byte, i) => bytes(byte, high[i]!))]
}

const encode = (
  character: number
): ReadonlyArray<number> => [...new TextEncoder().encode(String.fromCodePoint(character))]

/** What stands before a position. */
type Before = "start" | "newline" | "word" | "other"

/** At an instruction; or within a character, with the steps that are left of it. */
interface State {
  readonly at: number
  readonly before: Before
  readonly rest: ReadonlyArray<Refa.CharSet>
}

const classes: ReadonlyArray<readonly [Before, Refa.CharSet]> = (() => {
  const all = Refa.CharSet.all(255 as Refa.Char)
  const newline = bytes(10, 10)
  const word = [bytes(48, 57), bytes(65, 90), bytes(95, 95), bytes(97, 122)].reduce((a, b) => a.union(b))
  return [["newline", newline], ["word", word], ["other", all.without(newline).without(word)]] as const
})()

/** The assertions of RE2 (`EMPTY_BEGIN_LINE` and so on) that hold between two neighbours. */
const holding = (before: Before, after: Before | "end"): number =>
  (before === "start" || before === "newline" ? 1 : 0) |
  (after === "end" || after === "newline" ? 2 : 0) |
  (before === "start" ? 4 : 0) |
  (after === "end" ? 8 : 0) |
  ((before === "word") !== (after === "word") ? 16 : 32)

const iterate = ({ instructions, start }: Program): Refa.TransitionIterator<State> => {
  const states = new Map<string, State>()
  const ids = new Map<ReadonlyArray<Refa.CharSet>, number>()
  const idOf = (rest: ReadonlyArray<Refa.CharSet>): number => {
    const id = ids.get(rest) ?? ids.size
    ids.set(rest, id)
    return id
  }
  const none: ReadonlyArray<Refa.CharSet> = []
  const tails = new Map<ReadonlyArray<Refa.CharSet>, ReadonlyArray<Refa.CharSet>>()
  const tailOf = (sequence: ReadonlyArray<Refa.CharSet>): ReadonlyArray<Refa.CharSet> => {
    if (sequence.length === 1) return none
    const tail = tails.get(sequence) ?? sequence.slice(1)
    tails.set(sequence, tail)
    return tail
  }
  const state = (at: number, before: Before, rest: ReadonlyArray<Refa.CharSet>): State => {
    const key = `${at} ${before} ${idOf(rest)}`
    const known = states.get(key)
    if (known !== undefined) return known
    const made = { at, before, rest }
    states.set(key, made)
    return made
  }
  /** Where one can be without reading, when these assertions hold. */
  const closure = (at: number, holds: number): ReadonlySet<number> => {
    const seen = new Set([at])
    for (const each of seen) {
      const instruction = instructions[each]!
      if (instruction._tag === "Branch") instruction.to.forEach((to) => seen.add(to))
      if (instruction._tag === "Assert" && (instruction.conditions & ~holds) === 0) seen.add(instruction.to)
    }
    return seen
  }
  const out = ({ at, before, rest }: State): ReadonlyMap<State, Refa.CharSet> => {
    const transitions = new Map<State, Refa.CharSet>()
    const link = (to: State, on: Refa.CharSet) => {
      if (!on.isEmpty) transitions.set(to, transitions.get(to)?.union(on) ?? on)
    }
    if (rest.length > 0) {
      link(state(at, "other", tailOf(rest)), rest[0]!)
      return transitions
    }
    for (const [after, set] of classes) {
      for (const each of closure(at, holding(before, after))) {
        const instruction = instructions[each]!
        if (instruction._tag !== "Read") continue
        for (const sequence of instruction.sequences) {
          link(state(instruction.to, after, tailOf(sequence)), sequence[0]!.intersect(set))
        }
      }
    }
    return transitions
  }
  const known = new Map<State, ReadonlyMap<State, Refa.CharSet>>()
  return {
    initial: state(start, "start", none),
    stableOut: true,
    getOut: (from) => {
      const transitions = known.get(from) ?? out(from)
      known.set(from, transitions)
      return transitions
    },
    isFinal: ({ at, before, rest }) =>
      rest.length === 0 &&
      [...closure(at, holding(before, "end"))].some((each) => instructions[each]!._tag === "Match")
  }
}
