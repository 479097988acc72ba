/**
 * A server that listens itself, and gets from the mesh what it would have accepted.
 *
 *     accepted by the server ─▶ early, until the mesh is open ─▶ the mesh: TLS, judged ─▶ announced to the server
 *                                                           └─▶ dropped, where the mesh could not open
 */
import type * as Net from "node:net"
import type * as Application from "./Application.ts"
import type * as NodeServer from "./NodeServer.ts"
import type * as Opened from "./Opened.ts"

/** Opens the mesh for it: `from` is called with what takes connections. */
type Open = (
  announce: Application.Announce,
  from: (accept: (transport: Net.Socket) => void) => void
) => Promise<Opened.Closable>

/** Returns the server. When it closes, what is at hand is finished. Throws at one that listens already. */
export const follow = <S extends NodeServer.Server>(server: S, open: Open): S => {
  if (server.listening) throw new Error(tooLate)
  const announce: Application.Announce = server.emit.bind(server)
  const stop = server.close.bind(server)
  const queue = arrivals()
  const opening = open(announce, queue.pass)
  opening.catch(() => queue.pass((transport) => void transport.destroy()))
  return Object.assign(server, {
    emit: (event: string, ...details: ReadonlyArray<unknown>) => {
      if (event !== "connection") return announce(event, ...details)
      queue.take(details[0] as Net.Socket)
      return true
    },
    close: (...done: Parameters<typeof stop>) => {
      opening.then(({ close }) => close(), () => {})
      return stop(...done)
    }
  })
}

/** Keeps connections that come before intentions have. */
const arrivals = () => {
  const early: Array<Net.Socket> = []
  let accept = (transport: Net.Socket): void => {
    transport.on("error", () => {})
    early.push(transport)
  }
  return {
    take: (transport: Net.Socket) => accept(transport),
    pass: (to: (transport: Net.Socket) => void) => {
      accept = to
      early.splice(0).forEach(to)
    }
  }
}

const tooLate =
  "the server listens already, and may have connections that nobody has judged: follow it before it listens"
