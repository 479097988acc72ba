/** What the sidecar knows of each of its listeners, whichever way it faces. */
import type { Effect } from "effect"
import type * as Refusal from "../tls/Refusal.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"

/** Since the listener opened, except `open` and `handshaking`, which are now. */
export interface Counts {
  readonly open: number
  readonly handshaking: number
  readonly accepted: number
  /** Ended because the application, or the service of the mesh, was not reached. */
  readonly failed: number
  /** Ended because policy changed. */
  readonly cut: number
  readonly refused: Readonly<Partial<Record<Refusal.Reason, number>>>
  /** Bytes from the local application into the mesh. */
  readonly sent: number
  /** Bytes from the mesh to the local application. */
  readonly received: number
}

export const none: Counts = {
  open: 0,
  handshaking: 0,
  accepted: 0,
  failed: 0,
  cut: 0,
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
