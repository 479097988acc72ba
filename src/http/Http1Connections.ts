/** HTTP/1.1 by Node's server, without a port of its own, over connections that are accepted elsewhere. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { Effect, type Scope } from "effect"
import * as Http1Lifecycle from "./Http1Lifecycle.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpLimits from "./HttpLimits.ts"
import type * as Splice from "../net/Splice.ts"
import * as StallDetector from "../net/StallDetector.ts"
import * as StatusLine from "./StatusLine.ts"

export interface Http1Connections<Connection extends Splice.Side, Verdict> {
  /** Serves a connection. `last`: for no more than one request. */
  readonly take: (connection: Connection, last: boolean) => HttpExchange.Served
  /** Called when the handlers change. */
  readonly attached: (handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined) => void
}

/** A connection and its requests. */
class Http1Connection<Connection extends Splice.Side, Verdict> implements HttpExchange.Served {
  readonly connection: Connection
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  readonly lifecycle: Http1Lifecycle.Http1Lifecycle
  /** The last request, and its answer where it asks for no upgrade. */
  request: Http.IncomingMessage | undefined
  response: Http.ServerResponse | undefined
  private stall: StallDetector.StallDetector | undefined

  constructor(connection: Connection, observer: HttpExchange.Observer<Connection, Verdict>, last: boolean) {
    this.connection = connection
    this.observer = observer
    this.lifecycle = new Http1Lifecycle.Http1Lifecycle(observer.limits, last)
  }

  begin(request: Http.IncomingMessage, response: Http.ServerResponse | undefined): "served" | "crowded" {
    this.request = request
    this.response = response
    if (this.lifecycle.last) response?.setHeader("connection", "close")
    return this.lifecycle.began()
  }

  end(): void {
    if (this.lifecycle.ended() === "close") this.connection.socket.destroySoon()
  }

  announce(): void {
    this.lifecycle.last = true
    if (this.response?.headersSent === false) this.response.setHeader("connection", "close")
  }

  retire(): void {
    if (this.lifecycle.retired() === "close") this.connection.socket.destroySoon()
    else if (this.response?.headersSent === false) this.response.setHeader("connection", "close")
  }

  sweep(now: number): boolean {
    const { socket } = this.connection
    if (socket.writableLength > 0) {
      this.stall ??= StallDetector.make(socket)
      if (this.stall.millis(now) > this.observer.limits.stallMillis) this.reset("slow_reader")
    }
    return this.lifecycle.upgraded && socket.writableFinished && this.lifecycle.isIdle(socket.bytesRead, now)
  }

  reset(abuse: HttpExchange.Abuse): void {
    this.lifecycle.failed()
    this.observer.abused(this.connection, abuse)
    // Node's parser may be at work, and must not lose its connection meanwhile.
    setImmediate(this.connection.reset)
  }

  /** Node's parser, or its clock, has given up on the client. */
  fail(error: Error, socket: Duplex): void {
    if (!this.lifecycle.failed()) return
    const [abuse, answer] = faultOf("code" in error ? String(error.code) : "", this.request?.complete === false)
    if (abuse !== undefined) this.observer.abused(this.connection, abuse)
    if (!socket.writable || this.lifecycle.active > 0 || answer === undefined) return void socket.destroy(error)
    socket.write(`HTTP/1.1 ${answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy(error))
  }
}

/** Hands requests to the handlers. */
class Requests<Connection extends Splice.Side, Verdict> {
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  readonly connectionOf: (socket: Duplex) => Http1Connection<Connection, Verdict> | undefined

  constructor(
    observer: HttpExchange.Observer<Connection, Verdict>,
    connectionOf: (socket: Duplex) => Http1Connection<Connection, Verdict> | undefined
  ) {
    this.observer = observer
    this.connectionOf = connectionOf
  }

  /** `asks`: whether the client waits for `100 Continue`. */
  request(request: Http.IncomingMessage, response: Http.ServerResponse, asks: boolean): void {
    const { observer } = this
    const served = this.connectionOf(request.socket)
    if (served === undefined || served.lifecycle.faulty) return // its connection is gone, or about to go
    const state = served.begin(request, response)
    const exchange = new HttpExchange.Exchange<Connection, Verdict>(served.connection, response)
    exchange.asks = asks
    HttpExchange.remember(request, exchange)
    response.once("close", () => {
      served.end()
      observer.closed(exchange)
    })
    observer.started(exchange, request)
    if (state === "crowded") return served.reset("pipelining")
    const handle = observer.handlers()?.request ?? HttpExchange.unavailable
    handle(request, response)
  }

  upgrade(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const { observer } = this
    const served = this.connectionOf(request.socket)
    const handle = observer.handlers()?.upgrade
    if (served?.lifecycle.faulty === true) return // its connection is about to go
    if (served === undefined || handle === undefined) return void socket.destroy()
    served.begin(request, undefined)
    served.lifecycle.upgraded = true
    const exchange = new HttpExchange.Exchange<Connection, Verdict>(served.connection, undefined)
    HttpExchange.remember(request, exchange)
    StatusLine.watch(socket, (status) => {
      exchange.upgrade = status
    })
    socket.once("close", () => observer.closed(exchange))
    observer.started(exchange, request)
    handle(request, socket, head)
  }
}

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    observer: HttpExchange.Observer<Connection, Verdict>
  ): Effect.fn.Return<Http1Connections<Connection, Verdict>, never, Scope.Scope> {
    const connections = new WeakMap<object, Http1Connection<Connection, Verdict>>()
    const server = createServer(observer.limits)
    // It never listens, yet this is what makes it watch over the time that headers take.
    server.emit("listening")
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))

    const requests = new Requests<Connection, Verdict>(observer, (socket) => connections.get(socket))
    const upgraded = requests.upgrade.bind(requests)
    server.on("request", (request, response) => requests.request(request, response, false))
    // Without a listener Node asks for the body before the request is authorized.
    server.on("checkContinue", (request, response) => requests.request(request, response, true))
    server.on("clientError", (error, socket) => connections.get(socket)?.fail(error, socket))

    return {
      take: (connection, last) => {
        const { socket } = connection
        const served = new Http1Connection(connection, observer, last)
        connections.set(socket, served)
        // Where Node reports faults of the client.
        Object.assign(socket, { server })
        server.emit("connection", socket)
        return served
      },
      attached: (handlers) => {
        // Node takes a request for an upgrade only where there is a listener.
        server.off("upgrade", upgraded)
        if (handlers?.upgrade !== undefined) server.on("upgrade", upgraded)
      }
    }
  }
)

const createServer = (limits: HttpLimits.Limits): Http.Server =>
  Http.createServer({
    headersTimeout: limits.headersMillis,
    requestTimeout: limits.bodyMillis === 0 ? 0 : limits.headersMillis + limits.bodyMillis,
    keepAliveTimeout: limits.idleMillis,
    connectionsCheckingInterval: HttpLimits.interval(limits),
    maxHeaderSize: limits.maxHeaderBytes,
    noDelay: true
  })

/** What Node's codes mean, and the answer to them. The client is not at fault where its connection broke. */
const faultOf = (
  code: string,
  inBody: boolean
): readonly [HttpExchange.Abuse | undefined, string | undefined] => {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [inBody ? "slow_body" : "slow_headers", "408 Request Timeout"]
    case "HPE_HEADER_OVERFLOW":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return ["headers_too_large", "431 Request Header Fields Too Large"]
    default:
      return code.startsWith("HPE_") ? ["malformed", "400 Bad Request"] : [undefined, undefined]
  }
}
