/**
 * What the mesh adds to the spans that Effect makes of HTTP, and spans of its own for connections. All of it only where a
 * tracer is there to take it: otherwise a request costs a look at the fiber. Names are stable: `docs/metrics.md`.
 */
import { Context, Effect, Fiber, Tracer } from "effect"

/** A span that somebody collects. */
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
  /** Where the instance is. */
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

/** Of the fiber that is running: the span that Effect made of this side of a request. Synchronous. */
export const current = (kind: "client" | "server"): Traced | undefined => {
  const fiber = Fiber.getCurrent()
  if (fiber === undefined || !isCollecting(fiber)) return undefined
  const { span } = fiber.cache
  return span?._tag === "Span" && span.kind === kind && span.sampled ? { span, fiber } : undefined
}

const isCollecting = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracer !== Tracer.nativeTracer && cache.tracerEnabled

/**
 * A span of the dialler within the one that it is for. Where there is none, none is made: connections that are kept do not
 * belong to anybody.
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
 * `tracestate` of the request that is being handled: what tracers on its way have to say, which is handed on as it is.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export const TraceState = Context.Reference<{ readonly traceId: string; readonly value: string } | undefined>(
  "effect-mesh/native/Tracing/TraceState",
  { defaultValue: () => undefined }
)

/** To be sent along with the span. */
export const traceStateOf = ({ fiber, span }: Traced): string | undefined => {
  const state = fiber.getRef(TraceState)
  return state?.traceId === span.traceId ? state.value : undefined
}
