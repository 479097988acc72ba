/** Who may call this service, compiled: the intentions that name it as their destination, and the default policy. */
import { Context, Layer, type SubscriptionRef } from "effect"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Watched from "./Watched.ts"

export class Intentions extends Context.Service<Intentions, Watched.Watched<Authorizer.Authorizer>>()(
  "effect-mesh/watch/Intentions"
) {}

const what = "the intentions"

/** Serves what is put into `ref`: a change of policy is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Authorizer.Authorizer>): Layer.Layer<Intentions> =>
  Layer.succeed(Intentions, Watched.fromRef(what, ref))
