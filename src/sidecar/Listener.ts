/** What the sidecar knows of each of its listeners, whichever way it faces. */
import type { Effect } from "effect"
import type * as MeshListener from "../inbound/MeshListener.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"

/** As for a listener of the mesh. For an upstream, `accepted` are connections of the application, and none are refused. */
export type Counts = MeshListener.Stats

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

export interface Listener {
  /** With the port that was given. */
  readonly address: string
  readonly counts: () => Counts
  /** Takes over what can change while it is open. Open connections stay as they are. */
  readonly update: (registration: ProxyRegistration.Registration) => Effect.Effect<void>
  /** Stops accepting, at once. Open connections go on until the scope closes. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
}
