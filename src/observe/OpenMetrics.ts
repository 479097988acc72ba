/**
 * Metrics in the text format of OpenMetrics, with exemplars: beside a bucket of a histogram, one request that fell into it, by the trace in
 * which it is found. Prometheus asks for this format itself; with `--enable-feature=exemplar-storage` it keeps them.
 *
 * Names and values are those of the older format, except that borders of buckets are written as numbers with a point.
 *
 * @see https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
 */
import { type Context, Metric } from "effect"
import * as Meter from "./Meter.ts"

export const contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

/** Whether a field `Accept` would rather have it than plain text. */
export const isWanted = (accept: string | undefined): boolean => {
  const open = qualityOf(accept, "application/openmetrics-text")
  return open > 0 && open >= qualityOf(accept, "text/plain")
}

/** 0: it is not named. */
const qualityOf = (accept: string | undefined, type: string): number => {
  const qualities = (accept ?? "").toLowerCase().split(",").flatMap((range) => {
    const [named, ...parameters] = range.split(";").map((part) => part.trim())
    if (named !== type) return []
    const quality = parameters.find((parameter) => parameter.startsWith("q="))
    return [quality === undefined ? 1 : Number(quality.slice(2)) || 0]
  })
  return Math.max(0, ...qualities)
}

/** Counters, gauges and histograms: this package has no others. Those of an application are among them, whatever they are called. */
export const format = (context: Context.Context<never>): string => {
  const known = Metric.snapshotUnsafe(context).filter(({ type }) => type !== "Frequency" && type !== "Summary")
  const families = Map.groupBy(known, ({ id }) => metricName(id))
  const lines = Array.from(families, ([name, all]) => family(name, all, families)).flat()
  return [...lines, "# EOF", ""].join("\n")
}

type Snapshot = ReturnType<typeof Metric.snapshotUnsafe>[number]

const family = (
  id: string,
  all: ReadonlyArray<Snapshot>,
  families: ReadonlyMap<string, unknown>
): ReadonlyArray<string> => {
  const [first] = all
  if (first === undefined) return []
  const stem = id.replace(/_total$/, "")
  // A counter by another name, or by the name of something else, is none to this format.
  const isTotal = first.type === "Counter" && stem !== id && !families.has(stem)
  const name = isTotal ? stem : id
  const type = first.type === "Counter" && !isTotal ? "unknown" : first.type.toLowerCase()
  const help = first.description === undefined ? [] : [`# HELP ${name} ${escaped(first.description)}`]
  const same = all.filter((snapshot) => snapshot.type === first.type)
  return [`# TYPE ${name} ${type}`, ...help, ...same.flatMap((snapshot) => samples(id, snapshot))]
}

const samples = (id: string, snapshot: Snapshot): ReadonlyArray<string> => {
  const own = Object.entries(snapshot.attributes ?? {}).flatMap(([name, value]) =>
    // Effect says so to itself.
    name === "unit" || name === "time_unit" ? [] : [label(labelName(name), value)]
  )
  const sample = (suffix: string, value: number | bigint, ...more: ReadonlyArray<string>) => {
    const labels = [...own, ...more]
    return `${id}${suffix}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${written(value)}`
  }
  switch (snapshot.type) {
    case "Counter":
      return [sample("", snapshot.state.count)]
    case "Gauge":
      return [sample("", snapshot.state.value)]
    case "Histogram": {
      const { buckets, count, sum } = snapshot.state
      const exemplars = Meter.exemplarsOf(snapshot.state)
      const bucket = (border: string, total: number, index: number) =>
        sample("_bucket", total, label("le", border)) + exemplar(exemplars[index])
      return [
        ...buckets.flatMap(([border, total], index) =>
          Number.isFinite(border) ? [bucket(pointed(border), total, index)] : []
        ),
        bucket("+Inf", count, buckets.length),
        sample("_sum", sum),
        sample("_count", count)
      ]
    }
    default:
      return []
  }
}

const exemplar = (one: Meter.Exemplar | undefined): string =>
  one === undefined
    ? ""
    : ` # {${label("trace_id", one.trace.traceId)},${label("span_id", one.trace.spanId)}} ${one.value} ${one.at / 1000}`

const label = (name: string, value: string): string => `${name}="${escaped(value).replaceAll("\"", "\\\"")}"`

/** As `PrometheusMetrics` of Effect has them. */
const labelName = (text: string): string =>
  text.replaceAll(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_").replaceAll(/_+/g, "_")

const metricName = (text: string): string =>
  text.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[\d:])/, "_").replaceAll(/_+/g, "_").replace(/_$/, "")

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const pointed = (border: number): string => Number.isInteger(border) ? border.toFixed(1) : String(border)

const written = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)
