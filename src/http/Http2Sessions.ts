/**
 * HTTP/2 by Node's server, without a port of its own, over connections that somebody else accepted. nghttp2 beneath it
 * bounds what a connection may hold; here is counted what a client makes us do for nothing.
 */
import * as Http2 from "node:http2"
import { Effect, Function, type Scope } from "effect"
import * as HttpExchange from "./HttpExchange.ts"
import type * as Splice from "../net/Splice.ts"
import * as StallDetector from "../net/StallDetector.ts"

export interface Http2Sessions<Connection> {
  readonly take: (connection: Connection) => HttpExchange.Served
}

export interface Options<Connection extends Splice.Side, Verdict> extends HttpExchange.Observer<Connection, Verdict> {
  /** Whether requests go to the handler `stream`. */
  readonly streams: boolean
}

/** A connection and its streams. */
class Session<Connection extends Splice.Side, Verdict> implements HttpExchange.Served {
  readonly connection: Connection
  readonly http2: Http2.ServerHttp2Session
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  /** Open ones, and when their bodies are to have arrived; `Infinity`: they have. */
  readonly streams = new Map<Http2.ServerHttp2Stream, number>()
  /** Those that were seen to wait for the client. */
  readonly stalls = new WeakMap<Http2.ServerHttp2Stream, StallDetector.StallDetector>()
  /** Those that were seen to be closed with something left to send. */
  readonly abandoned = new WeakSet<Http2.ServerHttp2Stream>()
  /** How many there were. */
  seen = 0
  greeted = false
  /** When it was made, or its last stream ended; `performance.now()`. */
  since: number
  /** How many more streams the client may end before they are answered, as of `endingsAt`. */
  endings: number
  endingsAt: number

  constructor(
    connection: Connection,
    http2: Http2.ServerHttp2Session,
    observer: HttpExchange.Observer<Connection, Verdict>
  ) {
    this.connection = connection
    this.http2 = http2
    this.observer = observer
    this.since = performance.now()
    this.endings = observer.limits.streamResets.burst
    this.endingsAt = this.since
  }

  begin(stream: Http2.ServerHttp2Stream): void {
    this.seen++
    const { bodyMillis } = this.observer.limits
    this.streams.set(stream, bodyMillis === 0 || stream.endAfterHeaders ? Infinity : performance.now() + bodyMillis)
    if (stream.aborted) this.aborted(stream) // before anybody could hear of it
  }

  end(stream: Http2.ServerHttp2Stream): void {
    const now = performance.now()
    this.streams.delete(stream)
    this.since = now
    if (HttpExchange.endedByClient(stream)) this.count(now)
  }

  /** Node waits for writes that nobody will take where the client's reset names no error: see also `judgeClosed`. */
  aborted(stream: Http2.ServerHttp2Stream): void {
    if (stream.rstCode !== Http2.constants.NGHTTP2_NO_ERROR || stream.destroyed) return
    stream.destroy()
    this.count(performance.now())
  }

  /** One more stream that the client has ended. */
  count(now: number): void {
    const { burst, rate } = this.observer.limits.streamResets
    this.endings = Math.min(burst, this.endings + (now - this.endingsAt) / 1000 * rate) - 1
    this.endingsAt = now
    if (this.endings < 0) this.destroy("stream_resets", Http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  retire(): void {
    this.http2.close()
  }

  destroy(abuse: HttpExchange.Abuse, code?: number): void {
    if (this.http2.destroyed) return
    this.observer.abused(this.connection, abuse)
    this.http2.destroy(undefined, code)
  }

  sweep(now: number): boolean {
    const { headersMillis, idleMillis, streamResets } = this.observer.limits
    if (this.unseen() > streamResets.burst) {
      this.destroy("headers_too_large", Http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
    }
    if (this.streams.size === 0) {
      if (!this.greeted && now - this.since > headersMillis) this.destroy("slow_headers")
      return now - this.since > idleMillis
    }
    for (const [stream, bodyDue] of this.streams) {
      if (stream.closed && !stream.writableFinished) {
        this.judgeClosed(stream, now)
        continue
      }
      if (now > bodyDue) this.judgeBody(stream)
      if (stream.writableLength > 0) this.judgeReader(stream, now)
    }
    return false
  }

  /** Node refuses streams whose headers are too large without a word: its numbers tell. */
  unseen(): number {
    const { lastProcStreamID = 0 } = this.http2.destroyed ? {} : this.http2.state
    return (lastProcStreamID + 1) / 2 - this.seen
  }

  /** Where the answer had been ended already, nothing tells of such a reset. One look may come before Node's own. */
  judgeClosed(stream: Http2.ServerHttp2Stream, now: number): void {
    if (!this.abandoned.has(stream)) return void this.abandoned.add(stream)
    stream.destroy()
    this.count(now)
  }

  judgeBody(stream: Http2.ServerHttp2Stream): void {
    const { state } = stream.state
    if (state === Http2.constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE) this.streams.set(stream, Infinity)
    else this.cancel(stream, "slow_body")
  }

  judgeReader(stream: Http2.ServerHttp2Stream, now: number): void {
    let stall = this.stalls.get(stream)
    if (stall === undefined) this.stalls.set(stream, stall = StallDetector.make(stream))
    if (stall.millis(now) > this.observer.limits.stallMillis) this.cancel(stream, "slow_reader")
  }

  cancel(stream: Http2.ServerHttp2Stream, abuse: HttpExchange.Abuse): void {
    if (stream.closed) return
    this.observer.abused(this.connection, abuse)
    HttpExchange.cancel(stream)
  }
}

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    observer: Options<Connection, Verdict>
  ): Effect.fn.Return<Http2Sessions<Connection>, never, Scope.Scope> {
    const { limits } = observer
    const sessions = new Map<Http2.Http2Session, Session<Connection, Verdict>>()
    // Node announces the session of a connection while it takes it over.
    let handingOver: Connection | undefined
    let taken: HttpExchange.Served = nobody

    const server = Http2.createServer({
      maxSessionMemory: limits.maxSessionMemory,
      maxSessionInvalidFrames: 100,
      // A second line: what it says is indistinguishable from other faults, hence `Session.tooMany`.
      streamResetBurst: limits.streamResets.burst * 2,
      streamResetRate: limits.streamResets.rate * 2,
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false
      }
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => sessions.forEach(({ http2 }) => http2.destroy())))

    const requested = (
      request: Http2.Http2ServerRequest,
      response: Http2.Http2ServerResponse,
      asks: boolean
    ): void => {
      const connection = connectionOf(request.stream)
      if (connection === undefined) return void request.destroy() // its connection is gone
      const exchange = new HttpExchange.Exchange<Connection, Verdict>(connection, response)
      exchange.asks = asks
      HttpExchange.remember(request, exchange)
      response.once("close", () => observer.closed(exchange))
      observer.started(exchange, request)
      const handle = observer.handlers()?.request ?? HttpExchange.unavailable
      handle(request, response)
    }
    const streamed = (
      stream: Http2.ServerHttp2Stream,
      headers: Http2.IncomingHttpHeaders,
      flags: number,
      rawHeaders: Array<string>
    ): void => {
      const connection = connectionOf(stream)
      if (connection === undefined) return void stream.destroy() // its connection is gone
      const exchange = new HttpExchange.Exchange<Connection, Verdict>(connection, stream)
      stream.on("error", () => {}) // an "error" that nobody listens to ends the process
      stream.once("close", () => observer.closed(exchange))
      const request = { stream, headers, flags, rawHeaders }
      observer.started(exchange, request)
      const handle = observer.handlers()?.stream
      if (handle === undefined) stream.respond({ ":status": 503 }, { endStream: true })
      else handle(request, exchange)
    }
    const connectionOf = (stream: Http2.ServerHttp2Stream): Connection | undefined =>
      stream.session === undefined ? undefined : sessions.get(stream.session)?.connection
    if (observer.streams) server.on("stream", streamed)
    else {
      server.on("request", (request, response) => requested(request, response, false))
      // Otherwise Node asks for the body of a request that nobody has judged.
      server.on("checkContinue", (request, response) => requested(request, response, true))
    }

    server.on("session", (http2) => {
      if (handingOver === undefined) return http2.destroy()
      const session = new Session(handingOver, http2, observer)
      taken = session
      sessions.set(http2, session)
      http2.once("close", () => sessions.delete(http2))
      http2.once("remoteSettings", () => {
        session.greeted = true
      })
      http2.on("stream", (stream) => {
        session.begin(stream)
        stream.once("aborted", () => session.aborted(stream))
        stream.once("close", () => session.end(stream))
      })
      http2.on("error", (error) => {
        const abuse = faultOf(error)
        if (abuse !== undefined) observer.abused(session.connection, abuse)
      })
      observer.handlers()?.session?.(http2)
    })
    server.on("sessionError", () => {}) // heard above

    return {
      take: (connection) => {
        const { socket } = connection
        socket.allowHalfOpen = false
        Object.assign(socket, { alpnProtocol: "h2" })
        handingOver = connection
        taken = nobody
        server.emit("connection", socket)
        handingOver = undefined
        return taken
      }
    }
  }
)

/** Of a connection that was over before its session began. */
const nobody: HttpExchange.Served = { retire: Function.constVoid, sweep: Function.constFalse }

/** What ended a session, if it was a fault. A connection that merely broke is nobody's, nor is a client that takes its leave. */
const faultOf = (
  error: Error & { readonly code?: unknown; readonly errno?: unknown }
): HttpExchange.Abuse | undefined => {
  switch (error.code) {
    case "ERR_HTTP2_ERROR":
      return error.errno === tooManyContinuations
        ? "headers_too_large"
        : error.errno === flooded
        ? "flood"
        : "protocol_error"
    case "ERR_HTTP2_TOO_MANY_INVALID_FRAMES":
      return "flood"
    default:
      return undefined
  }
}

/** `NGHTTP2_ERR_FLOODED`: control frames that we have to answer, of a client that does not read the answers. */
const flooded = -904

/** `NGHTTP2_ERR_TOO_MANY_CONTINUATIONS`. */
const tooManyContinuations = -905
