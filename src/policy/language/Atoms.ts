/**
 * Divides the values of one dimension (paths, say) by languages: two values are in one atom when they are in the same
 * languages. All automata run side by side over all words of the domain at once, shortest words first, so that every atom that
 * has a word is found, with its shortest one. What holds for that word holds for the atom.
 */
import * as Automaton from "./Automaton.ts"

export interface Atom {
  /** A shortest word, in bytes. */
  readonly word: string
  /** By position of the language, whether its words are in it. */
  readonly within: ReadonlyArray<boolean>
}

export interface Atoms {
  readonly atoms: ReadonlyArray<Atom>
  /** The atom of a word; `undefined` where it is not in the domain. */
  readonly find: (word: string) => number | undefined
}

/** Bytes in the order in which witnesses prefer them: `/` first in paths is settled by the domain, not here. */
const preferred = [..."abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_/.=:,"].map((c) =>
  c.charCodeAt(0)
)
const order: ReadonlyArray<number> = [
  ...preferred,
  ...Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !preferred.includes(byte))
]

/** Bytes that none of these tells apart are represented by the nicest of them. */
export const representatives = (automata: ReadonlyArray<Automaton.Automaton>): ReadonlyArray<number> => {
  const columns = new Map<string, number>()
  for (const byte of order) {
    const key = automata.map((each) => each.columns[byte]).join()
    if (!columns.has(key)) columns.set(key, byte)
  }
  return [...columns.values()]
}

/** `undefined` when more than `limit` states would have to be looked at. `favourites` are words to show where they fit. */
export const divide = (
  domain: Automaton.Automaton,
  languages: ReadonlyArray<Automaton.Automaton>,
  limit: number,
  favourites: ReadonlyArray<string> = []
): Atoms | undefined => {
  const all = [domain, ...languages]
  const bytes = representatives(all)

  const start = all.map(() => 0)
  const seen = new Set([key(start)])
  let level: Array<readonly [states: ReadonlyArray<number>, word: string]> = [[start, ""]]
  const found = new Map<string, { word: string; readonly within: ReadonlyArray<boolean>; readonly at: number }>()
  while (level.length > 0) {
    const next: typeof level = []
    for (const [states, word] of level) {
      if (domain.accepting[states[0]!] === 1) {
        const within = languages.map((language, i) => {
          const state = states[i + 1]!
          return state !== Automaton.dead && language.accepting[state] === 1
        })
        const signature = sign(within)
        if (!found.has(signature)) found.set(signature, { word, within, at: found.size })
      }
      for (const byte of bytes) {
        const to = states.map((state, i) => Automaton.step(all[i]!, state, byte))
        if (to[0] === Automaton.dead) continue
        const id = key(to)
        if (seen.has(id)) continue
        if (seen.size >= limit) return undefined
        seen.add(id)
        next.push([to, word + String.fromCharCode(byte)])
      }
    }
    level = next
  }
  const find = (word: string): number | undefined =>
    Automaton.accepts(domain, word)
      ? found.get(sign(languages.map((language) => Automaton.accepts(language, word))))!.at
      : undefined
  const atoms = [...found.values()]
  for (const word of favourites.toReversed()) {
    const at = find(word)
    if (at !== undefined) atoms[at]!.word = word
  }
  return { atoms, find }
}

const key = (states: ReadonlyArray<number>): string => String.fromCharCode(...states.map((state) => state + 1))

const sign = (within: ReadonlyArray<boolean>): string => within.map(Number).join("")
