/** Tells when a request has taken too long: as a whole, or by its silence. */
import type * as HttpRoutes from "../../route/HttpRoutes.ts"

export interface Options extends HttpRoutes.Times {
  /** The program does not take what there is: that is no silence. */
  readonly isPaused: () => boolean
  /** Once, and never after `stop`. */
  readonly lapsed: (limit: "request" | "idle") => void
}

export class RequestClock {
  readonly #options: Options
  #whole: NodeJS.Timeout | undefined
  #silence: NodeJS.Timeout | undefined

  constructor(options: Options) {
    this.#options = options
    const { idleTimeoutMillis } = options
    if (idleTimeoutMillis !== undefined) this.#silence = setTimeout(() => this.#silent(), idleTimeoutMillis)
  }

  /** The whole request is known: from now on the answer is waited for, less what was waited before. */
  startWhole(sinceMillis: number): void {
    const { requestTimeoutMillis } = this.#options
    if (this.#whole !== undefined || requestTimeoutMillis === undefined) return
    this.#whole = setTimeout(() => this.#lapse("request"), Math.max(0, requestTimeoutMillis - sinceMillis))
  }

  /** Something has moved. */
  heard(): void {
    this.#silence?.refresh()
  }

  stop(): void {
    clearTimeout(this.#whole)
    clearTimeout(this.#silence)
  }

  #silent(): void {
    if (this.#options.isPaused()) this.heard()
    else this.#lapse("idle")
  }

  #lapse(limit: "request" | "idle"): void {
    this.stop()
    this.#options.lapsed(limit)
  }
}
