/** The route of an opaque byte stream to a service: a discovery chain, resolved for tcp. */

import type * as LoadBalancer from "../balance/LoadBalancer.ts"

/** The instances of one service, or of a subset of it, in one datacenter. */
export interface Target {
  /** Consul's id of it; opaque. */
  readonly id: string
  readonly service: string
  readonly partition: string
  readonly namespace: string
  readonly datacenter: string
  /** A filter on instances, in Consul's expression language; empty: all of them. */
  readonly filter: string
  /** Instances with a warning count as unhealthy. */
  readonly onlyPassing: boolean
  /** A mesh gateway routes by it. Sent byte-exact; sidecars ignore it. */
  readonly sni: string
  /**
   * Whose mesh gateways the target is reached through where it is in another datacenter: those of the caller's own (`local`), or
   * of the target's (`remote`). Absent: none, its instances are dialled.
   */
  readonly gateway?: GatewayMode | undefined
  /** The peered cluster that it is in, by our name of it. Absent: our own. */
  readonly peer?: string | undefined
}

export type GatewayMode = "local" | "remote"

/** What is said about gateways, as Consul spells it: also that there is to be none. */
export type GatewaySetting = GatewayMode | "none"

/** Anything else says nothing. */
export const gatewaySetting = (text: string): GatewaySetting | undefined =>
  text === "none" || text === "local" || text === "remote" ? text : undefined

export interface TcpRoute {
  /** In order of preference: the first one that has a healthy instance is used. */
  readonly targets: readonly [Target, ...Array<Target>]
  /** For the TCP and the TLS handshake with one instance together. */
  readonly connectTimeoutMillis: number
  /** Absent: round robin. Only HTTP requests have values to hash. */
  readonly balancing?: Balancing | undefined
}

export interface Balancing {
  readonly policy: LoadBalancer.Policy
  /** The values that hashing policies use. Values that a request lacks do not count. */
  readonly hashBy: ReadonlyArray<HashBy>
}

export interface HashBy {
  readonly field: "header" | "cookie" | "query_parameter" | "source_ip"
  /** Empty for the address of the caller. */
  readonly name: string
  /** If this one is present, later ones do not count. */
  readonly terminal: boolean
  /** A cookie that is made where a request lacks it. Absent: none is. */
  readonly cookie?: MadeCookie | undefined
}

export interface MadeCookie {
  /** Undefined: as long as the session of the browser. */
  readonly maxAgeSeconds: number | undefined
  /** Empty: none. */
  readonly path: string
}
