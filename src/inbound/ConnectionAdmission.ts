/**
 * Admits a connection after its handshake: verifies the caller, then asks the judge. The application hears of it after
 * both.
 *
 *     finished ─▶ verified ─▶ judged ─▶ entered
 *                    └──────────┴─▶ turned away: a reset
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

export interface Stages<S extends Socket> {
  /** Reads the peer's certificate off the socket. */
  readonly presented: (socket: S) => PeerVerification.Presented
  readonly judge: Pick<ConnectionJudge.ConnectionJudge, "decide">
  /** Serves an admitted connection. */
  readonly enter: (connection: Connection, verdict: ConnectionJudge.Verdict, arrival: TlsServer.Arrival) => void
  /** Records a refusal. The connection is reset after it. */
  readonly refuse: (refusal: Refusal.Refusal, arrival: TlsServer.Arrival) => void
}

export const make = <S extends Socket>(
  { enter, judge, presented, refuse }: Stages<S>
): (socket: S, arrival: TlsServer.Arrival) => void => {
  const turnAway = (refusal: Refusal.Refusal, arrival: TlsServer.Arrival) => {
    refuse(refusal, arrival)
    arrival.transport.resetAndDestroy()
  }
  const conclude = (
    socket: S,
    arrival: TlsServer.Arrival,
    caller: SpiffeId.Service,
    verdict: ConnectionJudge.Verdict
  ) => {
    const { decision } = verdict
    if (!decision.allowed) return turnAway({ _tag: "Denied", caller, decision }, arrival)
    const { remote, since, transport } = arrival
    enter({ ...Splice.tls(socket, transport), caller, decision, remote, since }, verdict, arrival)
  }
  return (socket, arrival) => {
    const peer = presented(socket)
    const caller = PeerVerification.acceptor(peer, arrival.material)
    if (Result.isFailure(caller)) return turnAway(caller.failure, arrival)
    judge.decide(
      { caller: caller.success, certificate: peer.certificate, socket, arrival },
      (verdict) =>
        Result.isFailure(verdict)
          ? turnAway(verdict.failure, arrival)
          : conclude(socket, arrival, caller.success, verdict.success)
    )
  }
}
