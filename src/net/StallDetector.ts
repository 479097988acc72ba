/**
 * Whether a peer takes what is sent to it. Looked at now and then instead of timed: what waits to be sent has not become
 * less since the last look, nor was everything sent in between.
 */
import type { Writable } from "node:stream"

export interface StallDetector {
  /** For how long nothing was taken; 0 where nothing waits. `now` never goes back. */
  readonly millis: (now: number) => number
}

export const make = (writable: Pick<Writable, "on" | "writableLength">): StallDetector => {
  let least = 0
  let since = 0
  writable.on("drain", () => {
    least = 0
  })
  return {
    millis: (now) => {
      const waiting = writable.writableLength
      if (least === 0 || waiting < least) {
        least = waiting
        since = now
      }
      return waiting === 0 ? 0 : now - since
    }
  }
}
