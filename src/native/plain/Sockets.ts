/** Connections that an application has asked for. Each belongs to the application, and is reset when the mesh closes. */
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import { Effect, Scope } from "effect"
import * as Turnover from "../../net/Turnover.ts"
import type * as Connect from "../../outbound/Connect.ts"
import type * as MeshDialer from "../../outbound/MeshDialer.ts"
import * as Caller from "./Caller.ts"
import * as NodeAgents from "./NodeAgents.ts"
import * as ServiceName from "./ServiceName.ts"

export interface Sockets {
  readonly connect: (name: string) => Promise<Tls.TLSSocket>
  /** Resets all of them, so that the other side does not take it for an end. */
  readonly reset: () => Promise<void>
}

export const make = (
  dialer: MeshDialer.MeshDialer["Service"],
  run: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
): Sockets => {
  /** Each open one, with what resets it. */
  const open = new Turnover.TurnoverMap<Net.Socket, () => void>()

  const own = ({ peer, reset, socket }: Connect.Connection): Tls.TLSSocket => {
    socket.allowHalfOpen = false
    Caller.rememberPeer(socket, peer)
    socket.on("error", (error) => NodeAgents.failAnswer(socket, error))
    open.set(socket, reset)
    socket.once("close", () => open.delete(socket))
    return socket
  }

  return {
    connect: (name) =>
      run(
        Effect.flatMap(ServiceName.resolver(name), (resolver) =>
          Effect.uninterruptibleMask((restore) =>
            // Its scope is never closed: the application closes the connection, or the mesh does.
            Effect.map(Scope.provide(restore(dialer.dial(resolver)), Scope.makeUnsafe()), own)
          ))
      ),
    reset: async () => {
      await Promise.all([...open].map(([socket, reset]) =>
        new Promise((resolve) => {
          socket.once("close", resolve)
          reset()
        })
      ))
    }
  }
}
