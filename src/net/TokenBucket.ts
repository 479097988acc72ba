/** Allows `burst` events at once, and `rate` per second in the long run. Pure: the caller says what time it is. */
export class TokenBucket {
  readonly burst: number
  readonly rate: number
  private tokens: number
  private filledAt: number

  /** Full at `now`, which is in milliseconds and never goes back. */
  constructor({ burst, rate }: { readonly burst: number; readonly rate: number }, now: number) {
    this.burst = burst
    this.rate = rate
    this.tokens = burst
    this.filledAt = now
  }

  /** Counts one event. False: there was no token left for it. */
  take(now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + (now - this.filledAt) / 1000 * this.rate) - 1
    this.filledAt = now
    return this.tokens >= 0
  }
}
