/** What undici tells of one attempt at a `RoutedRequest`. What is of no use to the request any more ends here. */
import type * as Undici from "@effect/platform-node/Undici"
import type * as Retry from "../../route/Retry.ts"
import * as ForwardedHandler from "./ForwardedHandler.ts"
import * as ObservedRequest from "./ObservedRequest.ts"

type Handler = Undici.Dispatcher.DispatchHandler
type Controller = Undici.Dispatcher.DispatchController

/** The request that attempts are made at. */
export interface Whole {
  /** What the program controls it by. */
  readonly controller: Controller
  readonly begun: (attempt: AttemptHandler, controller: Controller, context: unknown) => void
  /** Something has moved. Whether the request still cares. */
  readonly isHeard: (attempt: AttemptHandler) => boolean
  /** All of the request is out. */
  readonly sent: () => void
  /** Whether the answer is handed on. Otherwise there is another attempt. */
  readonly accepts: (answer: Extract<Retry.Outcome, { readonly _tag: "Answered" }>) => boolean
  readonly ended: () => void
  readonly failed: (error: Error) => void
}

export class AttemptHandler extends ForwardedHandler.ForwardedHandler {
  readonly #whole: Whole
  #controller: Controller | undefined
  /** Its answer does not count. */
  isDropped = false
  isOver = false

  constructor(whole: Whole, handler: Handler) {
    super(handler)
    this.#whole = whole
  }

  get hasBegun(): boolean {
    return this.#controller !== undefined
  }

  abort(reason: Error): void {
    this.#controller?.abort(reason)
  }

  /** There is no use in it any more. */
  abandon(because: Error = new ObservedRequest.Abandoned()): void {
    if (!this.isOver) this.abort(this.isDropped ? new ObservedRequest.Abandoned() : because)
  }

  override onRequestStart(controller: Controller, context: unknown): void {
    this.#controller = controller
    this.#whole.begun(this, controller, context)
  }

  override onRequestUpgrade(
    ...[, status, headers, socket]: Parameters<NonNullable<Handler["onRequestUpgrade"]>>
  ): void {
    this.isOver = true
    if (!this.#whole.isHeard(this)) return void socket.destroy()
    this.#whole.ended()
    this.handler.onRequestUpgrade?.(this.#whole.controller, status, headers, socket)
  }

  override onResponseStarted(): void {
    if (this.#whole.isHeard(this)) super.onResponseStarted()
  }

  override onResponseStart(
    ...[, status, headers, message]: Parameters<NonNullable<Handler["onResponseStart"]>>
  ): void {
    if (!this.#whole.isHeard(this)) return
    this.isDropped = !this.#whole.accepts({
      _tag: "Answered",
      status,
      grpcStatus: headers["grpc-status"] === undefined ? undefined : Number(headers["grpc-status"]),
      rateLimited: headers["x-envoy-ratelimited"] !== undefined
    })
    if (!this.isDropped) super.onResponseStart(this.#whole.controller, status, headers, message)
  }

  override onResponseData(_: Controller, chunk: Buffer): void {
    if (!this.isDropped && this.#whole.isHeard(this)) super.onResponseData(this.#whole.controller, chunk)
  }

  override onResponseEnd(...[, trailers]: Parameters<NonNullable<Handler["onResponseEnd"]>>): void {
    this.isOver = true
    if (this.isDropped || !this.#whole.isHeard(this)) return
    this.#whole.ended()
    super.onResponseEnd(this.#whole.controller, trailers)
  }

  override onResponseError(_: Controller, error: Error): void {
    this.isOver = true
    if (!this.isDropped && this.#whole.isHeard(this)) this.#whole.failed(error)
  }

  override onBodySent(chunk: Buffer): void {
    if (this.#whole.isHeard(this)) super.onBodySent(chunk)
  }

  override onRequestSent(): void {
    if (!this.#whole.isHeard(this)) return
    this.#whole.sent()
    super.onRequestSent()
  }
}
