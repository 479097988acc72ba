/**
 * HTTP over connections that somebody else accepted: HTTP/2 where ALPN agreed on it or the client simply starts it,
 * HTTP/1.1 otherwise. Node's servers do the talking, without a port of their own; what they do is bounded, and a peer that
 * goes beyond a bound is counted and loses its connection, nobody else's.
 */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"
import { Effect, Schedule, type Scope } from "effect"
import type * as HttpLimits from "./HttpLimits.ts"
import type * as MeshListener from "./MeshListener.ts"

/** Why the server ended a connection. The attribute `reason` of `mesh_http_aborted_total`: stable. */
export type Abuse = "slow_headers" | "headers_too_large" | "malformed" | "stream_resets" | "protocol_error"

/** What the application speaks, as ALPN names it. */
export type Protocol = "h2" | "http/1.1"

/** One request and its answer. */
export class Exchange {
  readonly connection: MeshListener.Connection
  /** Absent for an upgrade. */
  readonly answer: Outgoing | Http2.ServerHttp2Stream | undefined
  /** Whether it was refused. */
  denied = false

  constructor(connection: MeshListener.Connection, answer: Outgoing | Http2.ServerHttp2Stream | undefined) {
    this.connection = connection
    this.answer = answer
  }

  /** Of the answer, once it is over. */
  get code(): number | string {
    if (this.answer === undefined) return this.denied ? 403 : 101
    if ("statusCode" in this.answer) return this.answer.statusCode
    return String(this.answer.sentHeaders?.[":status"] ?? "reset")
  }

  /** Ends it, so that the caller does not take what it has for a whole answer. */
  abort(): void {
    const { answer } = this
    if (answer === undefined || answer instanceof Http.ServerResponse) return this.connection.reset()
    const stream = "stream" in answer ? answer.stream : answer
    stream.close(Http2.constants.NGHTTP2_CANCEL)
  }
}

type Incoming = Http.IncomingMessage | Http2.Http2ServerRequest
type Outgoing = Http.ServerResponse | Http2.Http2ServerResponse

/** A request over HTTP/2 as Node hands it out first, before it is dressed up as one over HTTP/1.1. */
export interface StreamRequest {
  readonly stream: Http2.ServerHttp2Stream
  readonly headers: Http2.IncomingHttpHeaders
  readonly flags: number
  readonly rawHeaders: ReadonlyArray<string>
}

/** Kept in the request itself: a `WeakMap` with an entry for each request is what the garbage collector would be busy with. */
const key = Symbol("exchange")

/** What a request belongs to. */
export const exchangeOf = (incoming: Incoming & { readonly [key]?: Exchange }): Exchange | undefined => incoming[key]

const remember = (incoming: Incoming & { [key]?: Exchange }, exchange: Exchange): void => {
  incoming[key] = exchange
}

export interface Handlers {
  readonly request: (request: Incoming, response: Outgoing) => void
  /** Absent: requests for an upgrade are requests like others, as Node has it. */
  readonly upgrade?: ((request: Http.IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined
  /** Takes the requests over HTTP/2 instead of `request`, where `streams` is set. */
  readonly stream?: ((request: StreamRequest, exchange: Exchange) => void) | undefined
  /** Hears of each connection that speaks HTTP/2. */
  readonly session?: ((session: Http2.ServerHttp2Session) => void) | undefined
}

export interface HttpConnections {
  /** Serves one connection until it is closed. */
  readonly serve: (connection: MeshListener.Connection) => Effect.Effect<void>
  /** Asks every client to go elsewhere: no new requests, those at hand are finished. For good. */
  readonly drain: () => void
  /** From now on requests are answered by `handlers`; undefined: by 503. */
  readonly attach: (handlers: Handlers | undefined) => void
}

export interface Options {
  readonly limits: HttpLimits.Limits
  /** A client that speaks none of them loses its connection. */
  readonly protocols: ReadonlyArray<Protocol>
  /** Whether requests over HTTP/2 go to the handler `stream`. Default: to `request`. */
  readonly streams?: boolean | undefined
  /** Called with each request before its handler is. */
  readonly started: (exchange: Exchange) => void
  /** Called once for each, when it is over. */
  readonly closed: (exchange: Exchange) => void
  readonly abused: (connection: MeshListener.Connection, abuse: Abuse) => void
}

interface Session {
  readonly connection: MeshListener.Connection
  readonly http2: Http2.ServerHttp2Session
  streams: number
  greeted: boolean
  /** When it was made, or its last stream ended; `performance.now()`. */
  since: number
  /** How many more streams the client may cancel, as of then. */
  readonly cancels: { left: number; at: number }
}

export const make = Effect.fnUntraced(
  function*(
    { abused, closed, limits, protocols, started, streams }: Options
  ): Effect.fn.Return<HttpConnections, never, Scope.Scope> {
    const connections = new WeakMap<object, MeshListener.Connection>()
    const sessions = new Set<Session>()
    const answering = new Set<Http.ServerResponse>()
    let handlers: Handlers | undefined
    let draining = false
    // Node announces the session of a connection while it takes it over.
    let handingOver: MeshListener.Connection | undefined

    const http1 = Http.createServer({
      headersTimeout: limits.headersMillis,
      requestTimeout: 0,
      keepAliveTimeout: limits.idleMillis,
      connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersMillis / 4)),
      maxHeaderSize: limits.maxHeaderBytes,
      noDelay: true
    })
    const http2 = Http2.createServer({
      maxSessionMemory: limits.maxSessionMemory,
      maxSessionInvalidFrames: 100,
      // A second line: what it says is indistinguishable from other faults, hence `cancelled`.
      streamResetBurst: limits.streamResets.burst * 2,
      streamResetRate: limits.streamResets.rate * 2,
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false
      }
    })
    // It never listens, yet this is what makes it watch over the time that headers take.
    http1.emit("listening")
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        http1.close()
        sessions.forEach(({ http2 }) => http2.destroy())
      })
    )

    /** Whether one more is one too many. */
    const cancelled = ({ cancels }: Session, now: number): boolean => {
      const { burst, rate } = limits.streamResets
      cancels.left = Math.min(burst, cancels.left + (now - cancels.at) / 1000 * rate) - 1
      cancels.at = now
      return cancels.left < 0
    }

    const unavailable: Handlers["request"] = (_, response) => {
      response.statusCode = 503
      response.end()
    }
    const requested = (request: Incoming, response: Outgoing): void => {
      const connection = connections.get("stream" in request ? request.stream.session ?? request : request.socket)
      if (connection === undefined) return void request.destroy() // its connection is gone
      const exchange = new Exchange(connection, response)
      remember(request, exchange)
      if (response instanceof Http.ServerResponse) {
        answering.add(response)
        if (draining) response.setHeader("connection", "close")
        response.once("close", () => {
          answering.delete(response)
          closed(exchange)
        })
      } else response.once("close", () => closed(exchange))
      started(exchange)
      const handle = handlers?.request ?? unavailable
      handle(request, response)
    }
    const streamed = (
      stream: Http2.ServerHttp2Stream,
      headers: Http2.IncomingHttpHeaders,
      flags: number,
      rawHeaders: ReadonlyArray<string>
    ): void => {
      const connection = stream.session === undefined ? undefined : connections.get(stream.session)
      if (connection === undefined) return void stream.destroy() // its connection is gone
      const exchange = new Exchange(connection, stream)
      stream.on("error", () => {}) // an "error" that nobody listens to ends the process
      stream.once("close", () => closed(exchange))
      started(exchange)
      if (handlers?.stream !== undefined) handlers.stream({ stream, headers, flags, rawHeaders }, exchange)
      else stream.respond({ ":status": 503 }, { endStream: true })
    }
    const upgraded = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
      const connection = connections.get(request.socket)
      if (connection === undefined || handlers?.upgrade === undefined) return void socket.destroy()
      const exchange = new Exchange(connection, undefined)
      remember(request, exchange)
      socket.once("close", () => closed(exchange))
      started(exchange)
      handlers.upgrade(request, socket, head)
    }
    http1.on("request", requested)
    if (streams === true) http2.on("stream", streamed)
    else http2.on("request", requested)

    http1.on("clientError", (error, socket) => {
      const connection = connections.get(socket)
      if (connection === undefined) return // more of what it was told about already
      connections.delete(socket)
      const [abuse, answer] = http1Fault("code" in error ? String(error.code) : "")
      if (abuse !== undefined) abused(connection, abuse)
      const busy = [...answering].some((response) => response.socket === socket)
      if (!socket.writable || busy || answer === undefined) return socket.destroy(error)
      socket.write(`HTTP/1.1 ${answer}\r\nconnection: close\r\n\r\n`, () => socket.destroy(error))
    })

    http2.on("session", (session) => {
      const connection = handingOver
      if (connection === undefined) return session.destroy()
      connections.set(session, connection)
      const now = performance.now()
      const entry: Session = {
        connection,
        http2: session,
        streams: 0,
        greeted: false,
        since: now,
        cancels: { left: limits.streamResets.burst, at: now }
      }
      sessions.add(entry)
      session.once("close", () => sessions.delete(entry))
      session.once("remoteSettings", () => {
        entry.greeted = true
      })
      session.on("stream", (stream) => {
        entry.streams++
        // Node waits for writes that nobody will take where the client's reset names no error.
        stream.once("aborted", () => stream.rstCode === Http2.constants.NGHTTP2_NO_ERROR && stream.destroy())
        stream.once("close", () => {
          const now = performance.now()
          entry.streams--
          entry.since = now
          if (stream.rstCode !== Http2.constants.NGHTTP2_CANCEL || !cancelled(entry, now)) return
          abused(connection, "stream_resets")
          session.destroy(undefined, Http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
        })
      })
      session.on("error", () => abused(connection, "protocol_error"))
      if (draining) session.close()
      handlers?.session?.(session)
    })
    http2.on("sessionError", () => {}) // heard above

    /** Sessions whose client never spoke, and those that nobody uses. Node looks after HTTP/1.1 by itself. */
    const sweep = Effect.sync(() => {
      const now = performance.now()
      for (const session of sessions) {
        if (session.streams > 0) continue
        if (!session.greeted && now - session.since > limits.headersMillis) {
          abused(session.connection, "slow_headers")
          session.http2.destroy()
        } else if (now - session.since > limits.idleMillis) {
          session.http2.close()
        }
      }
    })
    yield* Effect.forkScoped(
      Effect.schedule(sweep, Schedule.spaced(Math.max(50, Math.min(1000, limits.headersMillis / 4))))
    )

    const toHttp1 = (connection: MeshListener.Connection) => {
      const { socket } = connection
      connections.set(socket, connection)
      // Where Node reports faults of the client.
      Object.assign(socket, { server: http1 })
      http1.emit("connection", socket)
    }
    const toHttp2 = (connection: MeshListener.Connection) => {
      const { socket } = connection
      socket.allowHalfOpen = false
      Object.assign(socket, { alpnProtocol: "h2" })
      handingOver = connection
      http2.emit("connection", socket)
      handingOver = undefined
    }
    /** Without ALPN the first bytes tell: clients may start HTTP/2 because they know that it is spoken. */
    const sniff = (connection: MeshListener.Connection) => {
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
        if (start === preface) toHttp2(connection)
        else toHttp1(connection)
      }
      socket.on("readable", decide).on("end", decide).on("close", decide)
    }

    return {
      serve: (connection) =>
        Effect.callback<void>((resume) => {
          const { socket } = connection
          if (socket.destroyed) return resume(Effect.void)
          socket.once("close", () => resume(Effect.void))
          const protocol = socket instanceof TLSSocket ? socket.alpnProtocol : false
          if (protocol === "h2" || !protocols.includes("http/1.1")) toHttp2(connection)
          else if (protocol === "http/1.1" || !protocols.includes("h2")) toHttp1(connection)
          else sniff(connection)
        }),
      drain: () => {
        draining = true
        for (const response of answering) {
          if (!response.headersSent) response.setHeader("connection", "close")
        }
        http1.closeIdleConnections()
        for (const { http2 } of sessions) http2.close()
      },
      attach: (next) => {
        handlers = next
        // Node takes a request for an upgrade only where somebody listens.
        http1.off("upgrade", upgraded)
        if (next?.upgrade !== undefined) http1.on("upgrade", upgraded)
      }
    }
  }
)

/** How every HTTP/2 connection begins, as far as no HTTP/1.1 request does. */
const preface = "PRI * HTTP/2.0"

/** What Node's codes mean, and the answer to them. A connection that merely broke is nobody's fault. */
const http1Fault = (code: string): readonly [Abuse | undefined, string | undefined] => {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["slow_headers", "408 Request Timeout"]
    case "HPE_HEADER_OVERFLOW":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return ["headers_too_large", "431 Request Header Fields Too Large"]
    default:
      return code.startsWith("HPE_") ? ["malformed", "400 Bad Request"] : [undefined, undefined]
  }
}
