/** A tracer that keeps what it is told. */
import { Effect, Option, Tracer } from "effect"

export interface Spans {
  readonly tracer: Tracer.Tracer
  readonly all: ReadonlyArray<Tracer.Span>
  /** Those with this name and kind that the mesh has said something about, or the test has made; oldest first. */
  readonly named: (kind: Tracer.SpanKind, name: string) => ReadonlyArray<Tracer.Span>
}

export const collect = Effect.sync((): Spans => {
  const all: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      all.push(span)
      return span
    }
  })
  // A development agent in the same process has spans of its own.
  const ours = (span: Tracer.Span) => span.kind === "internal" || Object.keys(about(span)).length > 0
  return {
    tracer,
    all,
    named: (kind, name) => all.filter((span) => span.kind === kind && span.name === name && ours(span))
  }
})

/** The attributes of the mesh. */
export const about = (span: Tracer.Span): Readonly<Record<string, unknown>> =>
  Object.fromEntries([...span.attributes].filter(([name]) => name.startsWith("mesh.") || name.endsWith("resend_count")))

export const parentOf = (span: Tracer.Span): string | undefined =>
  Option.getOrUndefined(Option.map(span.parent, ({ spanId }) => spanId))
