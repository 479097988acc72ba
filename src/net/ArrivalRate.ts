/** How many arrivals are taken in a second: as many at once, and no more in the long run. What is turned away does not count. */
export interface ArrivalRate {
  /** Whether one more is taken. `perSecond` 0: there is no limit. `now` is in milliseconds and never goes back. */
  readonly take: (perSecond: number, now: number) => boolean
}

export const make = (): ArrivalRate => {
  let left = Infinity
  let seenAt = 0
  return {
    take: (perSecond, now) => {
      if (perSecond === 0) return true
      left = Math.min(perSecond, left + (now - seenAt) / 1000 * perSecond)
      seenAt = now
      if (left < 1) return false
      left--
      return true
    }
  }
}
