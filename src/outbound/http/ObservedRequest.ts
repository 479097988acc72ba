/** Follows one request through undici for the pool, the metrics and its span; hands everything on. */
import * as Http2 from "node:http2"
import type * as Undici from "@effect/platform-node/Undici"
import type { Tracer } from "effect"
import * as DialError from "../DialError.ts"
import * as ForwardedHandler from "./ForwardedHandler.ts"
import * as RequestFailed from "./RequestFailed.ts"
import type * as Upstream from "./Upstream.ts"
import * as Tracing from "../../observe/Tracing.ts"

/** An attempt that is of no use any more. */
export class Abandoned extends Error {
  override readonly name = "Abandoned"
}

type Answered = (code: number | string, since: number | undefined) => void

export class ObservedRequest extends ForwardedHandler.ForwardedHandler {
  readonly picked: Upstream.Picked
  readonly answered: Answered
  readonly span: Tracer.Span | undefined
  readonly since = performance.now()
  started = false
  status = 0
  over = false

  constructor(
    handler: Undici.Dispatcher.DispatchHandler,
    picked: Upstream.Picked,
    answered: Answered,
    span: Tracer.Span | undefined
  ) {
    super(handler)
    this.picked = picked
    this.answered = answered
    this.span = span
  }

  finish(code: number | string, succeeded: boolean | undefined): void {
    if (this.over) return
    this.over = true
    const { instance, upstream } = this.picked
    instance.end()
    this.answered(code, code === "unreachable" ? undefined : this.since)
    if (succeeded !== undefined) upstream.report(instance, succeeded)
  }

  override onRequestStart(controller: Undici.Dispatcher.DispatchController, context: unknown): void {
    this.started = true
    this.handler.onRequestStart?.(controller, context)
  }

  override onRequestUpgrade(
    ...[controller, status, headers, socket]: Parameters<
      NonNullable<Undici.Dispatcher.DispatchHandler["onRequestUpgrade"]>
    >
  ): void {
    this.finish(status, true)
    this.handler.onRequestUpgrade?.(controller, status, headers, socket)
  }

  override onResponseStart(
    ...[controller, status, headers, message]: Parameters<
      NonNullable<Undici.Dispatcher.DispatchHandler["onResponseStart"]>
    >
  ): void {
    this.status = status
    if (this.span !== undefined && headers["x-mesh-denied"] !== undefined) {
      this.span.attribute(Tracing.attributes.refused, String(headers["x-mesh-denied"]))
    }
    this.handler.onResponseStart?.(controller, status, headers, message)
  }

  override onResponseEnd(
    ...[controller, trailers]: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseEnd"]>>
  ): void {
    this.finish(this.status, this.status < 500)
    this.handler.onResponseEnd?.(controller, trailers)
  }

  override onResponseError(controller: Undici.Dispatcher.DispatchController, error: Error): void {
    if (error instanceof RequestFailed.RouteTimedOut) {
      this.finish("timed_out", error.limit === "request" ? false : undefined)
      this.span?.attribute(Tracing.attributes.failure, error._tag)
      return this.handler.onResponseError?.(controller, error)
    }
    if (error instanceof Abandoned) {
      if (this.status === 0) this.finish("cancelled", undefined)
      else this.finish(this.status, this.status < 500)
      return this.handler.onResponseError?.(controller, error)
    }
    const cancelled = error.name === "AbortError"
    const reason = isDialReason(error) ? error : new RequestFailed.ConnectionLost({ code: codeOf(error) })
    this.finish(cancelled ? "cancelled" : this.started ? "reset" : "unreachable", cancelled ? undefined : false)
    if (!cancelled) this.span?.attribute(Tracing.attributes.failure, reason._tag)
    if (cancelled) return this.handler.onResponseError?.(controller, error)
    const { instance: { address, id: instance }, upstream } = this.picked
    this.handler.onResponseError?.(
      controller,
      new RequestFailed.RequestFailed({
        service: upstream.service,
        instance,
        address,
        sent: this.started && !(this.status === 0 && isUntouched(error)),
        reason
      })
    )
  }
}

const isDialReason = (error: Error): error is DialError.Reason =>
  error instanceof DialError.ConnectFailed || error instanceof DialError.HandshakeFailed ||
  error instanceof DialError.UnexpectedIdentity || error instanceof DialError.TimedOut

/**
 * The instance says that it has not looked at the request (RFC 9113, section 8.7): by resetting its stream as refused, or by
 * a GOAWAY that leaves it out, of which undici tells in words only.
 */
const isUntouched = (error: Error): boolean =>
  ("http2ErrorCode" in error && error.http2ErrorCode === Http2.constants.NGHTTP2_REFUSED_STREAM) ||
  error.message.startsWith("HTTP/2: \"GOAWAY\" frame received")

const codeOf = (error: Error): string => "code" in error ? String(error.code) : error.message
