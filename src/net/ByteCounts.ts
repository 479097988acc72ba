/** How many bytes passed. Sockets count by themselves, and are read off the path of the bytes. */
import type * as Splice from "./Splice.ts"
import * as Turnover from "./Turnover.ts"

export interface ByteCounts {
  /** Counts what passes a socket on the side of the mesh, until it closes: plain bytes, not those of TLS. */
  readonly track: (mesh: Splice.Stream) => void
  /** The same, for who sees it close anyhow: a listener for each matters where connections are short. */
  readonly entered: (mesh: Splice.Stream) => void
  readonly left: (mesh: Splice.Stream) => void
  /** `sent` went into the mesh, `received` came from it. */
  readonly total: () => { readonly sent: number; readonly received: number }
}

export const make = (): ByteCounts => {
  const open = new Turnover.TurnoverSet<Splice.Stream>()
  let sent = 0
  let received = 0
  const entered = (mesh: Splice.Stream) => open.add(mesh)
  const left = (mesh: Splice.Stream) => {
    open.delete(mesh)
    sent += mesh.bytesWritten
    received += mesh.bytesRead
  }
  return {
    entered,
    left,
    total: () => {
      const sum = { sent, received }
      for (const socket of open) {
        sum.sent += socket.bytesWritten
        sum.received += socket.bytesRead
      }
      return sum
    },
    track: (mesh) => {
      entered(mesh)
      mesh.once("close", () => left(mesh))
    }
  }
}
