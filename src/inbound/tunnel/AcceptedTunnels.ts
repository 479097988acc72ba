/**
 * The tunnels of callers. The certificate of a caller holds for all streams of its tunnel, each of which is judged like a connection:
 * before anything is done on its behalf, and whenever policy changes.
 */
import type { TLSSocket } from "node:tls"
import { Clock, Effect, Schedule, type Scope } from "effect"
import * as Splice from "../../net/Splice.ts"
import * as Tunnel from "../../net/tunnel/Tunnel.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import type * as Refusal from "../../tls/Refusal.ts"
import type * as ConnectionAdmission from "../ConnectionAdmission.ts"

export interface AcceptedTunnels {
  /** Takes the connection of a caller. False: it did not ask for a tunnel. */
  readonly take: (socket: TLSSocket, identified: ConnectionAdmission.Identified) => boolean
  /** How many tunnels are open, and how many streams in them. */
  readonly size: () => number
  readonly streams: () => number
  /** Asks callers to open their streams elsewhere, for good. */
  readonly retire: () => void
}

export interface Options {
  /** Judges a stream, and serves it. */
  readonly opened: (
    side: Splice.Side,
    identified: ConnectionAdmission.Identified,
    cut: (refusal: Refusal.Refusal) => void
  ) => void
  /** A tunnel is open. */
  readonly accepted: (identified: ConnectionAdmission.Identified) => void
}

/** Of one tunnel. */
const maxStreams = 16_384

/** How long a tunnel may be open without a stream: callers end theirs earlier. */
const idleMillis = 300_000

/** How long a caller may be silent that has streams. */
const silenceMillis = 30_000

interface Open {
  /** When the certificate of the caller ends, in milliseconds since 1970: no stream lasts longer. */
  readonly expires: number
  /** Since when it has no streams, as `performance.now()` has it. */
  idleSince: number
}

export const make = Effect.fnUntraced(function*(
  { accepted, opened }: Options
): Effect.fn.Return<AcceptedTunnels, never, Scope.Scope> {
  const tunnels = new Map<Tunnel.Tunnel, Open>()
  let isRetired = false
  yield* Meter.follow(MetricCatalogue.tunnelsOpen, { direction: "inbound" }, () => tunnels.size)
  yield* Effect.forkScoped(Effect.schedule(
    Effect.map(Clock.currentTimeMillis, (date) => {
      const now = performance.now()
      for (const [tunnel, { expires, idleSince }] of tunnels) {
        // Nor does one last whose end could not be read.
        if (!(date <= expires)) tunnel.destroy()
        else tunnel.sweep(now, silenceMillis)
        if (now - idleSince > idleMillis) tunnel.retire()
      }
    }),
    Schedule.spaced("5 seconds")
  ))
  return {
    size: () => tunnels.size,
    streams: () => {
      let sum = 0
      for (const tunnel of tunnels.keys()) sum += tunnel.size
      return sum
    },
    retire: () => {
      isRetired = true
      for (const tunnel of tunnels.keys()) tunnel.retire()
    },
    take: (socket, identified) => {
      if (socket.alpnProtocol !== Tunnel.protocol) return false
      const open: Open = {
        expires: Date.parse(socket.getPeerX509Certificate()?.validTo ?? ""),
        idleSince: performance.now()
      }
      const tunnel: Tunnel.Tunnel = new Tunnel.Tunnel(Splice.tls(socket, identified.arrival.transport), {
        maxStreams,
        opened: (stream) => {
          open.idleSince = Infinity
          opened(
            { socket: stream, reset: () => stream.cut("failed") },
            identified,
            ({ _tag }) => stream.cut(_tag === "Denied" ? "denied" : _tag === "TooManyConnections" ? "limit" : "refused")
          )
        },
        idle: () => {
          open.idleSince = performance.now()
        },
        retired: () => {}
      })
      tunnels.set(tunnel, open)
      socket.once("close", () => tunnels.delete(tunnel))
      accepted(identified)
      if (isRetired) tunnel.retire()
      return true
    }
  }
})
