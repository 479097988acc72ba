/** The keys of log lines, which are stable: `docs/metrics.md`. Tools look for lines by them, people read the sentences. */
import * as SpiffeId from "../identity/SpiffeId.ts"

/** The peer and its address. */
export interface Peer {
  readonly caller: SpiffeId.Service
  /** `address:port` of the other side. */
  readonly remote: string
}

export const peer = ({ caller, remote }: Peer): { readonly peer: string; readonly remote: string } => ({
  peer: SpiffeId.format(caller),
  remote
})
