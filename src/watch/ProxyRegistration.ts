/** What the sidecar of a service has to do, as its registration in the agent says. */
import { Context, Layer, type SubscriptionRef } from "effect"
import * as Watched from "./Watched.ts"

export type Address = { readonly host: string; readonly port: number } | {
  readonly path: string
  /** File mode bits of the socket; absent: as the process creates it. */
  readonly mode?: number | undefined
}

export interface Upstream {
  /** Names the listener across updates: what is dialled, and where it binds. */
  readonly id: string
  readonly service: string
  readonly datacenter: string | undefined
  readonly bind: Address
  /** Overrides the resolver's; absent: no override. */
  readonly connectTimeoutMillis: number | undefined
}

export interface Registration {
  readonly proxyId: string
  /** The service on whose behalf the proxy speaks: its identity, and the destination of its intentions. */
  readonly service: string
  /** Where callers from the mesh connect. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Where the application listens. */
  readonly application: Address
  readonly applicationConnectTimeoutMillis: number
  readonly handshakeTimeoutMillis: number
  /** Callers beyond it are refused; 0: no limit. */
  readonly maxInboundConnections: number
  readonly upstreams: ReadonlyArray<Upstream>
  /** What was registered and is not supported, in words, for one warning each. */
  readonly ignored: ReadonlyArray<string>
}

export class ProxyRegistration extends Context.Service<ProxyRegistration, Watched.Watched<Registration>>()(
  "effect-mesh/watch/ProxyRegistration"
) {}

const what = "the proxy registration"

/** Serves what is put into `ref`: a re-registration is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Registration>): Layer.Layer<ProxyRegistration> =>
  Layer.succeed(ProxyRegistration, Watched.fromRef(what, ref))
