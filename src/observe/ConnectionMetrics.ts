/** The metrics of connections: totals of a listener, and the outcomes of handshakes. */
import { type Context, Effect, type Scope } from "effect"
import * as MetricCatalogue from "./MetricCatalogue.ts"
import * as Meter from "./Meter.ts"

/** Totals since the listener opened. */
export interface Totals {
  /** Connections with a verified peer. */
  readonly established: number
  /** Of those, how many are open now. */
  readonly open: number
  /** Ended because policy changed. */
  readonly cut: number
  /** Ended because they reached their lifetime. */
  readonly lifetime: number
  /** Ended because they were idle for too long. */
  readonly idle: number
  /** Ended because the application or the service was not reached. */
  readonly failed: number
  /** Bytes from the application into the mesh. */
  readonly sent: number
  /** Bytes from the mesh to the application. */
  readonly received: number
}

/** Shows `totals`, which is called when metrics are exported, never on the path of a connection. */
export const follow = Effect.fnUntraced(function*(
  direction: MetricCatalogue.Direction,
  totals: () => Totals
): Effect.fn.Return<void, never, Scope.Scope> {
  yield* Meter.follow(MetricCatalogue.connections, { direction }, () => totals().established)
  yield* Meter.follow(MetricCatalogue.connectionsOpen, { direction }, () => totals().open)
  yield* Meter.follow(MetricCatalogue.connectionsCut, { direction }, () => totals().cut)
  yield* Meter.follow(MetricCatalogue.connectionsRetired, { direction, reason: "lifetime" }, () => totals().lifetime)
  yield* Meter.follow(MetricCatalogue.connectionsRetired, { direction, reason: "idle" }, () => totals().idle)
  yield* Meter.follow(MetricCatalogue.connectionsFailed, { direction }, () => totals().failed)
  yield* Meter.follow(MetricCatalogue.bytes, { direction, flow: "sent" }, () => totals().sent)
  yield* Meter.follow(MetricCatalogue.bytes, { direction, flow: "received" }, () => totals().received)
})

/** Synchronous, for socket callbacks. */
export interface Handshakes {
  /** `since` is when TCP connected, as `performance.now()` has it. */
  readonly accepted: (since: number) => void
  readonly refused: () => void
}

export const handshakes = (direction: MetricCatalogue.Direction, context: Context.Context<never>): Handshakes => {
  const accepted = Meter.count(MetricCatalogue.handshakes, { direction, outcome: "accepted" }, context)
  const refused = Meter.count(MetricCatalogue.handshakes, { direction, outcome: "refused" }, context)
  const duration = Meter.distribution(MetricCatalogue.handshakeDuration, { direction }, context)
  return {
    accepted: (since) => {
      accepted.value++
      duration.record((performance.now() - since) / 1000)
    },
    refused: () => {
      refused.value++
    }
  }
}
