/** undici's face of the mesh: leads each request to an instance of the service that its origin names. */
import * as Undici from "@effect/platform-node/Undici"
import { Effect, Result, type Tracer } from "effect"
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as HttpMetrics from "../../observe/HttpMetrics.ts"
import * as Tracing from "../../observe/Tracing.ts"
import * as DialError from "../DialError.ts"
import * as Tried from "../Tried.ts"
import { Attempts } from "./Attempts.ts"
import * as ChangedAnswer from "./ChangedAnswer.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import * as ObservedRequest from "./ObservedRequest.ts"
import type * as Origins from "./Origins.ts"
import * as RequestFailed from "./RequestFailed.ts"
import * as RequestView from "./RequestView.ts"
import * as ResentBody from "./ResentBody.ts"
import * as RoutedRequest from "./RoutedRequest.ts"
import * as RouteRules from "./RouteRules.ts"
import type * as Services from "./Services.ts"
import type * as Upstream from "./Upstream.ts"

export interface Options {
  /** The calling service. */
  readonly source: string
  readonly originOf: (origin: string) => Origins.Origin
  readonly services: Services.Services
  readonly maxServices: number
  /** For all requests, unless they have their own. */
  readonly overrides: RouteRules.Overrides | undefined
  readonly metrics: HttpMetrics.HttpMetrics
  /** Counts one more attempt at a request. */
  readonly countRetry: (service: string) => void
  /** Runs requests that wait, and interrupts them as the mesh closes. */
  readonly run: (effect: Effect.Effect<void>) => void
  readonly isClosed: () => boolean
}

/** A request as undici hands it over. */
interface Request {
  readonly options: Undici.Dispatcher.DispatchOptions
  readonly handler: Undici.Dispatcher.DispatchHandler
  /** Of its URL, with the port. */
  readonly host: string
  readonly traced: Tracing.Traced | undefined
}

/** A request on its way, as it came but for what it must have. */
interface Sending {
  readonly request: Request
  readonly complete: Undici.Dispatcher.DispatchOptions
  readonly view: HttpRequest.HttpRequest
  /** That was asked for. */
  readonly service: string
}

export class Dispatcher extends Undici.Dispatcher {
  readonly #older = new Undici.Dispatcher1Wrapper(this)
  readonly #options: Options

  constructor(options: Options) {
    super()
    this.#options = options
  }

  override dispatch(
    options: Undici.Dispatcher.DispatchOptions,
    handler: Undici.Dispatcher.DispatchHandler
  ): boolean {
    // Handlers of older versions of undici: Node's own `fetch` has them.
    if (handler.onRequestStart === undefined) return this.#older.dispatch(options, handler)
    const { isClosed, maxServices, originOf, services } = this.#options
    const { host, hostname, named } = originOf(String(options.origin))
    if (Result.isFailure(named)) {
      fail(handler, new RequestFailed.RequestFailed({ service: hostname, sent: false, reason: named.failure }))
      return true
    }
    const { name } = named.success
    const request = { options, handler, host, traced: Tracing.current("client") }
    if (isClosed()) return this.#unreachable(request, name, RequestFailed.closed)
    const service = services.get(named.success)
    if (service === undefined) {
      return this.#unreachable(request, name, new DialError.UnknownName({ name, why: tooMany(maxServices) }))
    }
    service.usedAt = performance.now()
    const ready = service.ready()
    if (ready !== undefined) return this.#send(ready, request)
    this.#sendOnceReady(service, request, name)
    return true
  }

  #sendOnceReady(service: Services.Service, request: Request, name: string): void {
    this.#options.run(
      service.wait.pipe(
        Effect.match({
          onSuccess: (upstream) => {
            this.#send(upstream, request)
          },
          onFailure: (reason) => {
            this.#unreachable(request, name, reason)
          }
        }),
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            this.#unreachable(request, name, RequestFailed.closed)
          })
        )
      )
    )
  }

  #send(upstream: Upstream.Upstream, request: Request): boolean {
    const { options } = request
    const attempts = "opaque" in options && options.opaque instanceof Attempts ? options.opaque : undefined
    const complete = withHeaders(request, recordOf(options.headers))
    const view = RequestView.of(complete)
    const picked = upstream.pick(attempts?.tried ?? Tried.none, view)
    if (!("upstream" in picked)) return this.#unreachable(request, upstream.service, picked)
    const sending = { request, complete, view, service: upstream.service }
    const overrides = RouteRules.overridesOf(options, this.#options.overrides)
    const rules = RouteRules.of(picked.way?.route, overrides)
    return rules === undefined
      ? this.#attempt(sending, picked, answering(sending, picked), attempts)
      : this.#route(sending, picked, rules, overrides, attempts ?? new Attempts())
  }

  #route(
    sending: Sending,
    picked: Upstream.Picked,
    rules: RouteRules.RouteRules,
    overrides: RouteRules.Overrides | undefined,
    attempts: Attempts
  ): boolean {
    const { complete, request: { handler }, service } = sending
    return new RoutedRequest.RoutedRequest({
      rules,
      handler,
      answering: (picked) => answering(sending, picked),
      body: rules.retry === undefined ? ResentBody.once(complete.body) : ResentBody.of(complete.body),
      tried: attempts.tried,
      sinceMillis: attempts.since === undefined ? 0 : performance.now() - attempts.since,
      send: (picked, handler, body) =>
        this.#attempt({ ...sending, complete: { ...complete, body: body ?? null } }, picked, handler, attempts),
      later: (millis, then, closed) => this.#later(millis, then, closed),
      saidBy: (limit) => RouteRules.saidBy(limit, service, picked.way?.route, overrides)
    }, picked).send()
  }

  #attempt(
    { complete, request: { traced }, service, view }: Sending,
    picked: Upstream.Picked,
    handler: Undici.Dispatcher.DispatchHandler,
    attempts: Attempts | undefined
  ): boolean {
    const { countRetry, metrics, source } = this.#options
    const { instance } = picked
    if (attempts !== undefined) {
      if (attempts.made++ > 0) countRetry(service)
      attempts.tried.add(instance.id)
    }
    if (traced !== undefined) describe(traced.span, source, instance, attempts)
    const observed = new ObservedRequest.ObservedRequest(
      handler,
      picked,
      (code, since) => metrics.answered(source, service, code, since),
      traced?.span
    )
    return instance.resource.dispatch(RequestView.changed(complete, view, picked), observed, traced)
  }

  /** Neither is called after what it returns. */
  #later(millis: number, then: () => void, closed: () => void): () => void {
    let cancelled = false
    const unlessCancelled = (call: () => void) =>
      Effect.sync(() => {
        if (!cancelled) call()
      })
    this.#options.run(
      Effect.sleep(millis).pipe(
        Effect.andThen(unlessCancelled(then)),
        Effect.onInterrupt(() => unlessCancelled(closed))
      )
    )
    return () => {
      cancelled = true
    }
  }

  #unreachable({ handler, traced }: Request, service: string, reason: RequestFailed.Reason): true {
    const { metrics, source } = this.#options
    metrics.answered(source, service, "unreachable", undefined)
    traced?.span.attribute(Tracing.attributes.source, source)
    traced?.span.attribute(Tracing.attributes.destination, service)
    traced?.span.attribute(Tracing.attributes.failure, reason._tag)
    fail(handler, new RequestFailed.RequestFailed({ service, sent: false, reason }))
    return true
  }
}

const answering = (
  { request: { handler }, view }: Sending,
  picked: Upstream.Picked
): Undici.Dispatcher.DispatchHandler =>
  RequestView.changesAnswer(picked) ? new ChangedAnswer.ChangedAnswer(handler, view, picked) : handler

const tooMany = (limit: number): string =>
  `${limit} other services are being called at this moment, and no more are watched. Raise maxServices if these are not ` +
  "names that outsiders have chosen"

const describe = (
  span: Tracer.Span,
  source: string,
  { address, id, service }: HttpUpstream.Instance,
  attempts: Attempts | undefined
): void => {
  span.attribute(Tracing.attributes.source, source)
  span.attribute(Tracing.attributes.destination, service)
  span.attribute(Tracing.attributes.instance, id)
  span.attribute(Tracing.attributes.address, address)
  if (attempts !== undefined) span.attribute(Tracing.attributes.resent, attempts.made - 1)
}

/** For a request that has not begun. */
const fail = (handler: Undici.Dispatcher.DispatchHandler, error: Error): void =>
  handler.onResponseError?.({
    aborted: true,
    paused: false,
    reason: error,
    abort: () => {},
    pause: () => {},
    resume: () => {}
  }, error)

type Headers = Readonly<Record<string, string | Array<string> | undefined>>

const recordOf = (headers: Undici.Dispatcher.DispatchOptions["headers"]): Headers | undefined =>
  headers === undefined || headers === null
    ? {}
    : Array.isArray(headers) || Symbol.iterator in headers
    ? undefined
    : headers as Headers

/** Adds `host` and `tracestate` where the request has none of its own. */
const withHeaders = (
  { host, options, traced }: Request,
  headers: Headers | undefined
): Undici.Dispatcher.DispatchOptions => {
  if (headers === undefined) return options
  const state = traced === undefined || headers["tracestate"] !== undefined ? undefined : Tracing.traceStateOf(traced)
  const named = headers["host"] === undefined ? { ...headers, host } : headers
  if (state !== undefined) return { ...options, headers: { ...named, tracestate: state } }
  return named === headers ? options : { ...options, headers: named }
}
