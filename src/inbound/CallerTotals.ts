/** What each caller has used: connections and bytes. For operators; read off the path of the bytes. */
import * as SpiffeId from "../identity/SpiffeId.ts"
import type { Connection } from "./Connection.ts"

/** Since the listener opened, except `open`. */
export interface Caller {
  /** As `SpiffeId.display` has it; `*`: all beyond the bound. */
  readonly caller: string
  readonly open: number
  readonly accepted: number
  /** Bytes into the mesh, to the caller. */
  readonly sent: number
  /** Bytes from the mesh. */
  readonly received: number
}

export interface CallerTotals {
  readonly entered: (connection: Connection) => void
  /** It is closed. */
  readonly left: (connection: Connection) => void
  /** `open` are those that have entered and not left. */
  readonly list: (open: Iterable<Connection>) => ReadonlyArray<Caller>
}

/** Callers have proved who they are: that there are more of them than this is no attack, and no reason to forget anybody. */
const most = 2000

type Totals = { -readonly [K in keyof Caller]: Caller[K] }

export const make = (): CallerTotals => {
  const known = new Map<string, Totals>()
  /** Who was asked for last: a tunnel brings many connections of one. */
  let last: { readonly caller: Connection["caller"]; readonly totals: Totals } | undefined
  const totalsOf = (caller: Connection["caller"]): Totals => {
    if (last?.caller !== caller) last = { caller, totals: of(SpiffeId.display(caller)) }
    return last.totals
  }
  const of = (name: string): Totals => {
    const present = known.get(name)
    if (present !== undefined) return present
    if (known.size >= most && name !== "*") return of("*")
    const made = { caller: name, open: 0, accepted: 0, sent: 0, received: 0 }
    known.set(name, made)
    return made
  }
  return {
    entered: ({ caller }) => {
      const totals = totalsOf(caller)
      totals.accepted++
      totals.open++
    },
    left: ({ caller, socket }) => {
      const totals = totalsOf(caller)
      totals.open--
      totals.sent += socket.bytesWritten
      totals.received += socket.bytesRead
    },
    list: (open) => {
      const listed = new Map(Array.from(known, ([name, totals]) => [name, { ...totals }]))
      for (const { caller, socket } of open) {
        const totals = listed.get(SpiffeId.display(caller)) ?? listed.get("*")
        if (totals === undefined) continue
        totals.sent += socket.bytesWritten
        totals.received += socket.bytesRead
      }
      return [...listed.values()]
    }
  }
}
