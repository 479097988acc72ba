/** Two ends of a tunnel over a connection on loopback, without TLS. */
import { once } from "node:events"
import * as Net from "node:net"
import { Effect } from "effect"
import * as Splice from "../../src/net/Splice.ts"
import * as Tunnel from "../../src/net/tunnel/Tunnel.ts"
import type * as TunnelStream from "../../src/net/tunnel/TunnelStream.ts"

/** Two sockets that are connected, closed with the scope. */
export const sockets = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = Net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    const near = Net.connect({ port: address.port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    const [[far]] = await Promise.all([once(server, "connection"), once(near, "connect")])
    server.close()
    return { near, far: far as Net.Socket }
  }),
  ({ far, near }) =>
    Effect.sync(() => {
      near.destroy()
      far.destroy()
    })
)

export interface Pair {
  readonly near: Net.Socket
  readonly far: Net.Socket
  readonly dialler: Tunnel.Tunnel
  readonly acceptor: Tunnel.Tunnel
  /** Streams that the acceptor got, by their numbers. */
  readonly accepted: Map<number, TunnelStream.TunnelStream>
}

export const pair = Effect.fnUntraced(function*(
  opened: (stream: TunnelStream.TunnelStream) => void = () => {},
  maxStreams = 1000
) {
  const { far, near } = yield* sockets
  const accepted = new Map<number, TunnelStream.TunnelStream>()
  const quiet = { idle: () => {}, retired: () => {} }
  const acceptor = new Tunnel.Tunnel(Splice.plain(far), {
    ...quiet,
    maxStreams,
    opened: (stream) => {
      accepted.set(stream.id, stream)
      opened(stream)
    }
  })
  const dialler = new Tunnel.Tunnel(Splice.plain(near), { ...quiet, maxStreams: 0, opened: () => {} })
  const made: Pair = { near, far, dialler, acceptor, accepted }
  return made
})
