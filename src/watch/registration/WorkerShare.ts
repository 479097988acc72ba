/** What one of several workers takes on of a registration's limits, so that all of them together keep to these. */
import type * as ProxyRegistration from "../ProxyRegistration.ts"

export interface Worker {
  /** From 1. */
  readonly index: number
  readonly of: number
}

/** What a listener for callers takes on. */
type Taken = Pick<ProxyRegistration.Registration, "maxInboundConnections" | "arrivals">

/** Connections come to the workers in turn. A limit below their number is one for each: none of them would serve nobody. */
export const ofSidecar = (
  registration: ProxyRegistration.Registration,
  worker: Worker
): ProxyRegistration.Registration => ({
  ...ofListener(registration, worker),
  upstreams: registration.upstreams.map((upstream) => {
    const { maxConcurrentRequests, maxConnections, maxPendingRequests } = upstream.limits
    return {
      ...upstream,
      limits: {
        maxConnections: partOfKnown(maxConnections, worker),
        maxPendingRequests: partOfKnown(maxPendingRequests, worker),
        maxConcurrentRequests: partOfKnown(maxConcurrentRequests, worker)
      }
    }
  })
})

/** The same, of what has callers only. */
export const ofListener = <A extends Taken>(registration: A, worker: Worker): A => ({
  ...registration,
  maxInboundConnections: partOf(registration.maxInboundConnections, worker),
  arrivals: {
    maxHandshakes: partOf(registration.arrivals.maxHandshakes, worker),
    connectionRate: partOf(registration.arrivals.connectionRate, worker)
  }
})

const partOfKnown = (limit: number | undefined, worker: Worker): number | undefined =>
  limit === undefined ? undefined : partOf(limit, worker)

/** 0 stays what it means. */
const partOf = (limit: number, { index, of }: Worker): number =>
  limit === 0 ? 0 : Math.max(1, Math.floor(limit / of) + (index <= limit % of ? 1 : 0))
