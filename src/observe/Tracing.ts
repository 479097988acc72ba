/**
 * Attributes that the mesh adds to Effect's spans of HTTP, and spans of its own for connections. Without a tracer a request costs
 * one look at the fiber, and nothing else. Names are stable: `docs/metrics.md`.
 *
 * Nobody sees a span that no tracer collects, nor one within a span that is not sampled: none is made. The trace goes on
 * all the same, under the last span that was.
 */
import { Context, Effect, Fiber, Option, Tracer } from "effect"
import { type Headers, HttpTraceContext } from "effect/http"

/** A span that a tracer collects. */
export interface Traced {
  readonly span: Tracer.Span
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/** The attributes of spans. */
export const attributes = {
  /** The calling service. */
  source: "mesh.source",
  /** The service that is called. */
  destination: "mesh.destination",
  /** The caller's SPIFFE id. */
  peer: "mesh.peer",
  /** Node and service id of the instance that was chosen. */
  instance: "mesh.instance",
  /** The address of the instance. */
  address: "mesh.address",
  /** Why a request was refused. */
  refused: "mesh.refused",
  /** The tag of the reason for which there is no answer, or no connection. */
  failure: "mesh.failure",
  /** How many instances were tried before. OpenTelemetry's name. */
  resent: "http.request.resend_count"
} as const

/** The name of a span of the dialler: TCP, TLS and the verification of one instance. */
export const dial = "mesh.dial"

/** The span that Effect made for this side of a request, from the running fiber. Synchronous. */
export const current = (kind: "client" | "server"): Traced | undefined => {
  const fiber = Fiber.getCurrent()
  if (fiber === undefined || !isCollecting(fiber)) return undefined
  const { span } = fiber.cache
  return span?._tag === "Span" && span.kind === kind && span.sampled ? { span, fiber } : undefined
}

const isCollecting = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracer !== Tracer.nativeTracer && cache.tracerEnabled

/** Whether a span that the fiber makes now is seen by anybody. */
export const isSeen = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  isCollecting(fiber) && fiber.cache.span?.sampled !== false

/** The span that the headers of a request name, in the way of W3C or B3. */
export const named = (headers: Headers.Headers): Tracer.ExternalSpan | undefined =>
  "traceparent" in headers || "b3" in headers || "x-b3-traceid" in headers
    ? Option.getOrUndefined(HttpTraceContext.fromHeaders(headers)) as Tracer.ExternalSpan | undefined
    : undefined

/** The headers that carry on the trace of a fiber which makes no span for what it asks. Undefined: it is in no trace. */
export const passedOn = (fiber: Fiber.Fiber<unknown, unknown>): Readonly<Record<string, string>> | undefined => {
  const span = propagated(fiber.cache.span)
  if (span === undefined) return undefined
  const flag = span.sampled ? "1" : "0"
  const tracestate = traceStateOf({ span, fiber })
  return {
    b3: `${span.traceId}-${span.spanId}-${flag}`,
    traceparent: `00-${span.traceId.padStart(32, "0")}-${span.spanId}-0${flag}`,
    ...(tracestate === undefined ? {} : { tracestate })
  }
}

/** Without those that are not to be told to anybody. */
const propagated = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined => {
  let at = span
  while (at !== undefined && Context.get(at.annotations, Tracer.DisablePropagation)) {
    at = at._tag === "Span" ? Option.getOrUndefined(at.parent) : undefined
  }
  return at
}

/** What collects spans, for requests that no fiber handles. Undefined: nobody does. */
export const collector: Effect.Effect<Tracer.Tracer | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(isCollecting(fiber) ? fiber.cache.tracer : undefined)
)

/**
 * A span of the dialler within the span of its request. Without such a span none is made: a kept connection belongs to no
 * request.
 */
export const dialling = <A, E extends { readonly _tag: string }, R>(
  self: Effect.Effect<A, E, R>,
  about: Readonly<Record<string, string>>,
  within?: Traced
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const collector = within?.fiber ?? fiber
    const parent = within?.span ?? fiber.cache.span
    if (parent === undefined || !parent.sampled || !isCollecting(collector)) return self
    return self.pipe(
      Effect.tapError(({ _tag }) => Effect.annotateCurrentSpan(attributes.failure, _tag)),
      Effect.withSpan(dial, { parent, kind: "client", attributes: about }, { captureStackTrace: false }),
      Effect.provideService(Tracer.Tracer, collector.cache.tracer ?? Tracer.nativeTracer)
    )
  })

/**
 * `tracestate` of the request that is being handled: the data of tracers on its way, passed on unchanged.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export const TraceState = Context.Reference<{ readonly traceId: string; readonly value: string } | undefined>(
  "effect-mesh/native/Tracing/TraceState",
  { defaultValue: () => undefined }
)

/** Sent along with the span. */
export const traceStateOf = (
  { fiber, span }: { readonly span: Tracer.AnySpan; readonly fiber: Traced["fiber"] }
): string | undefined => {
  const state = fiber.getRef(TraceState)
  return state?.traceId === span.traceId ? state.value : undefined
}
