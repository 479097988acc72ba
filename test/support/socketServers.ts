/** A `MeshSocketServer` of `api` and callers of it, in one mesh of values. */
import { Context, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { Socket, SocketServer } from "effect/socket"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import type * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as Certificates from "./certificates.ts"
import * as Mesh from "./mesh.ts"

export type Handler = (socket: Socket.Socket) => Effect.Effect<unknown, unknown, PeerIdentity.PeerIdentity>

/** `serve` opens a server of `api`, `closing` ends it; `caller` gives what a service needs to call it. */
export const setUp = Effect.gen(function*() {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const api = yield* Mesh.member("api", ca)
  const discovery = yield* Mesh.discovery({ api: [], empty: [] })
  const scope = yield* Scope.fork(yield* Effect.scope)

  /** Open, with nobody to handle connections. */
  const open = Effect.fnUntraced(function*(options: Partial<MeshSocketServer.Options> = {}) {
    const layer = MeshSocketServer.layer({ host: "127.0.0.1", port: 0, drain: "5 seconds", ...options })
    const context = yield* Layer.buildWithScope(Layer.fresh(Layer.provide(layer, api.layer)), scope)
    const mesh = Context.get(context, MeshSocketServer.MeshSocketServer)
    yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(mesh.port)])
    return { context, mesh, sockets: Context.get(context, SocketServer.SocketServer) }
  })
  const serve = Effect.fnUntraced(function*(handler: Handler, options?: Partial<MeshSocketServer.Options>) {
    const server = yield* open(options)
    const running = yield* Effect.provideContext(
      Effect.forkIn(server.sockets.run(handler), scope, { startImmediately: true }),
      server.context
    )
    return { ...server, stop: Fiber.interrupt(running) }
  })
  const caller = Effect.fnUntraced(function*(service: string) {
    const member = yield* Mesh.member(service, ca)
    return yield* Layer.build(
      Layer.fresh(MeshDialer.layer.pipe(Layer.provide(Layer.merge(member.layer, discovery.layer))))
    )
  })
  const web = yield* caller("web")
  return {
    api,
    open,
    serve,
    caller,
    web,
    /** To `api`, as `web`. */
    socket: yield* Effect.provideContext(MeshSocket.make({ service: "api" }), web),
    closing: Scope.close(scope, Exit.void)
  }
})

/** Writes back what it reads, until the caller ends. */
export const echo = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const { pull } = yield* socket.reader
  const { writeAll } = yield* socket.writer
  return yield* Effect.forever(Effect.flatMap(pull, writeAll))
}, Effect.scoped)

/** Everything that comes, as text, and how it ends: `end`, `reset` when the mesh says so, or what else it is. */
export const readAll = Effect.fnUntraced(function*(pull: Socket.Reader["pull"]) {
  const chunks: Array<Uint8Array> = []
  const error = yield* Effect.flip(Effect.forever(Effect.map(pull, (read) => {
    for (const chunk of read) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk)
  })))
  return { text: Buffer.concat(chunks).toString(), ending: endingOf(error) }
})

/** `CloseError 1000`, or the reason and what the mesh says about it: `ReadError ConnectionCut ECONNRESET`. */
export const endingOf = ({ reason }: Socket.SocketError): string => {
  const name = reason._tag.replace("Socket", "")
  if (reason._tag === "SocketCloseError") return `${name} ${reason.code}`
  const said = MeshSocket.failure(new Socket.SocketError({ reason }))
  return Option.match(said, {
    onNone: () => `${name} ${String("cause" in reason ? reason.cause : "")}`,
    onSome: (error) => `${name} ${error._tag} ${error._tag === "DialError" ? error.reason._tag : error.code}`
  })
}

/** How the reading of `socket` ends, and what came before. */
export const read = (socket: Socket.Socket) => Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => readAll(pull)))

/** Sends it, and ends the stream. */
export const send = (socket: Socket.Socket, chunk: string) =>
  Effect.scoped(Effect.flatMap(socket.writer, ({ write }) => write(chunk)))

/** Both halves of a connection that the other side has admitted. */
export const admitted = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const { pull } = yield* socket.reader
  const writer = yield* socket.writer
  yield* pull
  return { pull, write: writer.write }
})
