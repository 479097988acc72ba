/** What the log and the metrics say of relayed connections and requests that came to nothing. */
import { Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as Meter from "../observe/Meter.ts"
import * as RefusalLines from "../observe/RefusalLines.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as Refusal from "../tls/Refusal.ts"
import type * as Connect from "./Connect.ts"
import type * as DialError from "./DialError.ts"

export interface RelayReport {
  /** No connection could be made. */
  readonly unreachable: (error: DialError.DialError) => Effect.Effect<void>
  /** The other side cut the connection before its first byte. `code` is Node's, or `closed`. */
  readonly unanswered: (connection: Connect.Reached, code: string) => Effect.Effect<void>
  /** A request was answered as sidecars refuse them. `remote`: the instance that did. */
  readonly refused: (destination: string, remote: string) => Effect.Effect<void>
}

/** `caller` is the service in whose name connections are made. */
export const make = Effect.fnUntraced(function*(caller = "of this caller"): Effect.fn.Return<RelayReport> {
  const lines = LineLimit.make(yield* RefusalLines.RefusalLines)
  const context = yield* Effect.context<never>()

  const warn = (kind: string, text: string, keys: Readonly<Record<string, string>>) => {
    const leftOut = lines.admit(kind, performance.now())
    return leftOut === undefined ? Effect.void : Effect.annotateLogs(
      Effect.logWarning(`${text}${LineLimit.suffix(leftOut)}`),
      { direction: "outbound", ...keys }
    )
  }

  return {
    unreachable: ({ message, reason, service }) =>
      warn(reason._tag, message, { reason: reason._tag, destination: service }),
    refused: (destination, remote) =>
      warn(
        `${destination} refused`,
        `${destination} (${remote}) has refused a request in the words of a sidecar (RBAC: access denied): an intention, or a ` +
          `token that it asks for. Check the intentions ${caller} → ${destination}; the log of the other side says which`,
        { destination, remote, reason: "denied" }
      ),
    unanswered: ({ peer, remote }, code) => {
      const destination = SpiffeId.display(peer)
      const keys = { destination, remote, code }
      // With TLS 1.3 the other side judges us when our handshake is over: its refusal is the first thing that we read.
      const refusal = HandshakeFailure.toRefusal(Object.assign(new Error(code), { code }), 0)
      if (refusal._tag === "RefusedByPeer") {
        const reason = Refusal.reason(refusal)
        Refusal.count(refusal, "outbound", context)
        return warn(`${destination} ${reason}`, `${destination} (${remote}): ${Refusal.explain(refusal)}`, {
          ...keys,
          reason
        })
      }
      Meter.count(MetricCatalogue.connectionsUnanswered, { destination }, context).value++
      return warn(
        `${destination} unanswered`,
        `${destination} (${remote}) cut the connection before its first byte (${code}): it refused us, or its application ` +
          `was not reached or reset it. Check the intentions ${caller} → ${peer.service}; the log of the other side says ` +
          "which it was",
        { ...keys, reason: "unanswered" }
      )
    }
  }
})
