/** What the connections to an instance have in common, whichever version of HTTP they speak. */
import type { Effect } from "effect"
import * as Lifetimes from "../../net/Lifetimes.ts"
import type * as Splice from "../../net/Splice.ts"
import type * as Circuit from "./Circuit.ts"
import type * as Exchange from "./Exchange.ts"

/** Why there is no connection. */
export interface Unreachable {
  readonly timedOut: boolean
  readonly why: string
  /** The same in Envoy's words, without blanks. */
  readonly transport?: string | undefined
}

export interface Options {
  /** `address:port` of the instance. */
  readonly remote: string
  /** A new connection, nothing read yet. */
  readonly open: Effect.Effect<Splice.Side, Unreachable>
  readonly run: (opening: Effect.Effect<void>) => void
  /** Shared by all instances of the service. */
  readonly circuit: Circuit.Circuit
  /** How long a connection is kept without a request. */
  readonly idleMillis: number
  /** How long a connection takes new requests: a tenth of it is left to chance. Default: no limit. */
  readonly maxAgeMillis?: number | undefined
  /**
   * Whether a reset of a kept connection says as little as its end about who has seen the request: in the mesh, where gateways and sidecars stand
   * between. An application that resets has seen it, and Envoy answers so. Default: no.
   */
  readonly isAcrossMesh?: boolean | undefined
}

/** The part of `maxAgeMillis` that is left to chance, so that connections made at once do not end at once. */
const ageJitter = 0.1

/** When a connection that is made now takes no more requests, as `performance.now()`. */
export const expiry = ({ maxAgeMillis = Infinity }: Options): number =>
  performance.now() + Lifetimes.jittered(maxAgeMillis, ageJitter, Math.random())

/** A request without a connection. */
export class Waiting implements Exchange.Waiting {
  readonly attempt: Exchange.Attempt
  readonly #owner: Owner

  constructor(owner: Owner, attempt: Exchange.Attempt) {
    this.#owner = owner
    this.attempt = attempt
  }

  cancel(): void {
    this.#owner.forget(this)
  }
}

interface Owner {
  /** Nobody wants it any more. */
  readonly forget: (waiting: Waiting) => void
}

/** Of a request that has a connection, or will get none. */
export const served: Exchange.Waiting = { cancel: () => {} }
