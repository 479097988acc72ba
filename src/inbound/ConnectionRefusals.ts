/** Counts refused connections by reason, and logs them. */
import { type Context, Effect } from "effect"
import type * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as Refusal from "../tls/Refusal.ts"
import type * as AdmissionLog from "./AdmissionLog.ts"

export interface ConnectionRefusals {
  /** `isStream`: of a stream of a tunnel, whose handshake is long over. */
  readonly refuse: (refusal: Refusal.Refusal, remote: string, isStream?: boolean) => void
  readonly counts: () => Readonly<Partial<Record<Refusal.Reason, number>>>
}

export interface Options {
  readonly log: AdmissionLog.AdmissionLog
  readonly handshakes: Pick<ConnectionMetrics.Handshakes, "refused">
  /** Holds the registry of metrics. */
  readonly context: Context.Context<never>
  readonly run: (line: Effect.Effect<void>) => void
}

export const make = ({ context, handshakes, log, run }: Options): ConnectionRefusals => {
  const refused = new Map<Refusal.Reason, number>()
  return {
    counts: () => Object.fromEntries(refused),
    refuse: (refusal, remote, isStream = false) => {
      const reason = Refusal.reason(refusal)
      refused.set(reason, (refused.get(reason) ?? 0) + 1)
      Refusal.count(refusal, "inbound", context)
      if (!isStream && refusal._tag !== "TooManyConnections") handshakes.refused()
      if (refusal._tag === "Denied") return log.denied({ caller: refusal.caller, remote }, refusal.decision)
      const leftOut = log.lines.admit(reason, performance.now())
      if (leftOut === undefined) return
      run(Effect.annotateLogs(Refusal.log(refusal, "inbound", remote, leftOut), "service", log.service()))
    }
  }
}
