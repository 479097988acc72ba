/**
 * Admits a connection after its handshake: verifies the caller, then asks the judge. The application hears of it after
 * both.
 *
 *     finished ─▶ identified ─▶ judged ─▶ entered
 *                     │           ├─▶ turned away: a reset
 *                     └─ tunnel ─▶ each of its streams is judged
 *
 * A refused connection is reset: with TLS 1.3 the dialler has ended its handshake by then, and an orderly end would look
 * to it like an empty answer.
 */
import type { Socket } from "node:net"
import { Result } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Splice from "../net/Splice.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import type * as Refusal from "../tls/Refusal.ts"
import type { Connection } from "./Connection.ts"
import type * as ConnectionJudge from "./ConnectionJudge.ts"
import type * as TlsServer from "./TlsServer.ts"

/** A caller whose certificate holds. */
export interface Identified {
  readonly caller: SpiffeId.Service
  readonly certificate: PeerVerification.Presented["certificate"]
  readonly arrival: TlsServer.Arrival
  readonly carrier: Splice.Stream
}

export interface Stages<S extends Socket> {
  /** Reads the peer's certificate off the socket. */
  readonly presented: (socket: S) => PeerVerification.Presented
  readonly judge: Pick<ConnectionJudge.ConnectionJudge, "decide">
  /** Takes a connection that is to be judged stream by stream. False: it is none. */
  readonly tunnelled: (socket: S, identified: Identified) => boolean
  /** Serves an admitted connection, or a stream of one that was identified: then `arrival` is undefined. */
  readonly enter: (
    connection: Connection,
    verdict: ConnectionJudge.Verdict,
    arrival: TlsServer.Arrival | undefined
  ) => void
  /** Records a refusal, of `side`. The connection, or the stream, is cut after it. */
  readonly refuse: (refusal: Refusal.Refusal, remote: string, side: Splice.Stream, isStream: boolean) => void
}

export interface ConnectionAdmission<in S> {
  /** The handshake is over. */
  readonly finished: (socket: S, arrival: TlsServer.Arrival) => void
  /** A stream of a tunnel was opened. `cut` ends it where it is refused. */
  readonly opened: (side: Splice.Side, identified: Identified, cut: (refusal: Refusal.Refusal) => void) => void
}

export const make = <S extends Socket>(
  { enter, judge, presented, refuse, tunnelled }: Stages<S>
): ConnectionAdmission<S> => {
  const decide = (
    side: Splice.Side,
    { arrival, caller, certificate }: Identified,
    then: (verdict: Result.Result<ConnectionJudge.Verdict, Refusal.Refusal>) => void
  ) =>
    judge.decide({ caller, certificate, socket: side.socket, arrival }, (verdict) => {
      if (Result.isFailure(verdict) || verdict.success.decision.allowed) return then(verdict)
      then(Result.fail({ _tag: "Denied", caller, decision: verdict.success.decision }))
    })
  const connection = (
    side: Splice.Side,
    { arrival, caller, carrier }: Identified,
    { decision }: ConnectionJudge.Verdict
  ) => ({
    socket: side.socket,
    reset: side.reset,
    caller,
    decision,
    remote: arrival.remote,
    since: arrival.since,
    carrier
  })
  return {
    finished: (socket, arrival) => {
      const turnAway = (refusal: Refusal.Refusal) => {
        refuse(refusal, arrival.remote, arrival.transport, false)
        arrival.transport.resetAndDestroy()
      }
      const peer = presented(socket)
      const caller = PeerVerification.acceptor(peer, arrival.material)
      if (Result.isFailure(caller)) return turnAway(caller.failure)
      const identified = { caller: caller.success, certificate: peer.certificate, arrival, carrier: socket }
      if (tunnelled(socket, identified)) return
      const side = Splice.tls(socket, arrival.transport)
      decide(side, identified, (verdict) => {
        if (Result.isFailure(verdict)) return turnAway(verdict.failure)
        enter(connection(side, identified, verdict.success), verdict.success, arrival)
      })
    },
    opened: (side, { arrival, caller, carrier, certificate }, cut) => {
      // It is as young as a connection of its own would be.
      const identified = { caller, certificate, carrier, arrival: { ...arrival, since: performance.now() } }
      decide(side, identified, (verdict) => {
        if (Result.isSuccess(verdict)) {
          return enter(connection(side, identified, verdict.success), verdict.success, undefined)
        }
        refuse(verdict.failure, arrival.remote, side.socket, true)
        cut(verdict.failure)
      })
    }
  }
}
