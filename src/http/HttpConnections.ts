/**
 * HTTP over connections that are accepted elsewhere: HTTP/2 where ALPN agreed on it or the client simply starts it,
 * HTTP/1.1 otherwise. Node's servers do the talking within limits. A client that exceeds one is counted and loses its own
 * connection; the others are served on.
 */
import { TLSSocket } from "node:tls"
import { Effect, type Scope } from "effect"
import * as Http1Connections from "./Http1Connections.ts"
import * as Http2Sessions from "./Http2Sessions.ts"
import type * as HttpExchange from "./HttpExchange.ts"
import * as HttpLimits from "./HttpLimits.ts"
import * as ServedConnections from "./ServedConnections.ts"
import * as SniffProtocol from "./SniffProtocol.ts"
import type * as Splice from "../net/Splice.ts"
import * as Sweep from "../net/Sweep.ts"
import * as TunnelStream from "../net/tunnel/TunnelStream.ts"

export type Protocol = SniffProtocol.Protocol

export interface HttpConnections<Connection extends Splice.Side, Verdict> {
  /** Serves one connection until it is closed. */
  readonly serve: (connection: Connection) => Effect.Effect<void>
  /** The same without a fiber. `closed` hears of the end. */
  readonly begin: (connection: Connection, closed: () => void) => void
  /**
   * Asks the client to go elsewhere, by GOAWAY or `Connection: close`: no new requests, those at hand are finished.
   * A connection that is still open after `graceMillis` is cut.
   */
  readonly retire: (connection: Connection, graceMillis: number) => void
  /**
   * Has every client told with its next answer that it is to go elsewhere, and serves it until then: by `Connection: close`.
   * HTTP/2 says nothing yet, as what is on its way when a GOAWAY arrives would be lost.
   */
  readonly announce: () => void
  /** The same as `retire` for every client, for good. The caller decides when the rest is cut. */
  readonly drain: () => void
  /** From now on requests are answered by `handlers`; undefined: by 503. */
  readonly attach: (handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined) => void
}

export interface Options<Connection extends Splice.Side, Verdict>
  extends Omit<HttpExchange.Observer<Connection, Verdict>, "handlers">
{
  /** A client that speaks another one loses its connection. */
  readonly protocols: ReadonlyArray<Protocol>
  /** Whether requests over HTTP/2 go to the handler `stream`. Default: to `request`. */
  readonly streams?: boolean | undefined
  /** What speaks HTTP/1.1. Default: Node's server. */
  readonly http1?:
    | ((
      observer: HttpExchange.Observer<Connection, Verdict>
    ) => Effect.Effect<Http1Connections.Http1Connections<Connection, Verdict>, never, Scope.Scope>)
    | undefined
}

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    { abused, closed, http1: speakHttp1, limits, protocols, started, streams }: Options<Connection, Verdict>
  ): Effect.fn.Return<HttpConnections<Connection, Verdict>, never, Scope.Scope> {
    const open = new ServedConnections.ServedConnections<Connection>()
    let handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined
    let announced = false
    let draining = false

    const observer: HttpExchange.Observer<Connection, Verdict> = {
      limits,
      started,
      closed,
      // Cut soon, as a client that does not read the last words would keep the connection.
      abused: (connection, abuse) => {
        abused(connection, abuse)
        open.cutAfter(connection, performance.now() + ServedConnections.leaveGraceMillis)
      },
      handlers: () => handlers
    }
    const http1 = yield* (speakHttp1 ?? Http1Connections.make)(observer)
    const http2 = yield* Http2Sessions.make({ ...observer, streams: streams ?? false })
    yield* Sweep.every(() => HttpLimits.interval(limits), () => open.sweep(performance.now()))

    const take = (connection: Connection, protocol: Protocol) => {
      const served = protocol === "h2" ? http2.take(connection) : http1.take(connection, announced)
      open.serve(connection, served)
      if (protocol === "h2" && draining) served.retire()
    }
    const late = (connection: Connection) => {
      abused(connection, "slow_headers")
      connection.reset()
    }

    const begin = (connection: Connection, closed: () => void) => {
      const { socket } = connection
      if (socket.destroyed) return closed()
      open.add(connection)
      socket.once("close", () => {
        open.delete(connection)
        closed()
      })
      const protocol = SniffProtocol.agreed(alpnOf(socket), protocols)
      if (protocol !== undefined) return take(connection, protocol)
      SniffProtocol.read(socket, limits.headersMillis, {
        decided: (protocol) => take(connection, protocol),
        late: () => late(connection)
      })
    }

    return {
      begin,
      retire: (connection, graceMillis) => open.retire(connection, performance.now() + graceMillis),
      serve: (connection) => Effect.callback((resume) => begin(connection, () => resume(Effect.void))),
      announce: () => {
        announced = true
        for (const connection of open.all()) open.announce(connection)
      },
      drain: () => {
        announced = true
        draining = true
        for (const connection of open.all()) open.retire(connection, Infinity)
      },
      attach: (next) => {
        handlers = next
        http1.attached(next)
      }
    }
  }
)

/** False: nothing was agreed on. */
const alpnOf = (socket: Splice.Stream): string | false | null =>
  socket instanceof TLSSocket
    ? socket.alpnProtocol
    : socket instanceof TunnelStream.TunnelStream && socket.protocol !== "" && socket.protocol
