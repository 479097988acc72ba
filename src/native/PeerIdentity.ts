/**
 * Who is on the other side: a service that `MeshHttpServer` puts into the context of each request, and `MeshSocketServer`
 * into that of each connection.
 */
import { Context, Layer } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as TokenRequirement from "../intention/TokenRequirement.ts"

export interface Peer {
  readonly caller: SpiffeId.Service
  /** Why it was let in. */
  readonly decision: Decision.Decision
  /** `address:port` of the caller's side. */
  readonly remote: string
  /**
   * The payloads of its verified tokens, by the name of their `jwt-provider`: of those that the intention made a condition. Whose
   * claims it did not ask for are there as well. Empty where no token was required.
   */
  readonly tokens: ReadonlyMap<string, TokenRequirement.Claims>
}

/** Of a connection, and of a request that needed none. */
export const noTokens: Peer["tokens"] = new Map()

export class PeerIdentity extends Context.Service<PeerIdentity, Peer>()("effect-mesh/native/PeerIdentity") {}

/**
 * Tells the type checker that handlers will have it; provides nothing. What a layer provides goes before what a request
 * brings under `HttpApi`, so that a stand-in would hide the peer. Outside of a request it is a missing service.
 */
export const layerOfRequests: Layer.Layer<PeerIdentity> = Layer.empty as Layer.Layer<never> as Layer.Layer<PeerIdentity>
