/**
 * Passive health: a host that fails several requests in a row gets none for a while, longer each time that happens again.
 *
 *     in use ──`maxFailures` failures in a row──▶ ejected ──base time × number of ejections, at the next sweep──▶ in use
 *
 * Each sweep that a host is in use takes one off its number of ejections. At most a share of the hosts is ejected at a
 * time, but `leastEjected` in any case. There is no timer: the caller passes the time, and due sweeps are made up for.
 * Semantics and defaults are Envoy's, with the settings that Consul has for them (`PassiveHealthCheck`).
 */
export interface Options {
  /** Between sweeps. Default: 10 seconds. */
  readonly intervalMillis: number
  /** In a row. 0: no host is ever ejected. Default: 5. */
  readonly maxFailures: number
  /** The percentage of due ejections that happen. Default: 100. */
  readonly enforcing: number
  /** The largest percentage of hosts that is ejected at a time. Default: 10. */
  readonly maxEjectionPercent: number
  /** Default: 30 seconds. */
  readonly baseEjectionMillis: number
  /** Default: 5 minutes, or the base time if that is longer. */
  readonly maxEjectionMillis: number
  /** How many hosts may be ejected where that is a larger share than the percentage. Default: 1; Envoy: 0. */
  readonly leastEjected: number
}

export const defaults: Options = {
  intervalMillis: 10_000,
  maxFailures: 5,
  enforcing: 100,
  maxEjectionPercent: 10,
  baseEjectionMillis: 30_000,
  maxEjectionMillis: 300_000,
  leastEjected: 1
}

export interface OutlierDetection {
  /** Replaces the hosts. Those that stay keep their past. */
  readonly update: (ids: ReadonlyArray<string>) => void
  /** Reports the outcome of a request. True: the host is ejected for it. Unknown hosts are ignored. `random` is from 0 to 1. */
  readonly report: (id: string, succeeded: boolean, now: number, random: number) => boolean
  readonly isEjected: (id: string, now: number) => boolean
  readonly ejected: (now: number) => ReadonlyArray<string>
}

interface Past {
  failures: number
  /** How often it was ejected, less the sweeps since. */
  ejections: number
  ejectedAt: number | undefined
}

/** `now` is in milliseconds and never goes back. */
export const make = (options: Options, now: number): OutlierDetection => {
  const hosts = new Map<string, Past>()
  let sweptAt = now
  let ejectedCount = 0

  const sweep = (now: number): void => {
    // The effect of a sweep depends on its time, so they run one by one. Beyond so many in a row nothing changes any more.
    const due = Math.floor((now - sweptAt) / options.intervalMillis)
    if (due <= 0) return
    const from = Math.max(1, due - 1000)
    for (let i = from; i <= due; i++) sweepAt(sweptAt + i * options.intervalMillis)
    sweptAt += due * options.intervalMillis
  }

  const sweepAt = (at: number): void => {
    for (const past of hosts.values()) {
      if (past.ejectedAt === undefined) {
        if (past.ejections > 0) past.ejections--
      } else if (at >= past.ejectedAt + durationOf(past)) {
        past.ejectedAt = undefined
        past.failures = 0
        ejectedCount--
      }
    }
  }

  const durationOf = ({ ejections }: Past): number =>
    Math.min(
      options.baseEjectionMillis * ejections,
      Math.max(options.maxEjectionMillis, options.baseEjectionMillis)
    )

  const mayEject = (): boolean =>
    ejectedCount < Math.max(options.leastEjected, Math.floor(hosts.size * options.maxEjectionPercent / 100))

  return {
    update: (ids) => {
      const stay = new Set(ids)
      for (const [id, past] of hosts) {
        if (stay.has(id)) continue
        if (past.ejectedAt !== undefined) ejectedCount--
        hosts.delete(id)
      }
      for (const id of stay) {
        if (!hosts.has(id)) hosts.set(id, { failures: 0, ejections: 0, ejectedAt: undefined })
      }
    },
    report: (id, succeeded, now, random) => {
      sweep(now)
      const past = hosts.get(id)
      if (past === undefined) return false
      if (succeeded) {
        past.failures = 0
        return false
      }
      past.failures++
      if (past.ejectedAt !== undefined || options.maxFailures <= 0 || past.failures < options.maxFailures) return false
      past.failures = 0
      if (random * 100 >= options.enforcing || !mayEject()) return false
      past.ejections++
      past.ejectedAt = now
      ejectedCount++
      return true
    },
    isEjected: (id, now) => {
      sweep(now)
      return ejectedCount > 0 && hosts.get(id)?.ejectedAt !== undefined
    },
    ejected: (now) => {
      sweep(now)
      return [...hosts].filter(([, past]) => past.ejectedAt !== undefined).map(([id]) => id)
    }
  }
}
