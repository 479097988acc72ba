/**
 * What an HTTP/2 client makes us do for nothing: streams that it ends before they are answered, headers that are refused
 * unseen, bodies and readers that take too long. Pure: the owner of the session reports events, with the time of
 * `performance.now()`, and carries out the verdicts. Once the session is to end there are no more of them.
 */
import type * as HttpLimits from "./HttpLimits.ts"
import * as TokenBucket from "../net/TokenBucket.ts"
import * as Turnover from "../net/Turnover.ts"

export type Verdict<Stream> =
  /** Reset the stream, and report the client. */
  | { readonly _tag: "CancelStream"; readonly stream: Stream; readonly abuse: "slow_body" | "slow_reader" }
  /** Free a stream that its client has reset already. */
  | { readonly _tag: "DiscardStream"; readonly stream: Stream }
  /** End the session with the error `code`, and report the client. */
  | { readonly _tag: "EndSession"; readonly abuse: SessionAbuse; readonly code: number }

export type SessionAbuse = "slow_headers" | "headers_too_large" | "stream_resets"

/** How an open stream stands. */
export interface StreamState {
  /** It is closed, yet has something left to send. */
  readonly unfinished: boolean
  /** For how long the client has taken nothing of what waits to be sent. */
  readonly stalledMillis: number
  /** Whether all of the body has arrived. Asked only when it is due. */
  readonly bodyArrived: () => boolean
}

/** An open stream. */
interface Entry {
  /** When its body is to have arrived. `Infinity`: it has, or may take any time. */
  bodyDue: number
  /** It was seen unfinished before. */
  unfinished: boolean
  cancelled: boolean
  /** Its end is held against the client already. */
  counted: boolean
}

/** Error codes of RFC 9113, section 7. */
const noError = 0x0
const enhanceYourCalm = 0xb

const none: ReadonlyArray<never> = []

export class StreamAccounting<Stream> {
  readonly limits: HttpLimits.Limits
  private readonly streams = new Turnover.TurnoverMap<Stream, Entry>()
  /** Streams that the client has ended before they were answered. */
  private readonly resets: TokenBucket.TokenBucket
  /** How many streams began. */
  private begun = 0
  /** The client has sent its settings. */
  private greeted = false
  /** Since when there is no stream, while there is none. */
  private idleSince: number
  private over = false

  constructor(limits: HttpLimits.Limits, now: number) {
    this.limits = limits
    this.resets = new TokenBucket.TokenBucket(limits.streamResets, now)
    this.idleSince = now
  }

  greet(): void {
    this.greeted = true
  }

  began(stream: Stream, bodyArrived: boolean, now: number): void {
    const { bodyMillis } = this.limits
    this.begun++
    this.streams.set(stream, {
      bodyDue: bodyArrived || bodyMillis === 0 ? Infinity : now + bodyMillis,
      unfinished: false,
      cancelled: false,
      counted: false
    })
  }

  /** The client has reset the stream with `NO_ERROR`, which Node does not take for the end of it. */
  reset(stream: Stream, now: number): ReadonlyArray<Verdict<Stream>> {
    const entry = this.streams.get(stream)
    return entry === undefined || this.over ? none : this.discard(stream, entry, now)
  }

  /** The stream is closed. `byClient`: before its answer was whole, by a reset or by what had to be answered with one. */
  ended(stream: Stream, byClient: boolean, now: number): ReadonlyArray<Verdict<Stream>> {
    const entry = this.streams.get(stream)
    if (entry === undefined) return none
    this.streams.delete(stream)
    this.idleSince = now
    return byClient && !this.over ? this.count(entry, now) : none
  }

  /** A look at everything that takes time. `lastStreamId`: the last one that the protocol has seen, 0 for none. */
  sweep(now: number, lastStreamId: number, stateOf: (stream: Stream) => StreamState): ReadonlyArray<Verdict<Stream>> {
    if (this.over) return none
    // Node refuses streams whose headers are too large without a word. Clients number theirs 1, 3, 5, …
    if (Math.ceil(lastStreamId / 2) - this.begun > this.limits.streamResets.burst) {
      return this.endSession("headers_too_large", enhanceYourCalm)
    }
    if (this.streams.size === 0 && !this.greeted && now - this.idleSince > this.limits.headersMillis) {
      return this.endSession("slow_headers", noError)
    }
    const verdicts: Array<Verdict<Stream>> = []
    for (const [stream, entry] of this.streams) {
      verdicts.push(...this.look(stream, entry, stateOf(stream), now))
      if (this.over) break
    }
    return verdicts
  }

  /** Whether the connection is kept for nothing. */
  isIdle(now: number): boolean {
    return this.streams.size === 0 && now - this.idleSince > this.limits.idleMillis
  }

  private look(stream: Stream, entry: Entry, state: StreamState, now: number): ReadonlyArray<Verdict<Stream>> {
    if (state.unfinished) {
      // Nothing tells of a reset after the answer was ended. One look may come before Node's own end of the stream.
      if (entry.unfinished) return this.discard(stream, entry, now)
      entry.unfinished = true
      return none
    }
    if (entry.cancelled) return none
    if (now > entry.bodyDue) {
      if (!state.bodyArrived()) return this.cancel(stream, entry, "slow_body")
      entry.bodyDue = Infinity
    }
    return state.stalledMillis > this.limits.stallMillis ? this.cancel(stream, entry, "slow_reader") : none
  }

  private cancel(stream: Stream, entry: Entry, abuse: "slow_body" | "slow_reader"): ReadonlyArray<Verdict<Stream>> {
    entry.cancelled = true
    return [{ _tag: "CancelStream", stream, abuse }]
  }

  private discard(stream: Stream, entry: Entry, now: number): ReadonlyArray<Verdict<Stream>> {
    return entry.counted ? none : [{ _tag: "DiscardStream", stream }, ...this.count(entry, now)]
  }

  private count(entry: Entry, now: number): ReadonlyArray<Verdict<Stream>> {
    if (entry.counted) return none
    entry.counted = true
    return this.resets.take(now) ? none : this.endSession("stream_resets", enhanceYourCalm)
  }

  private endSession(abuse: SessionAbuse, code: number): ReadonlyArray<Verdict<Stream>> {
    this.over = true
    return [{ _tag: "EndSession", abuse, code }]
  }
}
