/**
 * HTTP/2 by Node's server, without a port of its own, over connections that are accepted elsewhere. nghttp2 beneath it
 * bounds what a connection may hold; `StreamAccounting` bounds what a client makes us do for nothing.
 */
import * as Http2 from "node:http2"
import { Effect, Function, type Scope } from "effect"
import * as ConnectionWindow from "./ConnectionWindow.ts"
import * as HttpExchange from "./HttpExchange.ts"
import type * as HttpLimits from "./HttpLimits.ts"
import type * as Splice from "../net/Splice.ts"
import * as StallDetector from "../net/StallDetector.ts"
import * as StreamAccounting from "./StreamAccounting.ts"
import * as Turnover from "../net/Turnover.ts"

export interface Http2Sessions<Connection> {
  readonly take: (connection: Connection) => HttpExchange.Served
}

export interface Options<Connection extends Splice.Side, Verdict> extends HttpExchange.Observer<Connection, Verdict> {
  /** Whether requests go to the handler `stream`. */
  readonly streams: boolean
}

/** A connection and its streams: tells the accounting what happens to them, and carries out its verdicts. */
class Session<Connection extends Splice.Side, Verdict> implements HttpExchange.Served {
  readonly connection: Connection
  readonly http2: Http2.ServerHttp2Session
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  readonly accounting: StreamAccounting.StreamAccounting<Http2.ServerHttp2Stream>
  /** Of streams that were seen to wait for the client. */
  readonly stalls = new WeakMap<Http2.ServerHttp2Stream, StallDetector.StallDetector>()

  constructor(
    connection: Connection,
    http2: Http2.ServerHttp2Session,
    observer: HttpExchange.Observer<Connection, Verdict>
  ) {
    this.connection = connection
    this.http2 = http2
    this.observer = observer
    this.accounting = new StreamAccounting.StreamAccounting(observer.limits, performance.now())
    http2.once("remoteSettings", () => this.accounting.greet())
    http2.on("stream", (stream) => this.begin(stream))
    http2.on("error", (error) => {
      const abuse = faultOf(error)
      if (abuse !== undefined) observer.abused(connection, abuse)
    })
  }

  /** Node knows no notice before the GOAWAY, after which it ignores what is on its way. */
  announce(): void {}

  retire(): void {
    this.http2.close()
  }

  sweep(now: number): boolean {
    const { lastProcStreamID = 0 } = this.http2.destroyed ? {} : this.http2.state
    this.apply(this.accounting.sweep(now, lastProcStreamID, (stream) => this.stateOf(stream, now)))
    return this.accounting.isIdle(now)
  }

  private begin(stream: Http2.ServerHttp2Stream): void {
    this.accounting.began(stream, stream.endAfterHeaders, performance.now())
    if (stream.aborted) this.aborted(stream) // before its listeners were there
    stream.once("aborted", () => this.aborted(stream))
    stream.once(
      "close",
      () => this.apply(this.accounting.ended(stream, HttpExchange.endedByClient(stream), performance.now()))
    )
  }

  /** Where the client's reset names no error, Node waits for writes that the client will not take. */
  private aborted(stream: Http2.ServerHttp2Stream): void {
    if (stream.rstCode !== Http2.constants.NGHTTP2_NO_ERROR || stream.destroyed) return
    this.apply(this.accounting.reset(stream, performance.now()))
  }

  private stateOf(stream: Http2.ServerHttp2Stream, now: number): StreamAccounting.StreamState {
    return {
      unfinished: stream.closed && !stream.writableFinished,
      stalledMillis: stream.writableLength > 0 ? this.stallOf(stream).millis(now) : 0,
      bodyArrived: () => stream.state.state === Http2.constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE
    }
  }

  private stallOf(stream: Http2.ServerHttp2Stream): StallDetector.StallDetector {
    let stall = this.stalls.get(stream)
    if (stall === undefined) this.stalls.set(stream, stall = StallDetector.make(stream))
    return stall
  }

  private apply(verdicts: ReadonlyArray<StreamAccounting.Verdict<Http2.ServerHttp2Stream>>): void {
    for (const verdict of verdicts) {
      switch (verdict._tag) {
        case "CancelStream":
          if (verdict.stream.closed) break
          this.observer.abused(this.connection, verdict.abuse)
          HttpExchange.cancel(verdict.stream)
          break
        case "DiscardStream":
          verdict.stream.destroy()
          break
        case "EndSession":
          if (this.http2.destroyed) break
          this.observer.abused(this.connection, verdict.abuse)
          this.http2.destroy(undefined, verdict.code)
      }
    }
  }
}

/** Hands requests over HTTP/2 to the handlers: as Node's pairs of request and response, or as streams. */
class Requests<Connection extends Splice.Side, Verdict> {
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  readonly connectionOf: (stream: Http2.ServerHttp2Stream) => Connection | undefined

  constructor(
    observer: HttpExchange.Observer<Connection, Verdict>,
    connectionOf: (stream: Http2.ServerHttp2Stream) => Connection | undefined
  ) {
    this.observer = observer
    this.connectionOf = connectionOf
  }

  /** `asks`: whether the client waits for `100 Continue`. */
  request(request: Http2.Http2ServerRequest, response: Http2.Http2ServerResponse, asks: boolean): void {
    const { observer } = this
    const connection = this.connectionOf(request.stream)
    if (connection === undefined) return void request.destroy() // its connection is gone
    const exchange = new HttpExchange.Exchange<Connection, Verdict>(connection, response)
    exchange.asks = asks
    HttpExchange.remember(request, exchange)
    response.once("close", () => observer.closed(exchange))
    observer.started(exchange, request)
    const handle = observer.handlers()?.request ?? HttpExchange.unavailable
    handle(request, response)
  }

  stream(request: HttpExchange.StreamRequest): void {
    const { observer } = this
    const { stream } = request
    // An "error" without a listener ends the process. One is to come also where the session has failed already.
    stream.on("error", () => {})
    const connection = this.connectionOf(stream)
    if (connection === undefined) return void stream.destroy() // its connection is gone
    const exchange = new HttpExchange.Exchange<Connection, Verdict>(connection, stream)
    stream.once("close", () => observer.closed(exchange))
    observer.started(exchange, request)
    const handle = observer.handlers()?.stream
    if (handle === undefined) stream.respond({ ":status": 503 }, { endStream: true })
    else handle(request, exchange)
  }
}

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    observer: Options<Connection, Verdict>
  ): Effect.fn.Return<Http2Sessions<Connection>, never, Scope.Scope> {
    const sessions = new Turnover.TurnoverMap<Http2.Http2Session, Session<Connection, Verdict>>()
    // Node announces the session of a connection while it takes it over.
    let handingOver: Connection | undefined
    let taken: HttpExchange.Served = closedBefore

    const server = createServer(observer.limits, observer.streams)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const [, { http2 }] of sessions) http2.destroy()
      })
    )

    const requests = new Requests(
      observer,
      ({ session }) => session === undefined ? undefined : sessions.get(session)?.connection
    )
    if (observer.streams) {
      server.on(
        "stream",
        (stream, headers, flags, rawHeaders) => requests.stream({ stream, headers, flags, rawHeaders })
      )
    } else {
      server.on("request", (request, response) => requests.request(request, response, false))
      // Without a listener Node asks for the body before the request is authorized.
      server.on("checkContinue", (request, response) => requests.request(request, response, true))
    }

    server.on("session", (http2) => {
      if (handingOver === undefined) return http2.destroy()
      http2.setLocalWindowSize(ConnectionWindow.bytes)
      const session = new Session(handingOver, http2, observer)
      taken = session
      sessions.set(http2, session)
      http2.once("close", () => sessions.delete(http2))
      observer.handlers()?.session?.(http2)
    })
    server.on("sessionError", () => {}) // the session hears it itself

    return {
      take: (connection) => {
        const { socket } = connection
        socket.allowHalfOpen = false
        Object.assign(socket, { alpnProtocol: "h2" })
        handingOver = connection
        taken = closedBefore
        server.emit("connection", socket)
        handingOver = undefined
        return taken
      }
    }
  }
)

const createServer = (limits: HttpLimits.Limits, streams: boolean): Http2.Http2Server => {
  const options = {
    maxSessionMemory: limits.maxSessionMemory,
    maxSessionInvalidFrames: 100,
    // A second line of defence: Node reports it like any other fault, so the accounting is to be first.
    streamResetBurst: limits.streamResets.burst * 2,
    streamResetRate: limits.streamResets.rate * 2,
    // Answers that are passed on have the fields that came, also those that Node takes for single ones.
    strictSingleValueFields: !streams,
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      enablePush: false
    }
  }
  return Http2.createServer(options)
}

/** Stand-in for a connection that closed before its session began. */
const closedBefore: HttpExchange.Served = {
  announce: Function.constVoid,
  retire: Function.constVoid,
  sweep: Function.constFalse
}

/** What ended a session, if the client is at fault. It is not where its connection broke or it said goodbye. */
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
