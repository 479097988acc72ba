/**
 * Counts refusals by caller, destination and rule, and says which of them to log: the first of each kind at once, then one in a
 * while with the number of those left out. A flood of refusals makes no flood of lines, however many kinds it has, and takes
 * no more memory than for so many kinds. Time is an argument: nothing here waits or writes.
 */
import * as Decision from "./Decision.ts"

export interface Options {
  /** Between two lines of one kind. Default: 60 seconds. */
  readonly intervalMilliseconds?: number | undefined
  /** Lines of all kinds together within one interval. Default: 60. */
  readonly linesPerInterval?: number | undefined
  /** Kinds to tell apart; what comes later is counted together. Default: 10,000. */
  readonly kinds?: number | undefined
}

export interface Kind {
  /** As `SpiffeId.display` has it; `*` where there were too many to tell apart. */
  readonly source: string
  readonly destination: string
  /** `web → api (precedence 9)`, with the permission where one decided; `default policy` where no intention did. */
  readonly rule: string
}

export interface Count extends Kind {
  /** Refusals since the start, audited ones included. */
  readonly refusals: number
  /** How many of them audit mode let through. */
  readonly audited: number
}

/** To be logged. */
export interface Line extends Kind {
  readonly decision: Decision.Decision
  /** Refusals of this kind since its last line, without this one. */
  readonly leftOut: number
}

export interface DenialLog {
  /** `now` in milliseconds, never going back. Decisions that allow are ignored, except audited ones. */
  readonly record: (
    source: string,
    destination: string,
    decision: Decision.Decision,
    now: number
  ) => Line | undefined
  /** For metrics. Most frequent first. */
  readonly counts: () => ReadonlyArray<Count>
}

interface Entry extends Kind {
  refusals: number
  audited: number
  leftOut: number
  /** Of the last line. */
  loggedAt: number
}

export const make = (options: Options = {}): DenialLog => {
  const { intervalMilliseconds = 60_000, kinds = 10_000, linesPerInterval = 60 } = options
  const entries = new Map<string, Entry>()
  let windowStart = -Infinity
  let lines = 0
  const entryOf = (source: string, destination: string, rule: string): Entry => {
    const key = JSON.stringify([source, destination, rule])
    const present = entries.get(key)
    if (present !== undefined) return present
    // The kind of all that came too late has a place of its own.
    if (entries.size >= kinds && source !== "*") return entryOf("*", "*", "*")
    const made = { source, destination, rule, refusals: 0, audited: 0, leftOut: 0, loggedAt: -Infinity }
    entries.set(key, made)
    return made
  }
  return {
    record: (source, destination, decision, now) => {
      if (decision.allowed && decision.audited !== true) return undefined
      const entry = entryOf(source, destination, ruleOf(decision))
      entry.refusals++
      if (decision.audited === true) entry.audited++
      if (now - windowStart >= intervalMilliseconds) {
        windowStart = now
        lines = 0
      }
      if (now - entry.loggedAt < intervalMilliseconds || lines >= linesPerInterval) {
        entry.leftOut++
        return undefined
      }
      const { leftOut } = entry
      lines++
      entry.leftOut = 0
      entry.loggedAt = now
      return { source, destination, rule: entry.rule, decision, leftOut }
    },
    counts: () =>
      Array.from(entries.values(), ({ audited, destination, refusals, rule, source }): Count => ({
        source,
        destination,
        rule,
        refusals,
        audited
      })).sort((a, b) => b.refusals - a.refusals)
  }
}

const ruleOf = ({ because, by, permission }: Decision.Decision): string =>
  by === undefined
    ? because === "not-a-service" ? "not a service" : "default policy"
    : permission === undefined
    ? Decision.formatRule(by)
    : `permission ${permission} of ${Decision.formatRule(by)}`

/** `web → api: denied by … (12 more like it since the last line)` */
export const format = ({ decision, destination, leftOut, source }: Line): string =>
  `${source} → ${destination}: ${Decision.explain(decision)}${
    leftOut === 0 ? "" : ` (${leftOut} more like it since the last line)`
  }`
