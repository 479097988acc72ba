/** What the sidecar knows of each of its listeners, whichever way it faces. */
import { Effect } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as CallerTotals from "../inbound/CallerTotals.ts"
import type * as MeshListener from "../inbound/MeshListener.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as DenialLog from "../observe/DenialLog.ts"
import type * as DestinationStatus from "../outbound/DestinationStatus.ts"
import type * as HttpRoutes from "../route/HttpRoutes.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"

/** As for a listener of the mesh. For an upstream, `accepted` are connections of the application, and none are refused. */
export interface Counts extends Omit<MeshListener.Stats, "refused"> {
  /** By reason: see `mesh_refusals_total`; of gateways `mesh_gateway_refusals_total`. */
  readonly refused: Readonly<Partial<Record<string, number>>>
}

export const none: Counts = {
  open: 0,
  handshaking: 0,
  accepted: 0,
  failed: 0,
  cut: 0,
  retired: { lifetime: 0, idle: 0 },
  refused: {},
  sent: 0,
  received: 0
}

/** A connection that is open. */
export interface OpenConnection {
  /** `address:port` of the side that connected; of a Unix socket: empty. */
  readonly remote: string
  /** The caller, of an inbound one; the service that answers, of one that is relayed to the mesh. */
  readonly peer: SpiffeId.Service | undefined
  /** Why a caller was let in. */
  readonly decision: Decision.Decision | undefined
  /** Where its bytes go: the address of an instance. Undefined: to the application, or by request. */
  readonly to: string | undefined
  /** In milliseconds since 1970. */
  readonly openedAt: number
  /** Bytes into the mesh. */
  readonly sent: number
  /** Bytes from the mesh. */
  readonly received: number
}

/** For operators, beyond counts. Everything is as it is now. */
export interface Details {
  readonly connections: () => Iterable<OpenConnection>
  /** What each caller has used. */
  readonly callers: () => ReadonlyArray<CallerTotals.Caller>
  /** Who was refused, by caller and rule: connections and requests. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** Judges all that is open again, now. */
  readonly judgeAgain: Effect.Effect<void>
  /** Undefined for those that take callers. */
  readonly upstream: UpstreamDetails | undefined
}

export interface UpstreamDetails {
  /** `tcp` until something else is known. */
  readonly protocol: () => string
  /** Undefined: the targets have not arrived. */
  readonly targets: () => ReadonlyArray<DestinationStatus.TargetStatus> | undefined
  /** Undefined: connections are routed, not requests. */
  readonly routes: () => HttpRoutes.HttpRoutes | undefined
}

export const noDetails: Details = {
  connections: () => [],
  callers: () => [],
  denials: () => [],
  judgeAgain: Effect.void,
  upstream: undefined
}

/** In milliseconds since 1970, of what `performance.now()` had. */
export const wallClock = (since: number): number => performance.timeOrigin + since

/** `A`: what says how it is to be, such as a registration. */
export interface Listener<in A = ProxyRegistration.Registration> {
  /** With the port that was given. */
  readonly address: string
  readonly counts: () => Counts
  readonly details: Details
  /** Takes over what can change while it is open. Open connections stay as they are. */
  readonly update: (wanted: A) => Effect.Effect<void>
  /** Tells callers that they are to go elsewhere soon, where their protocol can, and serves them until they do. */
  readonly announce: Effect.Effect<void>
  /** Stops accepting, at once. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
}
