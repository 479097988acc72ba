/** What keeps the connections to an instance, whoever sends requests over them. */
import type { Effect } from "effect"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import type * as Endpoints from "../../watch/Endpoints.ts"

/** The connections to one instance. */
export interface Pool {
  /** Takes no new requests, and waits for those at hand. */
  readonly close: Effect.Effect<void>
  /** Fails the requests at hand. */
  readonly destroy: Effect.Effect<void>
}

/** An instance that connections may be needed to. */
export interface Reached {
  readonly service: string
  readonly target: TcpRoute.Target
  readonly endpoint: Endpoints.Endpoint
  /** How long connecting may take now. */
  readonly timeoutMillis: () => number
}

/** Makes the pool of an instance. `run` runs what opens connections. */
export type Pooling<P extends Pool> = (reached: Reached, run: (effect: Effect.Effect<void>) => void) => P
