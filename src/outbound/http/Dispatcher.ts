/** undici's face of the mesh: leads each request to an instance of the service that its origin names. */
import * as Undici from "@effect/platform-node/Undici"
import { Effect, Result, type Tracer } from "effect"
import type * as HttpMetrics from "../../observe/HttpMetrics.ts"
import * as Tracing from "../../observe/Tracing.ts"
import * as DialError from "../DialError.ts"
import { Attempts } from "./Attempts.ts"
import * as ChangedAnswer from "./ChangedAnswer.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import * as ObservedRequest from "./ObservedRequest.ts"
import type * as Origins from "./Origins.ts"
import * as RequestFailed from "./RequestFailed.ts"
import * as RequestView from "./RequestView.ts"
import type * as Services from "./Services.ts"
import type * as Upstream from "./Upstream.ts"

export interface Options {
  /** The calling service. */
  readonly source: string
  readonly originOf: (origin: string) => Origins.Origin
  readonly services: Services.Services
  readonly maxServices: number
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
    if (isClosed()) return this.#unreachable(request, name, closed)
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
            this.#unreachable(request, name, closed)
          })
        )
      )
    )
  }

  #send(upstream: Upstream.Upstream, request: Request): boolean {
    const { countRetry, metrics, source } = this.#options
    const { handler, options, traced } = request
    const attempts = "opaque" in options && options.opaque instanceof Attempts ? options.opaque : undefined
    const complete = withHeaders(request, recordOf(options.headers))
    const view = RequestView.of(complete)
    const picked = upstream.pick(attempts?.tried ?? none, view)
    if (!("upstream" in picked)) return this.#unreachable(request, upstream.service, picked)
    const { instance } = picked
    if (attempts !== undefined) {
      if (attempts.made++ > 0) countRetry(upstream.service)
      attempts.tried.add(instance.id)
    }
    if (traced !== undefined) describe(traced.span, source, instance, attempts)
    const observed = new ObservedRequest.ObservedRequest(
      RequestView.changesAnswer(picked) ? new ChangedAnswer.ChangedAnswer(handler, view, picked) : handler,
      picked,
      (code, since) => metrics.answered(source, upstream.service, code, since),
      traced?.span
    )
    return instance.resource.dispatch(RequestView.changed(complete, view, picked), observed, traced)
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

const tooMany = (limit: number): string =>
  `${limit} other services are being called at this moment, and no more are watched. Raise maxServices if these are not ` +
  "names that outsiders have chosen"

const none: ReadonlySet<string> = new Set()

const closed = new RequestFailed.ConnectionLost({ code: "UND_ERR_DESTROYED" })

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
