/**
 * Deterministic automata over bytes: the languages of paths and header values. Complete automata are not kept; what leads
 * nowhere is `dead`. Bytes that an automaton does not tell apart share a column of its table.
 */
import * as Refa from "refa"

export interface Automaton {
  /** The column of each byte. */
  readonly columns: Uint8Array
  readonly width: number
  /** `next[state * width + column]`; the start is state 0. */
  readonly next: Int32Array
  /** 1 where the word so far is in the language. */
  readonly accepting: Uint8Array
}

export const dead = -1

export const step = (self: Automaton, state: number, byte: number): number =>
  state === dead ? dead : self.next[state * self.width + self.columns[byte]!]!

export const accepts = (self: Automaton, bytes: string): boolean => {
  let state = 0
  for (let i = 0; i < bytes.length && state !== dead; i++) state = step(self, state, bytes.charCodeAt(i))
  return state !== dead && self.accepting[state] === 1
}

/** From the successors of each state, one for each of the 256 bytes. */
const fromRows = (rows: ReadonlyArray<Int32Array>, accepting: ReadonlyArray<boolean>): Automaton => {
  const columns = new Uint8Array(256)
  let width = 1
  for (const row of rows) {
    if (width === 256) break
    // Bytes stay together only while every row sends them to the same state.
    const found = new Map<number, number>()
    for (let byte = 0; byte < 256; byte++) {
      const key = columns[byte]! * (rows.length + 1) + row[byte]! + 1
      const column = found.get(key) ?? found.size
      found.set(key, column)
      columns[byte] = column
    }
    width = found.size
  }
  const next = new Int32Array(rows.length * width)
  rows.forEach((row, state) => columns.forEach((column, byte) => (next[state * width + column] = row[byte]!)))
  return { columns, width, next, accepting: Uint8Array.from(accepting, Number) }
}

const row = (successor: (byte: number) => number): Int32Array =>
  Int32Array.from({ length: 256 }, (_, b) => successor(b))

/** Whether two bytes count as one. ASCII letters only, as Envoy folds. */
type Same = (a: number, b: number) => boolean
const same: Same = (a, b) => a === b
const lower = (byte: number): number => byte >= 65 && byte <= 90 ? byte + 32 : byte
const sameLetter: Same = (a, b) => lower(a) === lower(b)
const sameness = (ignoreCase: boolean): Same => ignoreCase ? sameLetter : same

export const exact = (bytes: string, ignoreCase = false): Automaton => chain(bytes, sameness(ignoreCase), false)

export const prefix = (bytes: string, ignoreCase = false): Automaton => chain(bytes, sameness(ignoreCase), true)

/** One state for each byte read. With `open`, whatever follows the last is accepted too. */
const chain = (bytes: string, same: Same, open: boolean): Automaton =>
  fromRows(
    Array.from(
      { length: bytes.length + 1 },
      (_, state) =>
        row((byte) =>
          state === bytes.length ? (open ? state : dead) : same(byte, bytes.charCodeAt(state)) ? state + 1 : dead
        )
    ),
    Array.from({ length: bytes.length + 1 }, (_, state) => state === bytes.length)
  )

/** The state is how much of the text ends at the last byte (Knuth, Morris and Pratt). */
const search = (bytes: string, same: Same, forever: boolean): Automaton => {
  const ends = (text: (i: number) => number, length: number): number => {
    for (let n = Math.min(bytes.length, length); n > 0; n--) {
      let fits = true
      for (let i = 0; i < n && fits; i++) fits = same(text(length - n + i), bytes.charCodeAt(i))
      if (fits) return n
    }
    return 0
  }
  const states = Array.from({ length: bytes.length + 1 }, (_, state) =>
    row((byte) =>
      forever && state === bytes.length
        ? state
        : ends((i) => i < state ? bytes.charCodeAt(i) : byte, state + 1)
    ))
  return fromRows(states, states.map((_, state) => state === bytes.length))
}

export const suffix = (bytes: string, ignoreCase = false): Automaton => search(bytes, sameness(ignoreCase), false)

export const contains = (bytes: string, ignoreCase = false): Automaton => search(bytes, sameness(ignoreCase), true)

export const anyOf = (words: Iterable<string>): Automaton => {
  const rows = [row(() => dead)]
  const accepting = [false]
  for (const word of words) {
    let state = 0
    for (let i = 0; i < word.length; i++) {
      const byte = word.charCodeAt(i)
      if (rows[state]![byte] === dead) {
        rows[state]![byte] = rows.length
        rows.push(row(() => dead))
        accepting.push(false)
      }
      state = rows[state]![byte]!
    }
    accepting[state] = true
  }
  return fromRows(rows, accepting)
}

/** Its words without these bytes, each alone or followed by a tail: one of these bytes, then any of the others. */
export const withTail = (
  self: Automaton,
  starts: ReadonlySet<number>,
  tail: ReadonlySet<number> = everyByte
): Automaton => {
  const sink = self.accepting.length
  const rows = Array.from({ length: sink + 1 }, (_, state) =>
    row((byte) =>
      state === sink
        ? (tail.has(byte) ? sink : dead)
        : starts.has(byte)
        ? (self.accepting[state] === 1 ? sink : dead)
        : step(self, state, byte)
    ))
  return fromRows(rows, rows.map((_, state) => state === sink || self.accepting[state] === 1))
}

const everyByte: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, byte) => byte))

/** Words that start and end with an outer byte, and have inner or outer ones between. With `empty`, the empty word too. */
export const trimmed = (outer: ReadonlySet<number>, inner: ReadonlySet<number>, empty: boolean): Automaton =>
  fromRows(
    [
      row((byte) => outer.has(byte) ? 1 : dead),
      row((byte) => outer.has(byte) ? 1 : inner.has(byte) ? 2 : dead),
      row((byte) => outer.has(byte) ? 1 : inner.has(byte) ? 2 : dead)
    ],
    [empty, true, false]
  )

/** From states named in any way, discovered from the first. */
export const discover = <S>(
  start: S,
  key: (state: S) => string,
  successor: (state: S, byte: number) => S | undefined,
  accepting: (state: S) => boolean
): Automaton => {
  const ids = new Map([[key(start), 0]])
  const states = [start]
  const rows: Array<Int32Array> = []
  for (let i = 0; i < states.length; i++) {
    rows.push(row((byte) => {
      const next = successor(states[i]!, byte)
      if (next === undefined) return dead
      const known = ids.get(key(next))
      if (known !== undefined) return known
      ids.set(key(next), states.length)
      return states.push(next) - 1
    }))
  }
  return fromRows(rows, states.map(accepting))
}

/** Well-formed UTF-8, as RFC 3629 defines it: nothing overlong, no surrogates. */
export const utf8: Automaton = discover<readonly [number, number, number]>(
  [0, 0x80, 0xbf],
  (state) => state.join(),
  ([left, low, high], byte) => {
    if (left > 0) return byte >= low && byte <= high ? [left - 1, 0x80, 0xbf] : undefined
    if (byte < 0x80) return [0, 0x80, 0xbf]
    if (byte >= 0xc2 && byte <= 0xdf) return [1, 0x80, 0xbf]
    if (byte >= 0xe0 && byte <= 0xef) return [2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf]
    if (byte >= 0xf0 && byte <= 0xf4) return [3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf]
    return undefined
  },
  ([left]) => left === 0
)

/** The smallest deterministic automaton of a nondeterministic one. Throws refa's `TooManyNodesError` beyond the limit. */
export const determinize = <S>(states: Refa.TransitionIterator<S>, limit: number): Automaton => {
  const dfa = Refa.DFA.fromTransitionIterator(
    states,
    { maxCharacter: 255 as Refa.Char },
    new Refa.DFA.LimitedNodeFactory(limit)
  )
  dfa.minimize()
  const nodes = [dfa.initial, ...[...dfa.nodes()].filter((node) => node !== dfa.initial)]
  const ids = new Map(nodes.map((node, id) => [node, id]))
  const rows = nodes.map((node) => {
    const successors = row(() => dead)
    for (const [{ max, min }, to] of node.out) {
      for (let byte: number = min; byte <= max; byte++) successors[byte] = ids.get(to) ?? dead
    }
    return successors
  })
  return fromRows(rows, nodes.map((node) => dfa.finals.has(node)))
}
