/** The metrics of connections. Names are stable: dashboards are built on them. Refusals are counted by `tls/Refusal`. */
import { type Context, Metric } from "effect"
import type * as Refusal from "../tls/Refusal.ts"

/** The counters of one direction. All are synchronous, for socket callbacks. */
export interface Metrics {
  readonly opened: () => void
  readonly closed: () => void
  /** Ended because policy changed. */
  readonly cut: () => void
  /** A connection that could not be continued: the application or the service behind it was not reached. */
  readonly failed: () => void
  /** `sent` went to the peer in the mesh, `received` came from it. */
  readonly bytes: (sent: number, received: number) => void
}

export const make = (direction: Refusal.Direction, context: Context.Context<never>): Metrics => {
  const total = Metric.withAttributes(connectionsTotal, { direction })
  const open = Metric.withAttributes(connectionsOpen, { direction })
  const failed = Metric.withAttributes(connectionsFailed, { direction })
  const cut = Metric.withAttributes(connectionsCut, { direction })
  const sentBytes = Metric.withAttributes(bytesTotal, { direction, flow: "sent" })
  const receivedBytes = Metric.withAttributes(bytesTotal, { direction, flow: "received" })
  return {
    opened: () => {
      total.updateUnsafe(1, context)
      open.updateUnsafe(1, context)
    },
    closed: () => open.updateUnsafe(-1, context),
    cut: () => cut.updateUnsafe(1, context),
    failed: () => failed.updateUnsafe(1, context),
    bytes: (sent, received) => {
      if (sent > 0) sentBytes.updateUnsafe(sent, context)
      if (received > 0) receivedBytes.updateUnsafe(received, context)
    }
  }
}

const connectionsTotal = Metric.counter("mesh_connections_total", {
  description: "Mesh connections established, by direction",
  incremental: true
})

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
