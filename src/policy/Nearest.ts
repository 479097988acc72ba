/** The known name that a misspelled one probably means. */

/** Of these names, the one with the fewest letters changed; none where a third or more of them would have to be. */
export const find = (wrong: string, names: Iterable<string>): string | undefined => {
  let best: string | undefined
  let fewest = Math.max(1, Math.floor(wrong.length / 3)) + 1
  for (const name of names) {
    const changes = distance(wrong.toLowerCase(), name.toLowerCase())
    if (changes < fewest) {
      best = name
      fewest = changes
    }
  }
  return best
}

/** `; did you mean never?`, or nothing. */
export const ask = (wrong: string, names: Iterable<string>): string => {
  const meant = find(wrong, names)
  return meant === undefined ? "" : `; did you mean ${meant}?`
}

/** Letters to insert, remove, replace, or swap with their neighbour. */
const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity
      row.push(Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + same, swapped))
    }
    before = last
    last = row
  }
  return last[b.length]!
}
