/** The metrics of HTTP. A request is a look-up and two additions: see `Meter`. */
import { Effect, type Scope } from "effect"
import * as MetricCatalogue from "./MetricCatalogue.ts"
import * as Meter from "./Meter.ts"

export interface HttpMetrics {
  /**
   * `code` as in the answer, or a word if there was none: `reset`, `unreachable`, `cancelled`. `since` is when the
   * request began, as `performance.now()` has it; undefined: it never did. `trace` is looked for only where it did.
   */
  readonly answered: (
    source: string,
    destination: string,
    code: number | string,
    since: number | undefined,
    trace?: () => Meter.Trace | undefined
  ) => void
  /** `reason` is that of `HttpExchange.Abuse`, or `denied`. */
  readonly aborted: (reason: string) => void
  /** How many since it was made, by `source destination code`, and by reason. */
  readonly totals: () => {
    readonly requests: Readonly<Record<string, number>>
    readonly aborted: Readonly<Record<string, number>>
  }
}

/** Of one caller and one service. */
interface Edge {
  readonly duration: Meter.Distribution
  readonly codes: Map<number | string, Meter.Count>
}

/** `active` tells how many requests are without a whole answer. */
export const make = Effect.fnUntraced(
  function*(
    direction: MetricCatalogue.Direction,
    active: () => number
  ): Effect.fn.Return<HttpMetrics, never, Scope.Scope> {
    const context = yield* Effect.context<never>()
    const sources: Array<Meter.Source> = []
    const edges = new Map<string, Map<string, Edge>>()
    const aborted = new Map<string, Meter.Count>()
    yield* Effect.addFinalizer(() => Effect.sync(() => sources.forEach(({ remove }) => remove())))
    yield* Meter.follow(MetricCatalogue.requestsActive, { direction }, active)

    const kept = <A extends string>(
      family: MetricCatalogue.Counter<A>,
      attributes: MetricCatalogue.Attributes<A>
    ): Meter.Count => {
      const count = { value: 0 }
      sources.push(Meter.source(family, attributes, context, () => count.value))
      return count
    }
    let known = 0
    const edgeOf = (source: string, destination: string): Edge => {
      let from = edges.get(source)
      if (from === undefined) edges.set(source, from = new Map())
      let edge = from.get(destination)
      if (edge === undefined) {
        if (known >= Meter.maxSeries && destination !== "*") return edgeOf("*", "*")
        known++
        const duration = Meter.distribution(
          MetricCatalogue.requestDuration,
          { direction, source, destination },
          context
        )
        from.set(destination, edge = { duration, codes: new Map() })
      }
      return edge
    }
    return {
      answered: (source, destination, code, since, trace) => {
        const { codes, duration } = edgeOf(source, destination)
        const count = codes.get(code)
        if (count !== undefined) count.value++
        else {
          const first = kept(MetricCatalogue.requests, { direction, source, destination, code: String(code) })
          first.value++
          codes.set(code, first)
        }
        if (since !== undefined) duration.record((performance.now() - since) / 1000, trace?.())
      },
      aborted: (reason) => {
        const count = aborted.get(reason) ?? kept(MetricCatalogue.aborted, { direction, reason })
        count.value++
        aborted.set(reason, count)
      },
      totals: () => ({
        requests: Object.fromEntries(
          [...edges].flatMap(([source, from]) =>
            [...from].flatMap(([destination, { codes }]) =>
              Array.from(codes, ([code, { value }]) => [`${source} ${destination} ${code}`, value] as const)
            )
          )
        ),
        aborted: Object.fromEntries(Array.from(aborted, ([reason, { value }]) => [reason, value]))
      })
    }
  }
)
