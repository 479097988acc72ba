/**
 * What is said when watches fail and recover: one line for each reason when the first one fails, and one when all that failed
 * for it are current again, however many there are.
 */
import { Context, Duration, Metric } from "effect"

interface Outage {
  readonly since: number
  readonly failing: Set<object>
  total: number
}

export interface Outages {
  /** Whether this is the first to fail for this reason. */
  readonly failed: (watch: object, reason: string, now: number) => boolean
  /** What to say, if it is the last one to be current again. */
  readonly recovered: (watch: object, what: string, now: number) => string | undefined
  /** It is not watched any more. */
  readonly gone: (watch: object) => void
}

const make = (): Outages => {
  const byReason = new Map<string, Outage>()
  const of = new Map<object, string>()
  const leave = (watch: object): Outage | undefined => {
    const reason = of.get(watch)
    if (reason === undefined) return undefined
    of.delete(watch)
    const outage = byReason.get(reason)!
    outage.failing.delete(watch)
    if (outage.failing.size > 0) return undefined
    byReason.delete(reason)
    return outage
  }
  return {
    failed: (watch, reason, now) => {
      if (of.get(watch) === reason) return false
      leave(watch)
      of.set(watch, reason)
      const known = byReason.get(reason)
      if (known === undefined) byReason.set(reason, { since: now, failing: new Set([watch]), total: 1 })
      else {
        known.failing.add(watch)
        known.total++
      }
      return known === undefined
    },
    recovered: (watch, what, now) => {
      const outage = leave(watch)
      if (outage === undefined) return undefined
      const after = Duration.format(Duration.seconds(Math.round((now - outage.since) / 1000)))
      return outage.total === 1
        ? `${what}: current again after ${after}`
        : `${what} and ${outage.total - 1} other watches: current again after ${after}`
    },
    gone: (watch) => {
      leave(watch)
    }
  }
}

const all = new WeakMap<object, Outages>()

/** One for all watches whose metrics go to the same place. */
export const of = (context: Context.Context<never>): Outages => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const known = all.get(registry) ?? make()
  all.set(registry, known)
  return known
}
