/**
 * Log lines about refused callers. A flood of refusals, or of failures, is counted, and makes one line a minute for each
 * kind.
 */
import { Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import * as DenialLog from "../observe/DenialLog.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as LogKeys from "../observe/LogKeys.ts"
import * as RefusalLines from "../observe/RefusalLines.ts"

export interface AdmissionLog {
  /** The service that callers connect to. */
  readonly service: () => string
  /** The keys of a line about this caller. */
  readonly keys: (peer: LogKeys.Peer) => Readonly<Record<string, string>>
  /** Limits other lines; they share a budget with `fault`. */
  readonly lines: LineLimit.LineLimit
  /** Policy refused this caller, or would have, in audit mode. Counts by caller and rule. */
  readonly denied: (peer: LogKeys.Peer, decision: Decision.Decision) => void
  /** The caller broke a rule of the protocol. `did` says how it was answered: `refused a request`. `why` names the kind. */
  readonly fault: (peer: LogKeys.Peer, did: string, reason: string, why: string) => void
  /** Denials, most frequent first. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
}

export interface Options {
  readonly service: () => string
  /** Names what was refused, by the caller's address. */
  readonly subject: (remote: string) => string
  /** Writes a line from a callback. */
  readonly run: (line: Effect.Effect<void>) => void
}

export const make = Effect.fnUntraced(function*({ run, service, subject }: Options): Effect.fn.Return<AdmissionLog> {
  const limits = yield* RefusalLines.RefusalLines
  const denials = DenialLog.make(limits)
  const lines = LineLimit.make(limits)
  const keys = (peer: LogKeys.Peer) => ({ direction: "inbound", service: service(), ...LogKeys.peer(peer) })
  const warn = (peer: LogKeys.Peer, reason: string, line: string) =>
    run(Effect.annotateLogs(Effect.logWarning(line), { ...keys(peer), reason }))
  return {
    service,
    keys,
    lines,
    denied: (peer, decision) => {
      const line = denials.record(SpiffeId.display(peer.caller), service(), decision, performance.now())
      if (line === undefined) return
      const verdict = decision.allowed ? "let through, in audit mode," : "refused"
      warn(peer, "denied", `${verdict} ${subject(peer.remote)}: ${DenialLog.format(line)}`)
    },
    fault: (peer, did, reason, why) => {
      const leftOut = lines.admit(why, performance.now())
      if (leftOut === undefined) return
      const who = `${SpiffeId.display(peer.caller)} (${peer.remote})`
      warn(peer, reason, `${did} of ${who}: ${why}${LineLimit.suffix(leftOut)}`)
    },
    denials: denials.counts
  }
})
