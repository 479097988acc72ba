/** Limits of what goes on with the instances of one service at a time, as `UpstreamConfig.Limits` has them. */

export interface Limits {
  readonly maxConnections: number
  /** Requests that wait for a connection. */
  readonly maxPendingRequests: number
  readonly maxConcurrentRequests: number
}

/** Envoy's, and so those of Consul's sidecars where nothing else is said. */
export const defaults: Limits = { maxConnections: 1024, maxPendingRequests: 1024, maxConcurrentRequests: 1024 }

/** All instances of a service share one. */
export interface Circuit {
  limits: Limits
  connections: number
  pending: number
  requests: number
}

export const make = (limits: Partial<Limits> = {}): Circuit => ({
  limits: { ...defaults, ...limits },
  connections: 0,
  pending: 0,
  requests: 0
})
