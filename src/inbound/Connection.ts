/** A caller that was let in, and its connection. */
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as Splice from "../net/Splice.ts"

/**
 * An admitted caller. Nothing has been read from `socket` yet, and it is half-open: end it when the caller ends. That is
 * said, or it is an error: see `OrderlyEnd`.
 */
export interface Connection extends Splice.Side {
  readonly caller: SpiffeId.Service
  /** Why it was let in. */
  readonly decision: Decision.Decision
  /** `address:port` of the caller's side. */
  readonly remote: string
  /** When it arrived, as `performance.now()` had it. */
  readonly since: number
  /** The TLS connection that carries it: `socket` itself, or that of its tunnel. */
  readonly carrier: Splice.Stream
}
