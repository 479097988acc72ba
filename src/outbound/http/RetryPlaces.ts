/**
 * Bounds how many requests to an upstream are being tried again at a time, so that an upstream in trouble is not asked twice as
 * much for it. Envoy has the same bound, which nothing in Consul changes.
 */
export interface Place {
  /** The wait is over: the attempt counts as active from now on. */
  readonly begin: () => void
  /** The attempt has an outcome, or there will be none. More than once does no harm. */
  readonly free: () => void
}

export interface RetryPlaces {
  /** Undefined: all are taken. */
  readonly take: () => Place | undefined
  /** Requests between two attempts. */
  readonly waiting: () => number
}

/** `max_retries` of Envoy. */
const mostByDefault = 3

export const make = (most: number = mostByDefault): RetryPlaces => {
  let taken = 0
  let waiting = 0
  return {
    take: () => {
      if (taken >= most) return undefined
      taken++
      waiting++
      let state: "waiting" | "begun" | "free" = "waiting"
      const begin = () => {
        if (state !== "waiting") return
        state = "begun"
        waiting--
      }
      return {
        begin,
        free: () => {
          begin()
          if (state === "free") return
          state = "free"
          taken--
        }
      }
    },
    waiting: () => waiting
  }
}
