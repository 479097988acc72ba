/**
 * Everything that the configuration of one Envoy follows from, as plain data: what the agent would answer its own proxies,
 * read at one moment. `translate/` makes resources of it, purely.
 */
import type { JwtProvider } from "../consul/config/JwtProvider.ts"
import type { Mesh } from "../consul/config/Mesh.ts"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import type * as Proxy from "../consul/Proxy.ts"
import type * as Intention from "../intention/Intention.ts"
import type * as Endpoints from "../watch/Endpoints.ts"

/** What a proxy shows, and whom it trusts. */
export interface Credentials {
  readonly trustDomain: string
  /** The leaf and what leads from it to a root, PEM. */
  readonly certificate: string
  readonly key: string
  /** All roots, PEM. */
  readonly roots: string
}

/** A cluster with authorities of its own. */
export interface Peer {
  readonly trustDomain: string
  /** All its roots, PEM. */
  readonly roots: string
}

/** A service that is called, through a listener of its own. */
export interface Upstream {
  readonly settings: Proxy.Upstream
  /** Compiled with what the caller overrides. */
  readonly chain: DiscoveryChain.Chain
  /** Instances of each target, or the gateways that lead there, by the target's id. */
  readonly endpoints: ReadonlyMap<string, ReadonlyArray<Endpoints.Endpoint>>
  /** Who answers at each target in a peer, as URIs, by the target's id. All others are named by their targets. */
  readonly identities: ReadonlyMap<string, ReadonlyArray<string>>
}

/** The sidecar of a service. */
export interface Sidecar {
  readonly kind: "connect-proxy"
  readonly proxyId: string
  readonly service: string
  readonly datacenter: string
  /** As registered; empty and 0 where the registration does not say. */
  readonly address: string
  readonly port: number
  /** Where the agent is, for paths that only it may ask. */
  readonly agentAddress: string
  /** Merged with the defaults. */
  readonly proxy: Proxy.Proxy
  readonly credentials: Credentials
  /** All that are about the service. */
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly defaultPolicy: "allow" | "deny"
  /** By name. */
  readonly jwtProviders: ReadonlyMap<string, JwtProvider>
  readonly mesh: Mesh | undefined
  /** By our name of it. */
  readonly peers: ReadonlyMap<string, Peer>
  readonly upstreams: ReadonlyArray<Upstream>
}

/** What a gateway passes connections to, by their server name. */
export interface GatewayTarget {
  /** `web.default.dc1.internal.<trust domain>`, with a subset before it or not. */
  readonly sni: string
  readonly connectTimeoutMillis: number
  readonly endpoints: ReadonlyArray<Endpoints.Endpoint>
}

export interface MeshGateway {
  readonly kind: "mesh-gateway"
  readonly proxyId: string
  readonly datacenter: string
  readonly trustDomain: string
  /** Each has a listener, by a name. */
  readonly addresses: ReadonlyArray<{ readonly name: string; readonly address: string; readonly port: number }>
  readonly connectTimeoutMillis: number
  /** Services of this datacenter. */
  readonly services: ReadonlyArray<GatewayTarget>
  /** Other datacenters: their gateways. */
  readonly datacenters: ReadonlyArray<{
    readonly datacenter: string
    readonly endpoints: ReadonlyArray<Endpoints.Endpoint>
  }>
}

export type Snapshot = Sidecar | MeshGateway
