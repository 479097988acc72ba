/** How many bytes passed. Sockets count by themselves; they are read off the path of the bytes. */
import type { Socket } from "node:net"
import { Effect, type Scope } from "effect"
import type * as Metrics from "./Metrics.ts"

export interface Traffic {
  /** Counts what passes the socket on the side of the application, until it closes. */
  readonly track: (local: Socket) => void
  /** `sent` went into the mesh, `received` came from it. */
  readonly total: () => { readonly sent: number; readonly received: number }
}

/** Brings the metrics up to date every few seconds, and a last time when the scope closes. */
export const make = Effect.fnUntraced(
  function*(metrics: Metrics.Metrics): Effect.fn.Return<Traffic, never, Scope.Scope> {
    const open = new Set<Socket>()
    let sent = 0
    let received = 0
    let reported = { sent, received }
    const total = () => {
      const sum = { sent, received }
      for (const socket of open) {
        sum.sent += socket.bytesRead
        sum.received += socket.bytesWritten
      }
      return sum
    }
    const report = Effect.sync(() => {
      const now = total()
      metrics.bytes(now.sent - reported.sent, now.received - reported.received)
      reported = now
    })
    yield* Effect.addFinalizer(() => report)
    yield* Effect.forkScoped(Effect.forever(Effect.delay(report, "5 seconds")))
    return {
      total,
      track: (local) => {
        open.add(local)
        local.once("close", () => {
          open.delete(local)
          sent += local.bytesRead
          received += local.bytesWritten
        })
      }
    }
  }
)
