/** A handler of undici that hands on all that it hears. What changes something of that overrides it. */
import type * as Undici from "@effect/platform-node/Undici"

type Handler = Undici.Dispatcher.DispatchHandler

export class ForwardedHandler implements Handler {
  readonly handler: Handler

  constructor(handler: Handler) {
    this.handler = handler
  }

  onRequestStart(...said: Parameters<NonNullable<Handler["onRequestStart"]>>): void {
    this.handler.onRequestStart?.(...said)
  }

  onRequestUpgrade(...said: Parameters<NonNullable<Handler["onRequestUpgrade"]>>): void {
    this.handler.onRequestUpgrade?.(...said)
  }

  onResponseStarted(): void {
    this.handler.onResponseStarted?.()
  }

  onResponseStart(...said: Parameters<NonNullable<Handler["onResponseStart"]>>): void {
    this.handler.onResponseStart?.(...said)
  }

  onResponseData(controller: Undici.Dispatcher.DispatchController, chunk: Buffer): void {
    this.handler.onResponseData?.(controller, chunk)
  }

  onResponseEnd(...said: Parameters<NonNullable<Handler["onResponseEnd"]>>): void {
    this.handler.onResponseEnd?.(...said)
  }

  onResponseError(controller: Undici.Dispatcher.DispatchController, error: Error): void {
    this.handler.onResponseError?.(controller, error)
  }

  onBodySent(chunk: Buffer): void {
    this.handler.onBodySent?.(chunk)
  }

  onRequestSent(): void {
    this.handler.onRequestSent?.()
  }
}
