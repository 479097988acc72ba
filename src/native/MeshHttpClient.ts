/**
 * Effect's `HttpClient` in the mesh: URLs name services (`http://api/…`, `http://api.service.consul/…`), instances are
 * chosen by a load balancer, and requests that found nobody are tried on another instance.
 *
 * Where the route of a request says when it is tried again, that holds. Otherwise it is retried on the schedule: what no instance
 * has begun to carry out; and what may have been carried out only where that does no harm, by its method (RFC 9110, section 9.2.2),
 * with a body that is still there to be sent again.
 *
 * A failure is Effect's `HttpClientError`; its cause, `failure` finds it, is a `RequestFailed` that names the instance. A refusal by
 * policy is an answer like any other unless `refusals` is `"error"`; `failure` and `denied` tell it from the application's own.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import { Effect, type Fiber, Function, Layer, Option, Result, Schedule, Tracer } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, type HttpClientResponse, Url } from "effect/http"
import * as Tracing from "../observe/Tracing.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as MeshDispatcher from "../outbound/http/MeshDispatcher.ts"
import * as MeshHttpResponse from "./MeshHttpResponse.ts"
import * as ResponseBuffer from "./ResponseBuffer.ts"
import * as RequestFailed from "../outbound/http/RequestFailed.ts"
import * as RouteRules from "../outbound/http/RouteRules.ts"
import type * as Resolver from "../outbound/Resolver.ts"

export interface Options extends MeshDispatcher.Options {
  /**
   * When to try another instance, in place of what routes say about retries. Default: as the route says; where it says nothing, at
   * once, twice. `Schedule.recurs(0)`: never.
   */
  readonly retry?: Schedule.Schedule<unknown, HttpClientError.HttpClientError> | undefined
  /**
   * What becomes of a request that policy refuses: the answer of the other side's mesh, a 403, or a failure that says so, for
   * callers that only know what an API declares, such as `HttpApiClient`. Default: `"response"`.
   */
  readonly refusals?: "response" | "error" | undefined
}

/**
 * What the mesh has to say about a failure, of a request or of the body of its answer, if it comes from there: also where
 * somebody else took its refusal for an answer that he can not make sense of.
 */
export const failure = (error: unknown): Option.Option<RequestFailed.RequestFailed> => {
  if (!HttpClientError.isHttpClientError(error)) return Option.none()
  if ("cause" in error.reason && error.reason.cause instanceof RequestFailed.RequestFailed) {
    return Option.some(error.reason.cause)
  }
  return error.response === undefined ? Option.none() : denied(error.response)
}

/** Whether an answer is the refusal of the other side's mesh, which no application has seen. */
export const denied = (
  response: HttpClientResponse.HttpClientResponse
): Option.Option<RequestFailed.RequestFailed> => {
  const why = response.headers["x-mesh-denied"]
  if (why === undefined) return Option.none()
  const { url } = response.request
  return Option.some(
    new RequestFailed.RequestFailed({
      service: URL.canParse(url) ? new URL(url).hostname : url,
      sent: true,
      reason: new RequestFailed.Denied({ status: response.status, why })
    })
  )
}

/**
 * What holds for the requests of `self` in place of what their routes say: times, and whether they are tried again.
 *
 *     http.get("http://reports/yearly").pipe(MeshHttpClient.override({ requestTimeoutMillis: 60_000 }))
 */
export const override =
  (overrides: MeshDispatcher.Overrides) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(self, NodeHttpClient.UndiciOptions, (options) => RouteRules.override(options, overrides))

export const make = (options: Options = {}): Effect.Effect<
  HttpClient.HttpClient,
  never,
  MeshDispatcher.MeshDispatcher
> =>
  Effect.gen(function*() {
    const dispatcher = yield* MeshDispatcher.MeshDispatcher
    // Who has a schedule of his own does not want another one below it.
    const undici = options.retry === undefined
      ? dispatcher.undici
      : dispatcher.undici.compose(MeshDispatcher.overriding({ retries: false }))
    const full = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, undici)
    const client = direct(undici, full)
    const schedule = options.retry ?? Schedule.recurs(options.overrides?.retries === false ? 0 : 2)
    const retrying = HttpClient.transform(client, (effect, request) =>
      Effect.suspend(() => {
        const since = performance.now()
        return Effect.catchIf(
          effect,
          (error) => mayRetry(request, error),
          (error) => elsewhere(effect, request, error, schedule, since)
        )
      }))
    return options.refusals === "error" ? HttpClient.transformResponse(retrying, Effect.flatMap(orDenied)) : retrying
  })

const orDenied = (
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Option.match(denied(response), {
    onNone: () => Effect.succeed(response),
    onSome: (cause) =>
      Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.StatusCodeError({
            request: response.request,
            response,
            cause,
            ...RequestFailed.described(cause)
          })
        })
      )
  })

/**
 * Requests without a stream to send and without an upgrade go to the dispatcher by a short way. Effect's own does the rest.
 */
const direct = (dispatcher: Undici.Dispatcher, full: HttpClient.HttpClient): HttpClient.HttpClient => {
  /** Spans, interruption, scopes and forgotten answers are looked after by Effect's client. */
  const tracked = HttpClient.make((request, url, signal, fiber) =>
    Effect.map(
      send(dispatcher, request, url, fiber.getRef(NodeHttpClient.UndiciOptions), signal),
      (reply) => new MeshHttpResponse.MeshHttpResponse(request, url, reply)
    )
  )

  const untracked = (
    request: HttpClientRequest.HttpClientRequest,
    url: URL,
    options: Partial<Undici.Dispatcher.DispatchOptions>
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(send(dispatcher, request, url, options, undefined)), (reply) => {
        const response = new MeshHttpResponse.MeshHttpResponse(request, url, reply)
        return reply.ended ? Effect.succeed(response) : track(response, reply)
      })
    )

  return HttpClient.makeWith(
    (requests: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError.HttpClientError>) =>
      Effect.flatMap(requests, (request) =>
        Effect.withFiber((fiber) => {
          const traces = !fiber.getRef(Tracer.DisablePropagation) &&
            !fiber.getRef(HttpClient.TracerDisabledWhen)(request)
          const spans = traces && Tracing.isSeen(fiber)
          const sent = traces && !spans ? inTrace(request, fiber) : request
          if (sent.body._tag === "Stream" || sent.body._tag === "FormData" || "upgrade" in sent.headers) {
            const sending = Effect.mapError(full.execute(sent), explained)
            return spans ? sending : Effect.provideService(sending, HttpClient.TracerDisabledWhen, Function.constTrue)
          }
          if (spans) return tracked.execute(sent)
          const url = Url.make(sent.url, sent.urlParams, undefined)
          return Result.isFailure(url)
            ? tracked.execute(sent)
            : untracked(sent, url.success, fiber.getRef(NodeHttpClient.UndiciOptions))
        })),
    Effect.succeed
  )
}

/** For who makes no span of its own: the trace of the fiber goes on. */
const inTrace = (
  request: HttpClientRequest.HttpClientRequest,
  fiber: Fiber.Fiber<unknown, unknown>
): HttpClientRequest.HttpClientRequest => {
  const headers = fiber.getRef(HttpClient.TracerPropagationEnabled) ? Tracing.passedOn(fiber) : undefined
  if (headers === undefined) return request
  const { tracestate } = request.headers
  return HttpClientRequest.setHeaders(request, tracestate === undefined ? headers : { ...headers, tracestate })
}

const send = (
  dispatcher: Undici.Dispatcher,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  options: Partial<Undici.Dispatcher.DispatchOptions>,
  signal: AbortSignal | undefined
): Effect.Effect<ResponseBuffer.ResponseBuffer, HttpClientError.HttpClientError> =>
  Effect.callback((resume) => {
    const reply = new ResponseBuffer.ResponseBuffer(
      (reply) => resume(Effect.succeed(reply)),
      (cause) => resume(Effect.fail(noAnswer(request, cause)))
    )
    dispatcher.dispatch({
      ...options,
      method: request.method,
      headers: request.headers,
      origin: url.origin,
      path: url.pathname + url.search,
      body: "body" in request.body ? request.body.body : null,
      // As in Effect's: these are what `Effect.timeout` is for.
      headersTimeout: 3_600_000,
      bodyTimeout: 0
    } as Undici.Dispatcher.DispatchOptions, reply)
    const abort = () => reply.abort()
    if (signal?.aborted === true) abort()
    signal?.addEventListener("abort", abort, { once: true })
    return Effect.sync(abort)
  })

/** Has Effect's client look after an answer that is still coming in. */
const track = (response: MeshHttpResponse.MeshHttpResponse, reply: ResponseBuffer.ResponseBuffer) =>
  HttpClient.make((_request, _url, signal) => {
    signal.addEventListener("abort", () => reply.abort(), { once: true })
    return Effect.succeed(response)
  }).execute(response.request)

/** With a message that tells what a `RequestFailed` tells. */
const noAnswer = (
  request: HttpClientRequest.HttpClientRequest,
  cause: unknown
): HttpClientError.HttpClientError =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, cause, ...RequestFailed.described(cause) })
  })

const explained = (error: HttpClientError.HttpClientError): HttpClientError.HttpClientError =>
  error.reason._tag === "TransportError" ? noAnswer(error.reason.request, error.reason.cause) : error

/** The first failure is the schedule's first input; what it named is what to avoid. Most requests never come here. */
const elsewhere = <R>(
  effect: Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError, R>,
  request: HttpClientRequest.HttpClientRequest,
  first: HttpClientError.HttpClientError,
  schedule: Schedule.Schedule<unknown, HttpClientError.HttpClientError>,
  since: number
) =>
  Effect.flatMap(NodeHttpClient.UndiciOptions, (inherited) => {
    if (RouteRules.overridesOf(inherited)?.retries === false) return Effect.fail(first)
    const attempts = new MeshDispatcher.Attempts()
    attempts.made = 1
    attempts.since = since
    Option.map(failure(first), ({ instance }) => instance !== undefined && attempts.tried.add(instance))
    let failed = false
    const again = Effect.suspend(() => {
      if (failed) return effect
      failed = true
      return Effect.fail(first)
    })
    return Effect.retry(again, { schedule, while: (error) => mayRetry(request, error) }).pipe(
      Effect.provideService(NodeHttpClient.UndiciOptions, {
        ...inherited,
        // undici hands it back with the answer, where nobody looks at it.
        opaque: attempts as never
      })
    )
  })

/** Also gives the dispatcher, for its statistics and for code that is not Effect. */
export const layer = (options: Options = {}): Layer.Layer<
  HttpClient.HttpClient | MeshDispatcher.MeshDispatcher,
  never,
  SecureContexts.SecureContexts | Resolver.Sources
> => Layer.provideMerge(Layer.effect(HttpClient.HttpClient, make(options)), MeshDispatcher.layer(options))

const mayRetry = (request: HttpClientRequest.HttpClientRequest, error: HttpClientError.HttpClientError): boolean =>
  Option.match(failure(error), {
    onNone: () => false,
    // The route has had its say about attempts, or there is no time left.
    onSome: ({ attempts, instance, reason, sent }) =>
      attempts === undefined && reason._tag !== "RouteTimedOut" && instance !== undefined && (sent
        ? idempotent.has(request.method) && isThere(request.body)
        // A stream may have been begun on where a connection was lost: not where there was none.
        : isThere(request.body) || (request.body._tag !== "Raw" && reason._tag !== "ConnectionLost"))
  })

/** To be sent again, whatever has been sent of it. */
const isThere = (body: HttpClientRequest.HttpClientRequest["body"]): boolean =>
  body._tag === "Empty" || body._tag === "Uint8Array"

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
