/**
 * Attributes that the mesh adds to Effect's spans of HTTP, and spans of its own for connections. Without a tracer a request costs
 * one look at the fiber, and nothing else. Names are stable: `docs/metrics.md`.
 */
import { Context, Effect, Fiber, Tracer } from "effect"

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
export const traceStateOf = ({ fiber, span }: Traced): string | undefined => {
  const state = fiber.getRef(TraceState)
  return state?.traceId === span.traceId ? state.value : undefined
}
