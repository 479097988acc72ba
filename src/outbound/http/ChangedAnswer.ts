/** Hands on an answer with the headers that its route and its leg give it, and the cookie that was made to balance by. */
import type * as Undici from "@effect/platform-node/Undici"
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import * as ForwardedHandler from "./ForwardedHandler.ts"
import * as RequestView from "./RequestView.ts"
import type * as Upstream from "./Upstream.ts"

export class ChangedAnswer extends ForwardedHandler.ForwardedHandler {
  readonly #request: HttpRequest.HttpRequest
  readonly #picked: Upstream.Picked

  constructor(handler: Undici.Dispatcher.DispatchHandler, request: HttpRequest.HttpRequest, picked: Upstream.Picked) {
    super(handler)
    this.#request = request
    this.#picked = picked
  }

  override onResponseStart(
    ...[controller, status, headers, message]: Parameters<
      NonNullable<Undici.Dispatcher.DispatchHandler["onResponseStart"]>
    >
  ): void {
    const raw = RequestView.answered(headers, status, this.#request, this.#picked)
    // `fetch` reads these, not the others.
    controller.rawHeaders = raw.map((text) => Buffer.from(text, "latin1"))
    super.onResponseStart(controller, status, RequestView.recordOf(raw), message)
  }
}
