/**
 * Counts refusals by caller, destination and rule, and says which of them to log, with bounds on lines and memory: see
 * `LineLimit`. Time is an argument: nothing here waits or writes.
 */
import * as Decision from "../intention/Decision.ts"
import * as LineLimit from "./LineLimit.ts"

/** Kinds beyond the bound are counted together. */
export type Options = LineLimit.Options

export interface Kind {
  /** As `SpiffeId.display` has it; `*` beyond the bound on kinds. */
  readonly source: string
  readonly destination: string
  /** `web → api (precedence 9)`, with the permission if one decided; `default policy` if no intention did; `agent: …` if the agent decided. */
  readonly rule: string
}

export interface Count extends Kind {
  /** Refusals since the start, audited ones included. */
  readonly refusals: number
  /** How many of them audit mode admitted. */
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
  /** Names it among the kinds. */
  readonly key: string
}

export const make = (options: Options = {}): DenialLog => {
  const { kinds = 10_000 } = options
  const entries = new Map<string, Entry>()
  // One more kind, for all beyond the bound.
  const limit = LineLimit.make({ ...options, kinds: kinds + 1 })
  const entryOf = (source: string, destination: string, rule: string): Entry => {
    const key = JSON.stringify([source, destination, rule])
    const present = entries.get(key)
    if (present !== undefined) return present
    if (entries.size >= kinds && source !== "*") return entryOf("*", "*", "*")
    const made = { source, destination, rule, refusals: 0, audited: 0, key }
    entries.set(key, made)
    return made
  }
  return {
    record: (source, destination, decision, now) => {
      if (decision.allowed && decision.audited !== true) return undefined
      const entry = entryOf(source, destination, ruleOf(decision))
      entry.refusals++
      if (decision.audited === true) entry.audited++
      const leftOut = limit.admit(entry.key, now)
      if (leftOut === undefined) return undefined
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

const ruleOf = ({ because, by, detail, permission }: Decision.Decision): string =>
  by === undefined
    ? because === "not-a-service" ? "not a service" : because === "agent" ? `agent: ${detail}` : "default policy"
    : permission === undefined
    ? Decision.formatRule(by)
    : `${Decision.permissionName(permission)} of ${Decision.formatRule(by)}`

/** `web → api: denied by … (12 more like it since the last line)` */
export const format = ({ decision, destination, leftOut, source }: Line): string =>
  `${source} → ${destination}: ${Decision.explain(decision)}${LineLimit.suffix(leftOut)}`
