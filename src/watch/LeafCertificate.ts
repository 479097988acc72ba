/** The certificate and key by which this service proves who it is. */
import { Context, Layer, type Redacted, type SubscriptionRef } from "effect"
import type * as Certificate from "../identity/Certificate.ts"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Watched from "./Watched.ts"

export interface Leaf {
  readonly identity: SpiffeId.Service
  /** The leaf itself. */
  readonly certificate: Certificate.Certificate
  /** The leaf, then the intermediates that lead to a root: what a peer is shown. */
  readonly chainPem: string
  readonly keyPem: Redacted.Redacted<string>
}

export class LeafCertificate extends Context.Service<LeafCertificate, Watched.Watched<Leaf>>()(
  "effect-mesh/watch/LeafCertificate"
) {}

const what = "the leaf certificate"

/** Serves what is put into `ref`: a renewal is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Leaf>): Layer.Layer<LeafCertificate> =>
  Layer.succeed(LeafCertificate, Watched.fromRef(what, ref))
