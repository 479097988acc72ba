/**
 * The metrics of HTTP. Names are stable: dashboards are built on them. As with connections, requests are counted in plain
 * fields, and the metrics catch up every few seconds and when the scope closes.
 */
import { Effect, Metric, type Scope } from "effect"
import type * as Refusal from "../tls/Refusal.ts"

export interface HttpMetrics {
  /** `code` as in the answer, or a word where there was none: `reset`, `unreachable`. */
  readonly answered: (source: string, destination: string, code: number | string) => void
  /** `reason` is that of `HttpExchange.Abuse`. */
  readonly aborted: (reason: string) => void
  /** How many since it was made, by `source destination code`, and by reason. */
  readonly totals: () => {
    readonly requests: Readonly<Record<string, number>>
    readonly aborted: Readonly<Record<string, number>>
  }
}

export const make = Effect.fnUntraced(
  function*(direction: Refusal.Direction): Effect.fn.Return<HttpMetrics, never, Scope.Scope> {
    const context = yield* Effect.context<never>()
    const requests = new Map<string, Series>()
    const aborted = new Map<string, Series>()
    const report = Effect.sync(() => {
      for (const series of [...requests.values(), ...aborted.values()]) {
        if (series.count === series.reported) continue
        series.metric.updateUnsafe(series.count - series.reported, context)
        series.reported = series.count
      }
    })
    yield* Effect.addFinalizer(() => report)
    yield* Effect.forkScoped(Effect.forever(Effect.delay(report, "5 seconds")))
    return {
      answered: (source, destination, code) =>
        increment(
          requests,
          `${source} ${destination} ${code}`,
          () => Metric.withAttributes(requestsTotal, { direction, source, destination, code: String(code) })
        ),
      aborted: (reason) => increment(aborted, reason, () => Metric.withAttributes(abortedTotal, { direction, reason })),
      totals: () => ({ requests: countsOf(requests), aborted: countsOf(aborted) })
    }
  }
)

interface Series {
  readonly metric: Metric.Counter<number>
  count: number
  reported: number
}

const increment = (all: Map<string, Series>, key: string, metric: () => Metric.Counter<number>): void => {
  const series = all.get(key)
  if (series === undefined) all.set(key, { metric: metric(), count: 1, reported: 0 })
  else series.count++
}

const countsOf = (all: ReadonlyMap<string, Series>): Readonly<Record<string, number>> =>
  Object.fromEntries([...all].map(([key, { count }]) => [key, count]))

const requestsTotal = Metric.counter("mesh_http_requests_total", {
  description: "HTTP requests, by direction, source, destination and code of the answer",
  incremental: true
})

const abortedTotal = Metric.counter("mesh_http_aborted_total", {
  description: "HTTP connections and requests ended before their time, by direction and reason",
  incremental: true
})
