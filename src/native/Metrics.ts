/**
 * The metrics of connections. Names are stable: dashboards are built on them. Refusals are counted by `tls/Refusal`.
 *
 * Socket callbacks count in plain fields, which the metrics catch up with every few seconds and when the scope closes: an
 * update costs a microsecond or two, and a connection would make several.
 */
import { Effect, Metric, type Scope } from "effect"
import type * as Refusal from "../tls/Refusal.ts"

/** Totals since the listener opened. */
export interface Totals {
  /** Connections with a verified peer. */
  readonly established: number
  /** Of those, how many are open now. */
  readonly open: number
  /** Ended because policy changed. */
  readonly cut: number
  /** Ended because what they were for, the application or the service, was not reached. */
  readonly failed: number
  /** Bytes from the application into the mesh. */
  readonly sent: number
  /** Bytes from the mesh to the application. */
  readonly received: number
}

/** Follows `totals`, which is called now and then, never on the path of a connection. */
export const follow = Effect.fnUntraced(function*(
  direction: Refusal.Direction,
  totals: () => Totals
): Effect.fn.Return<void, never, Scope.Scope> {
  const context = yield* Effect.context<never>()
  let reported: Totals = { established: 0, open: 0, cut: 0, failed: 0, sent: 0, received: 0 }
  const series = [
    ["established", Metric.withAttributes(connectionsTotal, { direction })],
    ["open", Metric.withAttributes(connectionsOpen, { direction })],
    ["cut", Metric.withAttributes(connectionsCut, { direction })],
    ["failed", Metric.withAttributes(connectionsFailed, { direction })],
    ["sent", Metric.withAttributes(bytesTotal, { direction, flow: "sent" })],
    ["received", Metric.withAttributes(bytesTotal, { direction, flow: "received" })]
  ] as const
  const report = Effect.sync(() => {
    const now = totals()
    for (const [field, metric] of series) {
      if (now[field] !== reported[field]) metric.updateUnsafe(now[field] - reported[field], context)
    }
    reported = now
  })
  yield* Effect.addFinalizer(() => report)
  yield* Effect.forkScoped(Effect.forever(Effect.delay(report, "5 seconds")))
})

const connectionsTotal = Metric.counter("mesh_connections_total", {
  description: "Mesh connections with a verified peer, by direction",
  incremental: true
})

/** A sum over all listeners, hence a counter that also goes down. */
const connectionsOpen = Metric.counter("mesh_connections_open", {
  description: "Mesh connections open now, by direction"
})

const connectionsCut = Metric.counter("mesh_connections_cut_total", {
  description: "Open connections ended because they were no longer allowed",
  incremental: true
})

const connectionsFailed = Metric.counter("mesh_connections_failed_total", {
  description: "Connections that ended because what they were for could not be reached",
  incremental: true
})

const bytesTotal = Metric.counter("mesh_bytes_total", {
  description: "Application bytes carried by mesh connections, by direction and flow",
  incremental: true
})
