/**
 * One request on its way through the proxy: from a client to an instance, once or several times, and the answer back.
 *
 *     plan ──▶ attempt ──▶ connection ──▶ request out ──▶ answer in ──▶ answered
 *                 ▲                          │
 *                 └── failed, and the route allows another one ──┘        otherwise the proxy answers itself
 *
 * A request is sent again only while nothing of an answer has gone to the client and all of its body is still at hand. One that
 * no instance has seen, as the connection was refused, may go elsewhere whatever the route says; so may one that is idempotent, once,
 * where a connection that was kept has ended just then.
 * Memory: what the two sockets may buffer, and what `RequestBody` keeps of a body that may have to be sent again.
 */
import * as Retry from "../../route/Retry.ts"
import type * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"
import * as AnswerFields from "./AnswerFields.ts"
import type * as Deadlines from "./Deadlines.ts"
import type * as Exchange from "./Exchange.ts"
import * as OwnAnswer from "./OwnAnswer.ts"
import * as OwnAnswers from "./OwnAnswers.ts"
import * as RequestBody from "./RequestBody.ts"
import * as RetryBudget from "./RetryBudget.ts"

/** Where an attempt goes. */
export interface Destination {
  readonly connections: Exchange.Connections
  readonly head: Exchange.RequestHead
  /** How it ended, for balancing and ejection. Called once. Undefined: the client left, which says nothing. */
  readonly settled: (outcome: Retry.Outcome | undefined) => void
}

/** What is decided about a request. */
export interface Plan {
  /** The next attempt. */
  readonly next: () => Destination | OwnAnswer.OwnAnswer
  /** Another instance, or where it may be the same one, that one for want of others. Undefined: there is none. */
  readonly elsewhere?: ((mayBeSame: boolean) => Destination | undefined) | undefined
  readonly retry: Retry.Retry | undefined
  readonly budget: RetryBudget.RetryBudget
  /** From the end of the request on. Undefined: as long as it takes. */
  readonly timeoutMillis: number | undefined
  /** Without a byte in either direction. Undefined: as long as it takes. */
  readonly idleMillis: number | undefined
  /** The head of an instance's answer as the client gets it. `tookMillis`: since the request was whole, if it is. */
  readonly answer: (head: Head.Answer, tookMillis: number | undefined) => Exchange.AnswerHead
  readonly own: (answer: OwnAnswer.OwnAnswer) => OwnAnswer.Sent
  /** It is over: for logs and metrics. */
  readonly finished: (report: Report) => void
}

export type End =
  /** The whole answer has gone out. */
  | "answered"
  /** The answer was cut short: by the instance, … */
  | "cut"
  /** … because it took too long, … */
  | "timed_out"
  /** … by the client, who has left, … */
  | "gone"
  /** … or by a later verdict. */
  | "denied"

/** What happened to a request. */
export interface Report {
  readonly end: End
  /** 0: nothing went out. */
  readonly status: number
  /** The answer that the proxy made itself. */
  readonly own: OwnAnswer.OwnAnswer | undefined
  readonly attempts: number
  readonly received: number
  readonly sent: number
  /** The head of the instance's answer, and its trailers. */
  readonly head: Head.Answer | undefined
  readonly trailers: Fields.Fields | undefined
  /** Addresses of the last attempt. `local`: of our side, if there was a connection. */
  readonly upstream: { readonly local: string | undefined; readonly remote: string } | undefined
  /** Why the last attempt failed. */
  readonly failure: Exchange.Failure | undefined
  /** When it began, as `performance.now()` has it. */
  readonly since: number
  /** Until the head of the answer, since the request was whole. */
  readonly tookMillis: number | undefined
}

export class Relay implements Exchange.Attempt, RequestBody.Owner, Deadlines.Watched {
  readonly since = performance.now()
  deadline = Infinity
  heardAt: number
  readonly idleMillis: number
  readonly #server: Exchange.ServerExchange
  readonly #plan: Plan
  readonly #deadlines: Deadlines.Deadlines
  readonly #body: RequestBody.RequestBody
  #destination: Destination | undefined
  #waiting: Exchange.Waiting | undefined
  #outbound: Exchange.Outbound | undefined
  #upstream: Report["upstream"]
  #attempts = 0
  #wholeAt: number | undefined
  #sent = 0
  #head: Head.Answer | undefined
  #trailers: Fields.Fields | undefined
  #status = 0
  #tookMillis: number | undefined
  #failure: Exchange.Failure | undefined
  #own: OwnAnswer.OwnAnswer | undefined
  #retryTimer: NodeJS.Timeout | undefined
  /** No instance has seen the attempt that is to be followed by another one. */
  #isFree = false
  /** A connection that was kept has ended instead of an answer. */
  #metKept = false
  #isOver = false

  constructor(server: Exchange.ServerExchange, plan: Plan, deadlines: Deadlines.Deadlines) {
    this.#server = server
    this.#plan = plan
    this.#deadlines = deadlines
    this.idleMillis = plan.idleMillis ?? Infinity
    this.heardAt = this.since // the last look may be long ago
    this.#body = new RequestBody.RequestBody(server, this, keptOf(plan))
  }

  start(): void {
    this.#plan.budget.requests++
    this.#deadlines.add(this)
    if (this.#server.isGone) return this.#finish("gone")
    this.#attempt()
  }

  /** A later verdict refuses it: by an answer of our own, if none has begun. */
  deny(): void {
    if (this.#isOver) return
    if (this.#status > 0) return this.abort("denied")
    this.#leave()
    this.#answerItself(OwnAnswers.denied)
  }

  /** Ends it, so that the client does not take what it has for a whole answer. */
  abort(end: End): void {
    if (this.#isOver) return
    this.#leave()
    this.#finish(end)
    this.#server.abort()
  }

  timedOut(why: "request" | "idle"): void {
    if (this.#isOver) return
    if (this.#status > 0) return this.abort("timed_out")
    // A client that does not finish its request says nothing about the instance.
    this.#leave(this.#body.isWhole ? { _tag: "TimedOut" } : undefined)
    this.#answerItself(
      why === "request" ? OwnAnswers.timedOut : this.#body.isWhole ? OwnAnswers.idle : OwnAnswers.slowRequest
    )
  }

  // Of the request

  heard(): void {
    this.heardAt = this.#deadlines.now
  }

  whole(): void {
    if (this.#status === 101) return
    this.#wholeAt = performance.now()
    if (this.#plan.timeoutMillis !== undefined) this.deadline = this.#wholeAt + this.#plan.timeoutMillis
  }

  gone(): void {
    if (this.#isOver) return
    this.#leave()
    this.#finish("gone")
  }

  roomAtClient(): void {
    this.heardAt = this.#deadlines.now
    this.#outbound?.resume()
  }

  // Of an attempt

  connected(outbound: Exchange.Outbound): void {
    this.#waiting = undefined
    const destination = this.#destination
    if (this.#isOver || destination === undefined) return outbound.cancel()
    this.#outbound = outbound
    this.#upstream = { local: outbound.local, remote: destination.connections.remote }
    this.#body.attach(outbound, destination.head)
  }

  drained(): void {
    this.heardAt = this.#deadlines.now
    this.#body.roomAtInstance()
  }

  answered(head: Head.Answer): void {
    this.heardAt = this.#deadlines.now
    if (head.status < 200 && head.status !== 101) {
      return this.#server.inform(head.status, AnswerFields.provisional(head))
    }
    const outcome = outcomeOf(head)
    if (this.#mayRetry(outcome)) {
      this.#leave(outcome)
      return this.#retry()
    }
    this.#head = head
    this.#destinationSettled(outcome)
    this.#tookMillis = this.#wholeAt === undefined ? undefined : performance.now() - this.#wholeAt
    const answer = this.#plan.answer(head, this.#tookMillis)
    this.#status = answer.status
    if (head.status === 101 && this.#outbound !== undefined) {
      this.deadline = Infinity
      this.#body.tunnel(this.#outbound)
    }
    this.#server.answer(answer)
  }

  data(bytes: Buffer): void {
    this.heardAt = this.#deadlines.now
    this.#sent += bytes.length
    if (!this.#server.write(bytes)) this.#outbound?.pause()
  }

  end(trailers: Fields.Fields | undefined): void {
    this.#trailers = trailers
    if (this.#status === 101) this.#outbound?.end(undefined)
    this.#outbound = undefined
    this.#body.release()
    this.#finish("answered")
    this.#server.end(trailers)
  }

  failed(failure: Exchange.Failure): void {
    if (this.#isOver) return
    this.#waiting = undefined
    this.#outbound = undefined
    this.#failure = failure
    this.#body.detach()
    const outcome = outcomeOfFailure(failure)
    this.#destinationSettled(outcome)
    if (this.#status > 0) return this.abort("cut")
    if (this.#mayRetry(outcome)) return this.#retry()
    const elsewhere = this.#body.canReplay ? this.#elsewhere(failure) : undefined
    if (elsewhere !== undefined) return this.#send(elsewhere)
    this.#answerItself(OwnAnswers.failed(failure))
  }

  #elsewhere(failure: Exchange.Failure): Destination | undefined {
    if (isUnseen(failure)) return this.#plan.elsewhere?.(false)
    if (this.#metKept || !wasKept(failure) || !idempotent.has(this.#server.request.method)) return undefined
    this.#metKept = true
    return this.#plan.elsewhere?.(true)
  }

  #attempt(): void {
    const next = this.#plan.next()
    if ("status" in next) this.#answerItself(next)
    else this.#send(next)
  }

  #send(next: Destination): void {
    this.#attempts++
    this.#destination = next
    this.#upstream = { local: undefined, remote: next.connections.remote }
    this.#failure = undefined
    const waiting = next.connections.begin(this)
    if (this.#outbound !== undefined || this.#isOver || this.#destination !== next) return
    this.#waiting = waiting
    this.#body.listen()
  }

  /** Takes its place, if there is to be another attempt. */
  #mayRetry(outcome: Retry.Outcome): boolean {
    const { budget, retry } = this.#plan
    this.#isFree = outcome._tag === "NotConnected" || outcome._tag === "Refused"
    return retry !== undefined && this.#attempts <= retry.times && this.#body.canReplay &&
      Retry.applies(retry, outcome) && RetryBudget.take(budget, this.#isFree)
  }

  #retry(): void {
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      RetryBudget.giveBack(this.#plan.budget, this.#isFree)
      this.#attempt()
    }, Retry.delayMillis(this.#attempts, Math.random()))
  }

  #answerItself(own: OwnAnswer.OwnAnswer): void {
    this.#own = own
    const { body, head } = this.#plan.own(own)
    this.#status = head.status
    this.#sent = body?.length ?? 0
    this.#server.answer(head)
    if (body !== undefined) this.#server.write(body)
    this.#finish("answered")
    this.#server.end(undefined)
  }

  /** Gives up the attempt at hand. */
  #leave(outcome?: Retry.Outcome): void {
    this.#waiting?.cancel()
    this.#waiting = undefined
    this.#body.detach()
    const outbound = this.#outbound
    this.#outbound = undefined
    outbound?.cancel()
    this.#destinationSettled(outcome)
    if (this.#retryTimer === undefined) return
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    RetryBudget.giveBack(this.#plan.budget, this.#isFree)
  }

  #destinationSettled(outcome: Retry.Outcome | undefined): void {
    const destination = this.#destination
    this.#destination = undefined
    destination?.settled(outcome)
  }

  #finish(end: End): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#deadlines.delete(this)
    this.#plan.budget.requests--
    this.#plan.finished({
      end,
      status: this.#status,
      own: this.#own,
      attempts: this.#attempts,
      received: this.#body.received,
      sent: this.#sent,
      head: this.#head,
      trailers: this.#trailers,
      upstream: this.#upstream,
      failure: this.#failure,
      since: this.since,
      tookMillis: this.#tookMillis
    })
  }
}

/** How much of a body is kept in case it has to be sent again. */
const keptOf = ({ elsewhere, retry }: Plan): number =>
  retry !== undefined ? RequestBody.replayBytes : elsewhere !== undefined ? RequestBody.aheadBytes : 0

/** It was refused at once, by whoever is there. What takes its time to fail may have taken all of it. */
const isUnseen = (failure: Exchange.Failure): boolean =>
  failure._tag === "Refused" || (failure._tag === "NotConnected" && !failure.timedOut)

const wasKept = (failure: Exchange.Failure): boolean => failure._tag === "Reset" && failure.wasKept === true

/** RFC 9110, 9.2.2: these may be sent again by whoever sends them. */
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])

const outcomeOf = ({ fields, status }: Head.Answer): Retry.Outcome => {
  const grpcStatus = fields.indexOf("grpc-status")
  return {
    _tag: "Answered",
    status,
    grpcStatus: grpcStatus < 0 ? undefined : Number(fields.value(grpcStatus)),
    rateLimited: fields.indexOf("x-envoy-ratelimited") >= 0
  }
}

const outcomeOfFailure = ({ _tag }: Exchange.Failure): Retry.Outcome => {
  switch (_tag) {
    case "NotConnected":
      return { _tag: "NotConnected" }
    case "Refused":
      return { _tag: "Refused" }
    case "Overflow":
      return { _tag: "Overflowed" }
    case "Reset":
    case "Malformed":
      return { _tag: "Reset" }
  }
}
