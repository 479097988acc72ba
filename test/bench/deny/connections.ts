/** Connections by `node:tls` and `node:http2`, of every kind that can be cut. */
import * as Http2 from "node:http2"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Kind from "./Kind.ts"

export interface Open {
  readonly kind: Kind.Kind
  readonly count: number
  readonly port: number
}

/** Handshakes at a time. */
const concurrency = 64

const connect = (port: number, secureContext: Tls.SecureContext, alpn: string | undefined): Promise<Tls.TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = Tls.connect({
      socket: Net.connect({ host: "127.0.0.1", port, noDelay: true }),
      secureContext,
      rejectUnauthorized: false,
      ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] })
    })
    socket.once("error", reject)
    socket.once("secureConnect", () => resolve(socket))
  })

const openOne = async ({ kind, port }: Open, context: Tls.SecureContext, ended: () => void): Promise<void> => {
  if (kind.startsWith("HTTP/2")) return openHttp2(kind, await connect(port, context, "h2"), ended)
  const socket = await connect(port, context, Kind.isHttp(kind) ? "http/1.1" : undefined)
  let over = false
  const end = () => {
    if (!over) ended()
    over = true
  }
  socket.on("end", end).on("error", end).on("close", end)
  if (!Kind.isHttp(kind)) return void socket.resume()
  const answered = new Promise<void>((resolve) => socket.on("data", () => resolve()))
  socket.write("GET / HTTP/1.1\r\nhost: api\r\n\r\n")
  await answered
  if (kind === "HTTP/1.1 at hand") socket.write("GET /hang HTTP/1.1\r\nhost: api\r\n\r\n")
}

const openHttp2 = async (kind: Kind.Kind, socket: Tls.TLSSocket, ended: () => void): Promise<void> => {
  const session = Http2.connect("https://api", { createConnection: () => socket })
  session.on("error", () => {})
  const ask = (path: string) => session.request({ ":path": path }).on("error", () => {})
  await new Promise((resolve) => ask("/").resume().once("end", resolve))
  if (kind === "HTTP/2 at hand") ask("/hang").resume().once("close", ended)
  else session.once("goaway", ended)
}

/**
 * Ready once the other side has answered on each; of those `at hand`, requests for `/hang` are under way then. `ended` is
 * called once for each, when its caller sees its end.
 */
export const open = async (message: Open, context: Tls.SecureContext, ended: () => void): Promise<void> => {
  let started = 0
  const some = async () => {
    while (started++ < message.count) await openOne(message, context, ended)
  }
  await Promise.all(Array.from({ length: concurrency }, some))
}
