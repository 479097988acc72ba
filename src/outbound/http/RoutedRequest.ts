/**
 * A request under the rules of its route: attempts at it follow each other until one of them has an answer that counts, and the times
 * of the route end it.
 *
 *     attempt ──answer──▶ handed on ──▶ over
 *       ▲  └──a condition of the route holds──▶ back-off
 *       └───────────another instance──────────────┘          a time has passed, the program does not want it ──▶ over
 *
 * Once a byte of an answer has been handed on there are no more attempts.
 */
import type * as Undici from "@effect/platform-node/Undici"
import * as Retry from "../../route/Retry.ts"
import * as AttemptHandler from "./AttemptHandler.ts"
import * as ObservedRequest from "./ObservedRequest.ts"
import * as RequestClock from "./RequestClock.ts"
import * as RequestController from "./RequestController.ts"
import * as RequestFailed from "./RequestFailed.ts"
import type * as ResentBody from "./ResentBody.ts"
import type * as RetryPlaces from "./RetryPlaces.ts"
import type * as RouteRules from "./RouteRules.ts"
import type * as Upstream from "./Upstream.ts"

type Handler = Undici.Dispatcher.DispatchHandler
type Controller = Undici.Dispatcher.DispatchController

export interface Options {
  readonly rules: RouteRules.RouteRules
  readonly handler: Handler
  /** What hands on to it the answer of an instance. */
  readonly answering: (picked: Upstream.Picked) => Handler
  readonly body: ResentBody.ResentBody
  /** Instances that are avoided; those of the attempts are added. */
  readonly tried: ReadonlySet<string>
  /** How long the program has been at it already. */
  readonly sinceMillis: number
  /** Makes an attempt. The handler hears of it. */
  readonly send: (
    picked: Upstream.Picked,
    handler: Handler,
    body: Undici.Dispatcher.DispatchOptions["body"]
  ) => boolean
  /** Calls one of both, unless the result is called before. */
  readonly later: (millis: number, then: () => void, closed: () => void) => () => void
  readonly saidBy: (limit: RequestFailed.RouteTimedOut["limit"]) => string
}

export class RoutedRequest implements AttemptHandler.Whole {
  readonly controller = new RequestController.RequestController((reason) => this.#abort(reason))
  readonly #options: Options
  readonly #clock: RequestClock.RequestClock
  #picked: Upstream.Picked
  #attempt: AttemptHandler.AttemptHandler | undefined
  #made = 0
  /** An instance may have carried it out. */
  #sent = false
  #hasStarted = false
  #isHandedOn = false
  #isOver = false
  /** What an attempt is told that begins after its request is over. */
  #because: Error = new ObservedRequest.Abandoned()
  #place: RetryPlaces.Place | undefined
  #stopWaiting: () => void = () => {}

  constructor(options: Options, picked: Upstream.Picked) {
    this.#options = options
    this.#picked = picked
    this.#clock = new RequestClock.RequestClock({
      ...options.rules,
      isPaused: () => this.controller.paused,
      lapsed: (limit) => this.#timeOut(limit)
    })
    if (options.body.isWhole) this.#clock.startWhole(options.sinceMillis)
  }

  /** Makes the next attempt, where it was picked for. */
  send(): boolean {
    const { answering, body, rules, send } = this.#options
    this.#made++
    if (rules.retry === undefined || this.#made > rules.retry.times) body.release()
    this.#attempt = new AttemptHandler.AttemptHandler(this, answering(this.#picked))
    return send(this.#picked, this.#attempt, body.next())
  }

  begun(attempt: AttemptHandler.AttemptHandler, controller: Controller, context: unknown): void {
    if (this.#isOver || attempt !== this.#attempt) return controller.abort(this.#because)
    this.controller.follow(controller)
    this.#clock.heard()
    if (this.#hasStarted) return
    this.#hasStarted = true
    this.#options.handler.onRequestStart?.(this.controller, context)
  }

  isHeard(attempt: AttemptHandler.AttemptHandler): boolean {
    if (this.#isOver || attempt !== this.#attempt) return false
    this.#clock.heard()
    return true
  }

  sent(): void {
    this.#clock.startWhole(0)
  }

  accepts(answer: Extract<Retry.Outcome, { readonly _tag: "Answered" }>): boolean {
    this.#sent = true
    if (answer.status >= 200 && this.#again(answer)) return false
    this.#isHandedOn = true
    this.#options.body.release()
    if (answer.status >= 200) this.#place?.free()
    return true
  }

  ended(): void {
    this.#end()
  }

  failed(error: Error): void {
    const outcome = this.controller.aborted ? undefined : outcomeOf(error, this.#attempt?.hasBegun === true)
    if (outcome?._tag === "Reset") this.#sent = true
    if (outcome !== undefined && this.#again(outcome)) return
    this.#fail(
      error instanceof RequestFailed.RequestFailed ? this.#failure(error.reason, error.sent) : error
    )
  }

  /** Whether there is another attempt. */
  #again(outcome: Retry.Outcome): boolean {
    this.#place?.free()
    const { body, rules: { retry } } = this.#options
    if (retry === undefined || this.#isHandedOn || this.#made > retry.times) return false
    if (!(Retry.applies(retry, outcome) || isUntouched(outcome)) || !body.isThere()) return false
    const place = this.#picked.upstream.retries.take()
    if (place === undefined) return false
    this.#place = place
    this.controller.follow(undefined)
    this.#clock.heard()
    this.#stopWaiting = this.#options.later(
      Retry.delayMillis(this.#made, Math.random()),
      () => this.#sendAgain(),
      () => this.#fail(this.#failure(RequestFailed.closed, false))
    )
    return true
  }

  #sendAgain(): void {
    this.#attempt?.abandon()
    this.#attempt = undefined
    const { hashed, upstream } = this.#picked
    const instance = upstream.pick(this.#options.tried, hashed.hash)
    if (!("resource" in instance)) return this.#fail(this.#failure(instance, false))
    this.#picked = { ...this.#picked, instance }
    this.#place?.begin()
    this.send()
  }

  #timeOut(limit: RequestFailed.RouteTimedOut["limit"]): void {
    const { rules, saidBy } = this.#options
    const millis = limit === "request" ? rules.requestTimeoutMillis : rules.idleTimeoutMillis
    const reason = new RequestFailed.RouteTimedOut({ limit, millis: millis ?? 0, saidBy: saidBy(limit) })
    this.#fail(this.#failure(reason, this.#attempt?.hasBegun === true), reason)
  }

  /** The program does not want it any more. */
  #abort(reason: Error): void {
    if (this.#isOver) return
    if (this.#attempt?.isOver === false && this.#attempt.hasBegun && !this.#attempt.isDropped) {
      return this.#attempt.abort(reason)
    }
    this.#fail(reason)
  }

  #fail(error: Error, because: Error = this.#because): void {
    if (this.#isOver) return
    this.#end()
    this.#because = because
    this.#attempt?.abandon(because)
    this.#options.handler.onResponseError?.(this.controller, error)
  }

  #end(): void {
    this.#isOver = true
    this.#clock.stop()
    this.#stopWaiting()
    this.#place?.free()
    this.#options.body.close()
  }

  #failure(reason: RequestFailed.Reason, sent: boolean): RequestFailed.RequestFailed {
    const { instance: { address, id: instance }, upstream } = this.#picked
    return new RequestFailed.RequestFailed({
      service: upstream.service,
      instance,
      address,
      sent: sent || this.#sent,
      reason,
      ...(this.#options.rules.retry === undefined ? {} : { attempts: this.#made })
    })
  }
}

/** Undefined: it is not for another instance to do better. */
const outcomeOf = (error: Error, hasBegun: boolean): Retry.Outcome | undefined => {
  if (!(error instanceof RequestFailed.RequestFailed)) return undefined
  if (error.sent) return { _tag: "Reset" }
  if (error.reason._tag !== "ConnectionLost") return { _tag: "NotConnected" }
  return hasBegun ? { _tag: "Refused" } : undefined
}

/** No instance has begun with it: where a route has requests tried again at all, this is always a reason. */
const isUntouched = ({ _tag }: Retry.Outcome): boolean => _tag === "NotConnected" || _tag === "Refused"
