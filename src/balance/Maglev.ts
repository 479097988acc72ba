/**
 * Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): hosts take turns in claiming the entries of a table, each in
 * an order of its own. Looking up is one array access; shares are even; a change of hosts moves few other keys.
 */
import * as StringHash from "./StringHash.ts"

export interface Maglev {
  /** The owner of a hash (32 bits), passing over hosts that are not `eligible`. An index into the hosts. */
  readonly find: (hash: number, eligible: (index: number) => boolean) => number | undefined
}

/** `size` must be a prime, far above the number of hosts. */
export const make = (
  hosts: ReadonlyArray<{ readonly id: string; readonly weight: number }>,
  size: number
): Maglev => {
  const table = new Int32Array(size).fill(-1)
  const heaviest = hosts.reduce((most, host) => Math.max(most, host.weight), 0)
  // By id, so that the order of the list does not matter.
  const claims = hosts
    .map(({ id, weight }, index) => ({
      id,
      index,
      share: weight / heaviest,
      at: StringHash.hash(id, 1) % size,
      skip: StringHash.hash(id, 2) % (size - 1) + 1,
      credit: 0
    }))
    .sort((a, b) => a.id < b.id ? -1 : 1)
  let filled = 0
  while (filled < size && claims.length > 0) {
    for (const claim of claims) {
      claim.credit += claim.share
      if (claim.credit < 1) continue
      claim.credit -= 1
      while (table[claim.at] !== -1) claim.at = (claim.at + claim.skip) % size
      table[claim.at] = claim.index
      if (++filled === size) break
    }
  }
  return {
    find: (hash, eligible) => {
      for (let step = 0; step < size; step++) {
        const index = table[(hash + step) % size]!
        if (index !== -1 && eligible(index)) return index
      }
      return undefined
    }
  }
}
