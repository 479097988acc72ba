/**
 * Which requests get a span of Effect's: those whose span somebody sees. The others are handled within the span that they name, so
 * that what is asked and logged on their behalf stays in their trace.
 */
import { Effect, Tracer } from "effect"
import { HttpMiddleware, HttpServerRequest } from "effect/http"
import * as Tracing from "../observe/Tracing.ts"

export interface ServerSpans {
  /** Decides for what the handlers of Effect's server take along. */
  readonly decided: <A, E, R>(making: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly within: <A, E, R>(
    handling: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R | HttpServerRequest.HttpServerRequest>
}

export const make: Effect.Effect<ServerSpans> = Effect.gen(function*() {
  const collected = (yield* Tracing.collector) !== undefined
  const disabled = yield* HttpMiddleware.TracerDisabledWhen
  return {
    decided: Effect.provideService(
      HttpMiddleware.TracerDisabledWhen,
      collected
        ? (request) => disabled(request) || Tracing.named(request.headers)?.sampled === false
        : () => true
    ),
    within: (handling) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const { headers } = request
        const span = Tracing.named(headers)
        if (span === undefined || disabled(request)) return handling
        const handled = collected && span.sampled
          ? handling
          : Effect.provideService(handling, Tracer.ParentSpan, span)
        const value = "traceparent" in headers ? headers["tracestate"] : undefined
        return value === undefined
          ? handled
          : Effect.provideService(handled, Tracing.TraceState, { traceId: span.traceId, value })
      })
  }
})
