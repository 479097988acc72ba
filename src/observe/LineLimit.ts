/**
 * Decides which events to log: the first of each kind at once, then one in each interval, with the number of omitted ones. Both
 * lines and memory are bounded, however many events and kinds there are.
 * Time is an argument: nothing here waits or writes.
 */

export interface Options {
  /** Between two lines of one kind. Default: 60 seconds. */
  readonly intervalMilliseconds?: number | undefined
  /** Lines of all kinds together within one interval. Default: 60. */
  readonly linesPerInterval?: number | undefined
  /** Kinds to distinguish; all later ones are one kind. Default: 10,000. */
  readonly kinds?: number | undefined
}

export interface LineLimit {
  /**
   * One more of `kind`; `now` in milliseconds, never going back. Undefined: do not log it. Otherwise the number of this kind
   * that were omitted since its last line.
   */
  readonly admit: (kind: string, now: number) => number | undefined
}

interface Kind {
  leftOut: number
  /** The last line. */
  loggedAt: number
}

export const make = (options: Options = {}): LineLimit => {
  const { intervalMilliseconds = 60_000, kinds = 10_000, linesPerInterval = 60 } = options
  const known = new Map<string, Kind>()
  const others: Kind = { leftOut: 0, loggedAt: -Infinity }
  let windowStart = -Infinity
  let lines = 0
  const kindOf = (name: string): Kind => {
    const present = known.get(name)
    if (present !== undefined) return present
    if (known.size >= kinds) return others
    const made = { leftOut: 0, loggedAt: -Infinity }
    known.set(name, made)
    return made
  }
  return {
    admit: (name, now) => {
      const kind = kindOf(name)
      if (now - windowStart >= intervalMilliseconds) {
        windowStart = now
        lines = 0
      }
      if (now - kind.loggedAt < intervalMilliseconds || lines >= linesPerInterval) {
        kind.leftOut++
        return undefined
      }
      const { leftOut } = kind
      lines++
      kind.leftOut = 0
      kind.loggedAt = now
      return leftOut
    }
  }
}

/** The end of the line. */
export const suffix = (leftOut: number): string => leftOut === 0 ? "" : ` (${leftOut} more like it since the last line)`
