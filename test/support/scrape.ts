/** What Prometheus would see. */
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

/** Runs with a registry of its own. */
export const fresh = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(self, Metric.MetricRegistry, new Map()))

export type Samples = Readonly<Record<string, number>>

/** By name and labels, as they are printed. Dies on a line that Prometheus would not take. */
export const samples: Effect.Effect<Samples> = Effect.map(PrometheusMetrics.format(), (text) => parse(text).samples)

export interface Scrape {
  readonly samples: Samples
  /** By name. */
  readonly types: Readonly<Record<string, string>>
  /** The attributes of each metric, `le` left out. */
  readonly labels: Readonly<Record<string, ReadonlyArray<string>>>
}

const sample =
  /^([a-z_]+?)((?:_bucket|_sum|_count)?)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+|[+-]Inf)$/

/** After https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const parse = (text: string): Scrape => {
  const samples: Record<string, number> = {}
  const types: Record<string, string> = {}
  const labels: Record<string, ReadonlyArray<string>> = {}
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      types[type[1]!] = type[2]!
      continue
    }
    const match = sample.exec(line)
    if (match === null) throw new Error(`no line that Prometheus takes: ${line}`)
    const [, name, suffix, attributes = "", value] = match
    samples[`${name}${suffix}${attributes}`] = value === "+Inf" ? Infinity : Number(value)
    labels[name!] = [...attributes.matchAll(/([a-z_]+)="/g)].map(([, label]) => label!).filter((label) =>
      label !== "le"
    )
  }
  return { samples, types, labels }
}
