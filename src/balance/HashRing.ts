/**
 * A consistent hash ring: a key belongs to the first point at or behind its hash. When a host leaves, only its own keys
 * move; when one joins, keys move to it and to no other host, as long as the number of points per weight stays the same.
 */
import * as StringHash from "./StringHash.ts"

export interface HashRing {
  /** The owner of a hash (32 bits), passing over hosts that are not `eligible`. An index into the hosts. */
  readonly find: (hash: number, eligible: (index: number) => boolean) => number | undefined
}

export interface Options {
  /** At least so many points in all. Default: 1024. */
  readonly minimumSize: number
  /** At most so many points, except that each host has one. */
  readonly maximumSize: number
}

export const make = (
  hosts: ReadonlyArray<{ readonly id: string; readonly weight: number }>,
  { maximumSize, minimumSize }: Options
): HashRing => {
  const total = hosts.reduce((sum, host) => sum + host.weight, 0)
  const lightest = hosts.reduce((least, host) => Math.min(least, host.weight), Infinity)
  // So many points per unit of weight that the lightest host has a whole number of them.
  const perLightest = Math.max(1, Math.ceil(minimumSize * lightest / total))
  const scale = Math.min(perLightest / lightest, maximumSize / total)
  const points: Array<{ readonly at: number; readonly index: number }> = []
  hosts.forEach(({ id, weight }, index) => {
    const count = Math.max(1, Math.floor(weight * scale))
    for (let i = 0; i < count; i++) points.push({ at: StringHash.hash(`${id}_${i}`), index })
  })
  // Points of two hosts at one place: the order of the hosts in the list must not matter.
  points.sort((a, b) => a.at - b.at || (hosts[a.index]!.id < hosts[b.index]!.id ? -1 : 1))
  return {
    find: (hash, eligible) => {
      let low = 0
      let high = points.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (points[middle]!.at < hash) low = middle + 1
        else high = middle
      }
      for (let step = 0; step < points.length; step++) {
        const { index } = points[(low + step) % points.length]!
        if (eligible(index)) return index
      }
      return undefined
    }
  }
}
