/**
 * Accepts connections and completes TLS handshakes, with the certificates that are in force when a connection arrives.
 * Limits the time of a handshake, and how many connections there are, shake hands and arrive in a second. Verification and
 * policy come after it.
 *
 *     accepted ─▶ handshake ─┬─▶ finished
 *                            └─▶ refused: no TLS, too late, too many, gone
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Effect, Function, type Scope, Stream } from "effect"
import * as ArrivalRate from "../net/ArrivalRate.ts"
import * as Listening from "../net/Listening.ts"
import * as Tunnel from "../net/tunnel/Tunnel.ts"
import * as TcpOptions from "../net/TcpOptions.ts"
import * as Turnover from "../net/Turnover.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as OrderlyEnd from "../tls/OrderlyEnd.ts"
import * as PresentedChain from "../tls/PresentedChain.ts"
import type * as Refusal from "../tls/Refusal.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as PendingHandshakes from "./PendingHandshakes.ts"

/** A connection, and the certificates that were in force when it arrived. */
export type Arrival = PendingHandshakes.Arrival<SecureContexts.Material>

/** Hands each connection that it accepts to `accept`, for good: once the listener is gone they are destroyed. */
export type Source = (accept: (transport: Net.Socket) => void) => void

export interface Options {
  readonly host: string
  readonly port: number
  readonly from: Source | undefined
  readonly alpn: ReadonlyArray<string> | undefined
  /** Whether callers may open tunnels. */
  readonly tunnels: boolean
  readonly handshakeMillis: number
  readonly limits: Partial<Limits>
}

/** What it takes on. 0: no limit. */
export interface Limits {
  /** Connections that are open, those that shake hands included. */
  readonly maxConnections: number
  /** Handshakes at a time. */
  readonly maxHandshakes: number
  /** New connections a second. */
  readonly connectionRate: number
  readonly tcp: TcpOptions.TcpOptions
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
  /** From now on, for new connections. */
  readonly setLimits: (limits: Partial<Limits>) => void
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
  const port = Net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
  // Where connections are handed to one of several workers: one that has too many would hand them on and on. Node's types know nothing of it.
  Object.assign(port, { dropMaxConnection: true })
  let limits: Limits = { maxConnections: 0, maxHandshakes: 0, connectionRate: 0, tcp: TcpOptions.defaults }
  const setLimits = (next: Partial<Limits>) => {
    limits = { ...limits, ...next }
    port.maxConnections = limits.maxConnections || Infinity
  }
  setLimits(options.limits)
  const handshakes = new Turnover.TurnoverSet<Net.Socket>()
  const rate = ArrivalRate.make()
  const refusalOf = (): Refusal.Refusal | undefined =>
    limits.maxHandshakes > 0 && handshakes.size >= limits.maxHandshakes
      ? { _tag: "TooManyHandshakes", limit: limits.maxHandshakes }
      : rate.take(limits.connectionRate, performance.now())
      ? undefined
      : { _tag: "TooFast", perSecond: limits.connectionRate }
  yield* Effect.forkScoped(
    Stream.runForEach(contexts.changes, (next) =>
      Effect.sync(() => {
        if (next === material) return
        material = next
        server.setSecureContext(next.server)
      }))
  )
  let accepting = true
  const accept = (refused: Observer["refused"]) => (transport: Net.Socket) => {
    // It has left already, or nobody listens any more.
    if (transport.remoteAddress === undefined || !accepting) return transport.destroy()
    const refusal = refusalOf()
    if (refusal !== undefined) {
      refused(refusal, `${transport.remoteAddress}:${transport.remotePort}`)
      return transport.destroy()
    }
    TcpOptions.apply(transport, limits.tcp)
    handshakes.add(transport)
    transport.once("close", () => handshakes.delete(transport))
    arrivals.add(transport, material)
    server.emit("connection", transport)
  }
  return {
    size: arrivals.size,
    empty: arrivals.empty,
    listen: Effect.fnUntraced(function*(observer) {
      observe(server, arrivals, handshakes, options, observer)
      port.on("connection", accept(observer.refused))
      port.on("drop", (dropped) => {
        const remote = dropped === undefined ? "a peer" : `${dropped.remoteAddress}:${dropped.remotePort}`
        observer.refused({ _tag: "TooManyConnections", limit: limits.maxConnections }, remote)
      })
      const { from } = options
      const bound = from === undefined
        ? yield* Listening.listen(port, options)
        : yield* Effect.as(Effect.sync(() => from(accept(observer.refused))), options)
      const failure = Listening.failures(bound)
      port.on("error", (cause) => observer.failed(failure(cause)))
      return "port" in bound ? bound.port : options.port
    }),
    stop: Effect.suspend(() => {
      accepting = false
      return Listening.close(port)
    }),
    setLimits
  }
})

/** It does not listen: connections come by `port`, or from elsewhere. */
const create = (options: Options, material: SecureContexts.Material): Tls.Server => {
  const server = Tls.createServer({
    ...material.server,
    ...agreement(options),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeMillis
  })
  PresentedChain.keep(server)
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
  handshakes: Turnover.TurnoverSet<Net.Socket>,
  { handshakeMillis }: Options,
  { finished, refused }: Observer
): void => {
  server.on("secureConnection", (socket) => {
    socket.on("error", Function.constVoid) // an "error" that nobody listens to ends the process
    // Not before: a peer that leaves during the handshake has to be noticed.
    socket.allowHalfOpen = true
    const arrival = arrivals.of(socket)
    if (arrival !== undefined) handshakes.delete(arrival.transport)
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
}
