/** One service as requests see it: how it is asked for an instance, whatever decides which one. */
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as HashKey from "../../route/HashKey.ts"
import type * as HttpRoutes from "../../route/HttpRoutes.ts"
import type { Effect } from "effect"
import type * as DestinationStatus from "../DestinationStatus.ts"
import type * as DialError from "../DialError.ts"
import type * as Tried from "../Tried.ts"
import type * as HttpUpstream from "./HttpUpstream.ts"
import type * as InstancePool from "./InstancePool.ts"

/** With the address of its caller, where that is known. */
export interface Request extends HttpRequest.HttpRequest {
  readonly source?: string | undefined
}

/** Where a request goes. */
export interface Picked<P = InstancePool.InstancePool> {
  /** Has the instance, and hears how the request went. */
  readonly upstream: HttpUpstream.HttpUpstream<P>
  /** Counts the request as active until its `end`. */
  readonly instance: HttpUpstream.Instance<P>
  /** Undefined: no routes are known, and nothing is changed on the way. */
  readonly way: Way | undefined
  /** Further attempts go by it too, and the answer tells the cookie that was made for it. */
  readonly hashed: HashKey.Hashed
}

export interface Way {
  readonly route: HttpRoutes.Route
  readonly leg: HttpRoutes.Leg
}

export interface Upstream<P = InstancePool.InstancePool> {
  readonly service: string
  /** Waits until requests can be told where to go. */
  readonly ready: Effect.Effect<void, DialError.Reason>
  readonly isReady: () => boolean
  /** Or why there is no instance. */
  readonly pick: (tried: Tried.Tried, request: Request) => Picked<P> | DialError.Reason
  /** Requests without a whole answer. */
  readonly active: () => number
  /** Whether an instance is known, healthy or not. */
  readonly isKnown: () => boolean
  /** The instances, with what is remembered of them. None until it is known where requests go. */
  readonly status: () => ReadonlyArray<DestinationStatus.TargetStatus>
}
