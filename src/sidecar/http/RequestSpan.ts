/**
 * The span of a relayed request, where a tracer collects spans: within the one that the client has named, in the way of W3C or B3,
 * and named to whoever is asked next. Without a tracer what the client has named goes on as it is.
 */
import { Context, Exit, Option, Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"
import type * as Fields from "../../http/h1/Fields.ts"
import type * as RequestFields from "../../http/relay/RequestFields.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import type * as Meter from "../../observe/Meter.ts"
import * as Tracing from "../../observe/Tracing.ts"

/** Fields that name a span. */
export const names: ReadonlyArray<string> = [
  "traceparent",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags"
]

export interface RequestSpan {
  /** The fields that name it, each with its CRLF: in place of those of `names`. */
  readonly lines: string
  readonly end: (report: Relay.Report) => void
  /** Undefined: the span is not kept. */
  readonly trace: Meter.Trace | undefined
}

export interface About {
  readonly kind: "client" | "server"
  readonly method: string
  readonly source: string
  readonly destination: string
}

export const begin = (
  tracer: Tracer.Tracer,
  fields: Fields.Fields,
  { destination, kind, method, source }: About
): RequestSpan => {
  const parent = HttpTraceContext.fromHeaders(named(fields))
  const span = tracer.span({
    name: method,
    parent,
    annotations: Context.empty(),
    links: [],
    startTime: now(),
    kind,
    root: false,
    sampled: Option.match(parent, { onNone: () => true, onSome: ({ sampled }) => sampled })
  })
  span.attribute("http.request.method", method)
  span.attribute(Tracing.attributes.source, source)
  span.attribute(Tracing.attributes.destination, destination)
  return {
    trace: kept(span),
    lines: Object.entries(HttpTraceContext.toHeaders(span)).map(([name, value]) => `${name}: ${value}\r\n`).join(""),
    end: ({ attempts, end, own, status, upstream }) => {
      if (status > 0) span.attribute("http.response.status_code", status)
      if (upstream !== undefined) span.attribute(Tracing.attributes.address, upstream.remote)
      if (attempts > 1) span.attribute(Tracing.attributes.resent, attempts - 1)
      if (own !== undefined) span.attribute(Tracing.attributes.failure, own.details)
      span.end(now(), end === "answered" ? Exit.void : Exit.fail(end))
    }
  }
}

/** The span by which a request is found: ours, or else the one that its client has named. Undefined: there is none that is kept. */
export const traceOf = (
  span: RequestSpan | undefined,
  { fields, traced }: Pick<RequestFields.Request, "fields" | "traced">
): Meter.Trace | undefined => {
  if (span !== undefined) return span.trace
  if (!traced) return undefined
  return Option.getOrUndefined(Option.map(HttpTraceContext.fromHeaders(named(fields)), kept))
}

/** What a client names is shown elsewhere: only what can be an id is. */
const kept = ({ sampled, spanId, traceId }: Tracer.AnySpan): Meter.Trace | undefined =>
  sampled && /^[\da-f]{16,32}$/.test(traceId) && /^[\da-f]{16}$/.test(spanId) ? { traceId, spanId } : undefined

const named = (fields: Fields.Fields): Headers.Headers => {
  const found: Record<string, string> = {}
  for (const name of names) {
    const index = fields.indexOf(name)
    if (index >= 0) found[name] = fields.value(index)
  }
  return Headers.fromInput(found)
}

const now = (): bigint => BigInt(Date.now()) * 1_000_000n
