/** How many bytes passed. Sockets count by themselves, and are read off the path of the bytes. */
import type * as Splice from "./Splice.ts"
import * as Turnover from "./Turnover.ts"

/** A socket, or what stands for it. */
export type Counted = Pick<Splice.Stream, "bytesRead" | "bytesWritten">

export interface ByteCounts {
  /** Counts what passes a socket on the side of the mesh, until it closes: plain bytes, not those of TLS. */
  readonly track: (mesh: Splice.Stream) => void
  /** The same, for who sees it close anyhow: a listener for each matters where connections are short. */
  readonly entered: (mesh: Counted) => void
  readonly left: (mesh: Counted) => void
  /** `sent` went into the mesh, `received` came from it. */
  readonly total: () => { readonly sent: number; readonly received: number }
}

/** A local connection whose bytes pass into the mesh by no connection of its own: what comes of it goes there. */
export class Inward implements Counted {
  readonly #local: Counted

  constructor(local: Counted) {
    this.#local = local
  }

  get bytesRead(): number {
    return this.#local.bytesWritten
  }

  get bytesWritten(): number {
    return this.#local.bytesRead
  }
}

export const make = (): ByteCounts => {
  const open = new Turnover.TurnoverSet<Counted>()
  let sent = 0
  let received = 0
  const entered = (mesh: Counted) => open.add(mesh)
  const left = (mesh: Counted) => {
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
