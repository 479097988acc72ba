/**
 * When a connection over HTTP/1.1 takes requests, and when it is to end. Pure: the owner of the connection reports what
 * happens, and is told what to do.
 */
import type * as HttpLimits from "./HttpLimits.ts"

export class Http1Lifecycle {
  readonly limits: HttpLimits.Limits
  /** Requests without a whole answer: several where the client does not wait for answers. */
  active = 0
  /** No more requests, except those that arrive before the client knows. */
  last: boolean
  /** It is being ended for a fault, and what still arrives is not looked at. */
  faulty = false
  /** It was asked to speak something else, and Node looks after it no more. */
  upgraded = false
  /** How many bytes had arrived when their number last changed, and when that was seen. */
  private received = 0
  private receivedAt: number | undefined

  constructor(limits: HttpLimits.Limits, last: boolean) {
    this.limits = limits
    this.last = last
  }

  /** A request has arrived. `crowded`: the client sends too many without waiting for answers. */
  began(): "served" | "crowded" {
    return ++this.active > this.limits.maxPipelined ? "crowded" : "served"
  }

  /** A request has its answer. `close`: there is nothing more to do. */
  ended(): "open" | "close" {
    return --this.active === 0 && this.last ? "close" : "open"
  }

  /** No more requests from now on. `close`: none is at hand. */
  retired(): "open" | "close" {
    this.last = true
    return this.active === 0 ? "close" : "open"
  }

  /** The client is at fault. False: it was before, and this is more of the same. */
  failed(): boolean {
    const first = !this.faulty
    this.faulty = true
    return first
  }

  /** A look at an upgraded connection with nothing to send: whether it is kept for nothing. Node looks after the others. */
  isIdle(bytesRead: number, now: number): boolean {
    if (bytesRead !== this.received || this.receivedAt === undefined) {
      this.received = bytesRead
      this.receivedAt = now
    }
    return now - this.receivedAt > this.limits.idleMillis
  }
}
