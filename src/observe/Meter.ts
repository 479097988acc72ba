/**
 * Series of the `MetricCatalogue` that cost nothing until they are read: a counter is a plain field, and Effect's registry reads it
 * when metrics are exported. Counting therefore needs no context, existing totals are not counted twice, and exports are exact.
 *
 * The same series of the same registry is the same object. When a scope closes, its share stays in counters and leaves gauges.
 */
import { Context, Effect, Metric, type Scope } from "effect"
import * as MetricCatalogue from "./MetricCatalogue.ts"

/** Counts: add to it. */
export interface Count {
  value: number
}

export interface Distribution {
  /** Seconds, and the span in which it was measured, if that is kept. */
  readonly record: (seconds: number, trace?: Trace) => void
}

/** A span that is kept somewhere: ids as W3C writes them. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

/** The last of those that fell into a bucket. */
export interface Exemplar {
  readonly trace: Trace
  readonly value: number
  /** Milliseconds since 1970. */
  readonly at: number
}

const exemplars = new WeakMap<object, ReadonlyArray<Exemplar | undefined>>()

/** Of the state of a distribution, by bucket; the last one has no upper border. */
export const exemplarsOf = (state: object): ReadonlyArray<Exemplar | undefined> => exemplars.get(state) ?? []

/**
 * How many series a metric may have before the rest share those whose names are `*`. It counts for each service of a process (each
 * set of `Metric.CurrentMetricAttributes`), so that one whose callers are many takes no names from another.
 */
export const maxSeries = 2000

/** Synchronous, for socket callbacks. Code that runs for each request should keep the result. */
export const count = <A extends string>(
  family: MetricCatalogue.Counter<A>,
  attributes: MetricCatalogue.Attributes<A>,
  context: Context.Context<never>
): Count => totalOf(family, attributes, context).own

/** As `count`. */
export const distribution = <A extends string>(
  family: MetricCatalogue.Histogram<A>,
  attributes: MetricCatalogue.Attributes<A>,
  context: Context.Context<never>
): Distribution =>
  seriesOf(family, attributes, context, (identity) => {
    const { boundaries } = family
    const buckets = new Float64Array(boundaries.length + 1)
    const state = { count: 0, sum: 0, min: Infinity, max: -Infinity }
    const last = Array.from(buckets, (): Exemplar | undefined => undefined)
    const metric = Metric.histogram(family.name, { ...identity, boundaries })
    Metric.registerUnsafe(metric, context, {
      ...readOnly,
      get: () => {
        let total = 0
        const read = {
          ...state,
          buckets: boundaries.map((boundary, i): [number, number] => [boundary, total += buckets[i]!])
        }
        exemplars.set(read, last)
        return read
      }
    })
    return {
      record: (seconds, trace) => {
        let i = 0
        while (i < boundaries.length && seconds > boundaries[i]!) i++
        buckets[i]!++
        if (trace !== undefined) last[i] = { trace, value: seconds, at: Date.now() }
        state.count++
        state.sum += seconds
        if (seconds < state.min) state.min = seconds
        if (seconds > state.max) state.max = seconds
      }
    }
  })

/** A value that is read when metrics are exported. Call `remove` when it is gone. */
export interface Source {
  readonly remove: () => void
}

/** A counter that is kept elsewhere, or a gauge. */
export const source = <A extends string>(
  family: MetricCatalogue.Counter<A> | MetricCatalogue.Gauge<A>,
  attributes: MetricCatalogue.Attributes<A>,
  context: Context.Context<never>,
  read: () => number
): Source => {
  if (family.type === "counter") {
    const total = totalOf(family, attributes, context)
    total.others.add(read)
    return {
      remove: () => {
        if (total.others.delete(read)) total.own.value += read()
      }
    }
  }
  const level = levelOf(family, attributes, context)
  level.add(read)
  return { remove: () => level.remove(read) }
}

/** Read for as long as the scope is open. */
export const follow = <A extends string>(
  family: MetricCatalogue.Counter<A> | MetricCatalogue.Gauge<A>,
  attributes: MetricCatalogue.Attributes<A>,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.flatMap(Effect.context<never>(), (context) =>
    Effect.acquireRelease(
      Effect.sync(() => source(family, attributes, context, read)),
      ({ remove }) => Effect.sync(remove)
    )))

/** A counter: the sum of its own count and those kept elsewhere. */
interface Total {
  readonly own: Count
  readonly others: Set<() => number>
}

const totalOf = <A extends string>(
  family: MetricCatalogue.Counter<A>,
  attributes: MetricCatalogue.Attributes<A>,
  context: Context.Context<never>
): Total =>
  seriesOf(family, attributes, context, (identity) => {
    const total: Total = { own: { value: 0 }, others: new Set() }
    Metric.registerUnsafe(Metric.counter(family.name, { ...identity, incremental: true }), context, {
      ...readOnly,
      get: () => {
        let count = total.own.value
        for (const read of total.others) count += read()
        return { count, incremental: true }
      }
    })
    return total
  })

interface Level {
  readonly add: (read: () => number) => void
  readonly remove: (read: () => number) => void
}

/** In the registry while there is anything to read. */
const levelOf = <A extends string>(
  family: MetricCatalogue.Gauge<A>,
  attributes: MetricCatalogue.Attributes<A>,
  context: Context.Context<never>
): Level =>
  seriesOf(family, attributes, context, (identity, forget) => {
    const reads = new Set<() => number>()
    const registration = Metric.registerUnsafe(Metric.gauge(family.name, identity), context, {
      ...readOnly,
      get: () => ({ value: family.combine(Array.from(reads, (read) => read())) })
    })
    return {
      add: (read) => reads.add(read),
      remove: (read) => {
        reads.delete(read)
        if (reads.size > 0) return
        registration.remove()
        forget()
      }
    }
  })

const readOnly = { update: () => {}, modify: () => {} }

interface Identity {
  readonly description: string
  readonly attributes: Readonly<Record<string, string>>
}

type Anything = MetricCatalogue.Counter | MetricCatalogue.Gauge | MetricCatalogue.Histogram

const registries = new WeakMap<object, Map<string, Map<string, unknown>>>()

const seriesOf = <S>(
  family: Anything,
  attributes: Readonly<Record<string, string>>,
  context: Context.Context<never>,
  make: (identity: Identity, forget: () => void) => S
): S => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const families = entryOf(registries, registry, () => new Map<string, Map<string, unknown>>())
  const inherited = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
  const known = entryOf(families, `${family.name} ${inherited}`, () => new Map<string, unknown>())
  const keyOf = (own: Readonly<Record<string, string>>) => JSON.stringify(family.attributes.map((a) => own[a]))
  const key = keyOf(attributes)
  const present = known.get(key)
  // A key belongs to one family, and a family to one kind of series.
  if (present !== undefined) return present as S
  if (known.size >= maxSeries) {
    const shared = { ...attributes }
    for (const name of family.attributes) if (!MetricCatalogue.closed.has(name)) shared[name] = "*"
    if (keyOf(shared) !== key) return seriesOf(family, shared, context, make)
  }
  const made = make({ description: family.help, attributes: { ...attributes } }, () => known.delete(key))
  known.set(key, made)
  return made
}

const entryOf = <K, V>(
  map: { readonly get: (key: K) => V | undefined; readonly set: (key: K, value: V) => unknown },
  key: K,
  make: () => V
): V => {
  const present = map.get(key)
  if (present !== undefined) return present
  const made = make()
  map.set(key, made)
  return made
}
