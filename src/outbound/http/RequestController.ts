/** The controller that a program has of its request, whichever attempt is under way, or none between two. */
import type * as Undici from "@effect/platform-node/Undici"

type Controller = Undici.Dispatcher.DispatchController

export class RequestController implements Controller {
  readonly #onAbort: (reason: Error) => void
  #attempt: Controller | undefined
  #paused = false
  #reason: Error | null = null

  constructor(onAbort: (reason: Error) => void) {
    this.#onAbort = onAbort
  }

  /** Controls this attempt from now on. */
  follow(attempt: Controller | undefined): void {
    this.#attempt = attempt
    if (this.#paused) attempt?.pause()
  }

  get aborted(): boolean {
    return this.#reason !== null
  }

  get reason(): Error | null {
    return this.#reason
  }

  get paused(): boolean {
    return this.#paused
  }

  get rawHeaders(): NonNullable<Controller["rawHeaders"]> | null {
    return this.#attempt?.rawHeaders ?? null
  }

  set rawHeaders(headers: NonNullable<Controller["rawHeaders"]> | null) {
    if (this.#attempt !== undefined) this.#attempt.rawHeaders = headers
  }

  get rawTrailers(): NonNullable<Controller["rawTrailers"]> | null {
    return this.#attempt?.rawTrailers ?? null
  }

  abort(reason: Error): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#onAbort(reason)
  }

  pause(): void {
    this.#paused = true
    this.#attempt?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#attempt?.resume()
  }
}
