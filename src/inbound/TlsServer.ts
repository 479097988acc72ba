/**
 * Accepts connections and completes TLS handshakes, with the certificates that are in force when a connection arrives.
 * Limits the time of a handshake and the number of connections. Verification and policy come after it.
 *
 *     accepted ─▶ handshake ─┬─▶ finished
 *                            └─▶ refused: no TLS, too late, too many, gone
 */
import type { Socket } from "node:net"
import * as Tls from "node:tls"
import { Effect, Function, type Scope, Stream } from "effect"
import * as Listening from "../net/Listening.ts"
import * as Tunnel from "../net/tunnel/Tunnel.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as OrderlyEnd from "../tls/OrderlyEnd.ts"
import * as PresentedChain from "../tls/PresentedChain.ts"
import type * as Refusal from "../tls/Refusal.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as PendingHandshakes from "./PendingHandshakes.ts"

/** A connection, and the certificates that were in force when it arrived. */
export type Arrival = PendingHandshakes.Arrival<SecureContexts.Material>

/** Hands each connection that it accepts to `accept`, for good: once the listener is gone they are destroyed. */
export type Source = (accept: (transport: Socket) => void) => void

export interface Options {
  readonly host: string
  readonly port: number
  readonly from: Source | undefined
  readonly alpn: ReadonlyArray<string> | undefined
  /** Whether callers may open tunnels. */
  readonly tunnels: boolean
  readonly handshakeMillis: number
  /** 0 or absent: no limit. */
  readonly maxConnections: number | undefined
}

/** Callbacks of the server. */
export interface Observer {
  /** The handshake succeeded. Nothing has been read yet, and the peer is not verified yet. */
  readonly finished: (socket: Tls.TLSSocket, arrival: Arrival) => void
  /** The handshake failed, or there are too many connections. The connection is closed. */
  readonly refused: (refusal: Refusal.Refusal, remote: string) => void
  /** The server itself failed, and listens on. `line` logs it. */
  readonly failed: (line: Effect.Effect<void>) => void
}

export interface TlsServer {
  /** How many connections are open, in handshakes or after them. */
  readonly size: () => number
  /** Starts accepting. Returns the port. */
  readonly listen: (observer: Observer) => Effect.Effect<number, Listening.ListenError>
  /** Stops accepting. Connections stay. */
  readonly stop: Effect.Effect<void>
  /** Waits until no connection is left, in a handshake or after it. */
  readonly empty: Effect.Effect<void>
  readonly setMaxConnections: (limit: number) => void
}

/** Accepts nothing before `listen`. The scope destroys what is still open when it closes. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<TlsServer, never, SecureContexts.SecureContexts | Scope.Scope> {
  const contexts = yield* SecureContexts.SecureContexts
  const arrivals = PendingHandshakes.make<SecureContexts.Material>(options.from === undefined ? options.host : "")
  yield* Effect.addFinalizer(() => Effect.sync(arrivals.destroyAll))
  let material = contexts.current()
  const server = create(options, material)
  server.on("connection", (transport: Socket) => {
    if (transport.remoteAddress === undefined) return transport.destroy() // it has left already
    arrivals.add(transport, material)
  })
  yield* Effect.forkScoped(
    Stream.runForEach(contexts.changes, (next) =>
      Effect.sync(() => {
        if (next === material) return
        material = next
        server.setSecureContext(next.server)
      }))
  )
  let accepting = true
  const accept = (transport: Socket) => void (accepting ? server.emit("connection", transport) : transport.destroy())
  return {
    size: arrivals.size,
    empty: arrivals.empty,
    listen: Effect.fnUntraced(function*(observer) {
      observe(server, arrivals, options, observer)
      const { from } = options
      const bound = from === undefined
        ? yield* Listening.listen(server, options)
        : yield* Effect.as(Effect.sync(() => from(accept)), options)
      const failure = Listening.failures(bound)
      server.on("error", (cause) => observer.failed(failure(cause)))
      return "port" in bound ? bound.port : options.port
    }),
    stop: Effect.suspend(() => {
      accepting = false
      return Listening.close(server)
    }),
    setMaxConnections: (limit) => {
      server.maxConnections = limit || Infinity
    }
  }
})

const create = (options: Options, material: SecureContexts.Material): Tls.Server => {
  const server = Tls.createServer({
    ...material.server,
    ...agreement(options),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeMillis,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000
  })
  PresentedChain.keep(server)
  server.maxConnections = options.maxConnections || Infinity
  return server
}

/** Node offers no way to agree on nothing with whoever offers something: callers that do may have what they want most. */
const agreement = ({ alpn, tunnels }: Options): Tls.TlsOptions =>
  tunnels
    ? {
      ALPNCallback: ({ protocols }) =>
        protocols.includes(Tunnel.protocol)
          ? Tunnel.protocol
          : alpn === undefined
          ? protocols.includes("http/1.1") ? "http/1.1" : protocols[0]
          : alpn.find((protocol) => protocols.includes(protocol))
    }
    : alpn === undefined
    ? {}
    : { ALPNProtocols: [...alpn] }

const observe = (
  server: Tls.Server,
  arrivals: PendingHandshakes.PendingHandshakes<SecureContexts.Material>,
  { handshakeMillis }: Options,
  { finished, refused }: Observer
): void => {
  server.on("secureConnection", (socket) => {
    socket.on("error", Function.constVoid) // an "error" that nobody listens to ends the process
    // Not before: a peer that leaves during the handshake has to be noticed.
    socket.allowHalfOpen = true
    const arrival = arrivals.of(socket)
    if (arrival !== undefined) OrderlyEnd.demand(socket, arrival.transport)
    // This runs on OpenSSL's stack, where a socket can not be closed by all means. Handlers must be free to.
    setImmediate(() => {
      if (arrival !== undefined && !socket.destroyed) return finished(socket, arrival)
      refused({ _tag: "Disconnected" }, arrival?.remote ?? "a peer that has left")
      socket.destroy()
    })
  })
  server.on("tlsClientError", (error, socket) => {
    const arrival = arrivals.of(socket)
    refused(HandshakeFailure.toRefusal(error, handshakeMillis), arrival?.remote ?? "a peer that has left")
    socket.destroy()
  })
  server.on("drop", (dropped) => {
    const remote = dropped === undefined ? "a peer" : `${dropped.remoteAddress}:${dropped.remotePort}`
    refused({ _tag: "TooManyConnections", limit: server.maxConnections }, remote)
  })
}
