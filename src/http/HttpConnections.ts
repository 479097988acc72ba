/**
 * HTTP over connections that somebody else accepted: HTTP/2 where ALPN agreed on it or the client simply starts it,
 * HTTP/1.1 otherwise. Node's servers do the talking; what they do is bounded, and a peer that goes beyond a bound is
 * counted and loses its connection, nobody else's.
 */
import { TLSSocket } from "node:tls"
import { Effect, Schedule, type Scope } from "effect"
import * as Http1Connections from "./Http1Connections.ts"
import * as Http2Sessions from "./Http2Sessions.ts"
import type * as HttpExchange from "./HttpExchange.ts"
import * as HttpLimits from "./HttpLimits.ts"
import type * as Splice from "../net/Splice.ts"

/** What the application speaks, as ALPN names it. */
export type Protocol = "h2" | "http/1.1"

export interface HttpConnections<Connection extends Splice.Side, Verdict> {
  /** Serves one connection until it is closed. */
  readonly serve: (connection: Connection) => Effect.Effect<void>
  /**
   * Asks the client to go elsewhere, by GOAWAY or `Connection: close`: no new requests, those at hand are finished.
   * Whatever is not over after `graceMillis` is cut.
   */
  readonly retire: (connection: Connection, graceMillis: number) => void
  /** The same for every client, for good; whoever drains sees to the end. */
  readonly drain: () => void
  /** From now on requests are answered by `handlers`; undefined: by 503. */
  readonly attach: (handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined) => void
}

export interface Options<Connection extends Splice.Side, Verdict>
  extends Omit<HttpExchange.Observer<Connection, Verdict>, "handlers">
{
  /** A client that speaks none of them loses its connection. */
  readonly protocols: ReadonlyArray<Protocol>
  /** Whether requests over HTTP/2 go to the handler `stream`. Default: to `request`. */
  readonly streams?: boolean | undefined
}

interface Entry {
  /** Undefined until it is known which version it speaks. */
  served: HttpExchange.Served | undefined
  /** When it is cut; `performance.now()`. */
  due: number
}

/** For a client that was told to leave, for a fault or because nothing is at hand, to do so. */
const leaveGraceMillis = 1000

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    { abused, closed, limits, protocols, started, streams }: Options<Connection, Verdict>
  ): Effect.fn.Return<HttpConnections<Connection, Verdict>, never, Scope.Scope> {
    const open = new Map<Connection, Entry>()
    let handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined
    let draining = false

    /** One that does not take the last words would stay otherwise. */
    const faulty: HttpExchange.Observer<Connection, Verdict>["abused"] = (connection, abuse) => {
      abused(connection, abuse)
      const entry = open.get(connection)
      if (entry !== undefined) entry.due = Math.min(entry.due, performance.now() + leaveGraceMillis)
    }
    const observer: HttpExchange.Observer<Connection, Verdict> = {
      limits,
      started,
      closed,
      abused: faulty,
      handlers: () => handlers
    }
    const http1 = yield* Http1Connections.make(observer)
    const http2 = yield* Http2Sessions.make({ ...observer, streams: streams ?? false })

    const sweep = Effect.sync(() => {
      const now = performance.now()
      for (const [connection, { due, served }] of open) {
        if (now > due) connection.reset()
        else if (served?.sweep(now) === true) retire(connection, leaveGraceMillis)
      }
    })
    yield* Effect.forkScoped(Effect.schedule(sweep, Schedule.spaced(HttpLimits.interval(limits))))

    const toHttp1 = (connection: Connection, entry: Entry) => {
      entry.served = http1.take(connection, draining)
    }
    const toHttp2 = (connection: Connection, entry: Entry) => {
      entry.served = http2.take(connection)
      if (draining) entry.served.retire()
    }
    /** Without ALPN the first bytes tell: clients may start HTTP/2 because they know that it is spoken. */
    const sniff = (connection: Connection, entry: Entry) => {
      const { socket } = connection
      let head = Buffer.alloc(0)
      const timer = setTimeout(() => {
        abused(connection, "slow_headers")
        connection.reset()
      }, limits.headersMillis)
      const decide = () => {
        const chunk: Buffer | null = socket.read()
        if (chunk !== null) head = Buffer.concat([head, chunk])
        const start = head.toString("latin1", 0, preface.length)
        const undecided = start.length < preface.length && preface.startsWith(start)
        if (undecided && !socket.readableEnded && !socket.destroyed) return
        clearTimeout(timer)
        socket.off("readable", decide).off("end", decide).off("close", decide)
        if (socket.destroyed) return
        if (undecided) return socket.destroySoon() // it ended before it said anything
        if (head.length > 0) socket.unshift(head)
        if (start === preface) toHttp2(connection, entry)
        else toHttp1(connection, entry)
      }
      socket.on("readable", decide).on("end", decide).on("close", decide)
    }

    const retire: HttpConnections<Connection, Verdict>["retire"] = (connection, graceMillis) => {
      const entry = open.get(connection)
      if (entry === undefined) return
      entry.due = Math.min(entry.due, performance.now() + graceMillis)
      if (entry.served === undefined) connection.socket.destroySoon()
      else entry.served.retire()
    }

    return {
      retire,
      serve: (connection) =>
        Effect.callback<void>((resume) => {
          const { socket } = connection
          if (socket.destroyed) return resume(Effect.void)
          const entry: Entry = { served: undefined, due: Infinity }
          open.set(connection, entry)
          socket.once("close", () => {
            open.delete(connection)
            resume(Effect.void)
          })
          const protocol = socket instanceof TLSSocket ? socket.alpnProtocol : false
          if (protocol === "h2" || !protocols.includes("http/1.1")) toHttp2(connection, entry)
          else if (protocol === "http/1.1" || !protocols.includes("h2")) toHttp1(connection, entry)
          else sniff(connection, entry)
        }),
      drain: () => {
        draining = true
        for (const connection of open.keys()) retire(connection, Infinity)
      },
      attach: (next) => {
        handlers = next
        http1.attached(next)
      }
    }
  }
)

/** How every HTTP/2 connection begins, as far as no HTTP/1.1 request does. */
const preface = "PRI * HTTP/2.0"
