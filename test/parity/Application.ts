/**
 * The application beside every sidecar. It answers who it is, notes what it gets, and does what a request tells it to do. One
 * port for HTTP/1.1 and for HTTP/2 by prior knowledge: the first bytes decide.
 */
import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import * as Application1 from "./Application1.ts"
import * as Application2 from "./Application2.ts"
import * as Script from "./Script.ts"
import * as Seen from "./Seen.ts"
import type * as Topology from "./Topology.ts"

export interface Applications {
  /** What has arrived since they forgot. */
  readonly seen: () => ReadonlyArray<Seen.Seen>
  readonly forget: () => void
}

/** Those of the whole cast, until the scope closes. */
export const make = Effect.fnUntraced(function*(
  { instances }: Topology.Topology
): Effect.fn.Return<Applications, never, Scope.Scope> {
  const journal = Seen.make()
  const interpreter = Script.interpreter()
  for (const { app, appDown, id, sidecar, silent } of instances) {
    if (appDown !== true) yield* listen(app, either(id, journal, interpreter))
    if (silent === true) yield* listen(sidecar, () => {})
  }
  return {
    seen: journal.list,
    forget: () => {
      journal.forget()
      interpreter.forget()
    }
  }
})

const either = (id: string, journal: Seen.Journal, interpreter: Script.Interpreter) => {
  const one = Application1.make(id, journal, interpreter)
  const two = Application2.make(id, journal, interpreter)
  return (socket: Net.Socket) => {
    socket.once("data", (first: Buffer) => {
      socket.pause()
      socket.unshift(first)
      if (first.toString("latin1").startsWith("PRI * HTTP/2")) two.emit("connection", socket)
      else {
        one.emit("connection", socket)
        socket.resume()
      }
    })
  }
}

const listen = (port: number, accept: (socket: Net.Socket) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<() => void>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer({ noDelay: true }, (socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        accept(socket)
      })
      server.listen(port, "127.0.0.1", () =>
        resume(Effect.succeed(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })))
    }),
    (close) => Effect.sync(close)
  ).pipe(Effect.asVoid)
