/** The service `cache`: enough of Redis for a client, on a socket server of the mesh. */
import { Effect, Layer } from "effect"
import { type Socket, SocketServer } from "effect/socket"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as Resp from "./resp.ts"

const values = new Map<string, string>()
const bulk = (text: string | undefined) => text === undefined ? "$-1\r\n" : `$${text.length}\r\n${text}\r\n`

const commands: Readonly<Record<string, (caller: string, ...args: ReadonlyArray<string>) => string>> = {
  PING: () => "+PONG\r\n",
  SET: (_, key = "", value = "") => (values.set(key, value), "+OK\r\n"),
  GET: (_, key = "") => bulk(values.get(key)),
  DEL: (_, ...keys) => `:${keys.filter((key) => values.delete(key)).length}\r\n`,
  INCR: (_, key = "") => {
    const next = Number(values.get(key) ?? 0) + 1
    return Number.isSafeInteger(next)
      ? (values.set(key, `${next}`), `:${next}\r\n`)
      : "-ERR value is not an integer\r\n"
  },
  ACL: (caller) => bulk(caller), // WHOAMI
  INFO: () => bulk("loading:0")
}

const serve = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const { caller } = yield* PeerIdentity.PeerIdentity
  const { pull } = yield* socket.reader
  const { write } = yield* socket.writer
  for (let unread = ""; unread.length < 1_000_000;) {
    for (const chunk of yield* pull) unread += Buffer.from(chunk).toString("latin1")
    const parsed = Resp.parse(unread)
    unread = parsed.rest
    for (const [name = "", ...args] of parsed.commands) {
      const answer = commands[name.toUpperCase()]?.(caller.service, ...args) ?? `-ERR unknown command '${name}'\r\n`
      yield* write(Buffer.from(answer, "latin1"))
    }
  }
}, Effect.scoped)

const port = 9306

export const cache = ServiceRegistration.layer({ name: "cache", port, drain: 0 }).pipe(
  Layer.provideMerge(
    Layer.effectDiscard(SocketServer.SocketServer.use((server) => Effect.forkScoped(server.run(serve))))
  ),
  Layer.provide(MeshSocketServer.layer({ host: "127.0.0.1", port })),
  Layer.provide(Mesh.layer({ service: "cache" }))
)
