/** The certificate authorities that this mesh trusts. */
import { Context, Layer, type SubscriptionRef } from "effect"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as Watched from "./Watched.ts"

export class CaRoots extends Context.Service<CaRoots, Watched.Watched<TrustBundle.TrustBundle>>()(
  "effect-mesh/watch/CaRoots"
) {}

const what = "the CA roots"

/** Serves what is put into `ref`: a rotation is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<TrustBundle.TrustBundle>): Layer.Layer<CaRoots> =>
  Layer.succeed(CaRoots, Watched.fromRef(what, ref))
