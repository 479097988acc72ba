/** HTTP/1.1 by Node's server, without a port of its own, over connections that somebody else accepted. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { Effect, type Scope } from "effect"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpLimits from "./HttpLimits.ts"
import type * as Splice from "../net/Splice.ts"
import * as StallDetector from "../net/StallDetector.ts"
import * as StatusLine from "./StatusLine.ts"

export interface Http1Connections<Connection extends Splice.Side, Verdict> {
  /** Serves a connection. `last`: for no more than one request. */
  readonly take: (connection: Connection, last: boolean) => HttpExchange.Served
  /** The handlers are others now. */
  readonly attached: (handlers: HttpExchange.Handlers<HttpExchange.Exchange<Connection, Verdict>> | undefined) => void
}

/** A connection and its requests. */
class Http1Connection<Connection extends Splice.Side, Verdict> implements HttpExchange.Served {
  readonly connection: Connection
  readonly observer: HttpExchange.Observer<Connection, Verdict>
  /** Requests without a whole answer: several where the client does not wait for answers. */
  active = 0
  /** The last request, and its answer where it asks for no upgrade. */
  request: Http.IncomingMessage | undefined
  response: Http.ServerResponse | undefined
  /** It takes no more requests than those that come before it knows. */
  last: boolean
  /** It is being ended for a fault, and what still comes is not looked at. */
  faulty = false
  stall: StallDetector.StallDetector | undefined
  /** It was asked to speak something else, and Node looks after it no more. */
  upgraded = false
  /** What had come when something came last, and when that was seen; `performance.now()`. */
  received = 0
  receivedAt = 0

  constructor(connection: Connection, observer: HttpExchange.Observer<Connection, Verdict>, last: boolean) {
    this.connection = connection
    this.observer = observer
    this.last = last
  }

  begin(request: Http.IncomingMessage, response: Http.ServerResponse | undefined): void {
    this.active++
    this.request = request
    this.response = response
    if (this.last) response?.setHeader("connection", "close")
  }

  end(): void {
    if (--this.active === 0 && this.last) this.connection.socket.destroySoon()
  }

  retire(): void {
    this.last = true
    if (this.active === 0) this.connection.socket.destroySoon()
    else if (this.response?.headersSent === false) this.response.setHeader("connection", "close")
  }

  sweep(now: number): boolean {
    const { socket } = this.connection
    if (socket.writableLength > 0) {
      this.stall ??= StallDetector.make(socket)
      if (this.stall.millis(now) > this.observer.limits.stallMillis) this.reset("slow_reader")
    }
    // Node looks after the others that nobody uses.
    return this.upgraded && socket.writableFinished && this.isSilent(now)
  }

  /** Whether the client, to whom there is nothing more to say, keeps the connection for nothing. */
  isSilent(now: number): boolean {
    const { bytesRead } = this.connection.socket
    if (bytesRead !== this.received || this.receivedAt === 0) {
      this.received = bytesRead
      this.receivedAt = now
    }
    return now - this.receivedAt > this.observer.limits.idleMillis
  }

  reset(abuse: HttpExchange.Abuse): void {
    this.faulty = true
    this.observer.abused(this.connection, abuse)
    // Node's parser may be at work, and is not to lose its connection meanwhile.
    setImmediate(this.connection.reset)
  }
}

export const make = Effect.fnUntraced(
  function*<Connection extends Splice.Side, Verdict>(
    observer: HttpExchange.Observer<Connection, Verdict>
  ): Effect.fn.Return<Http1Connections<Connection, Verdict>, never, Scope.Scope> {
    const { limits } = observer
    const connections = new WeakMap<object, Http1Connection<Connection, Verdict>>()
    const server = Http.createServer({
      headersTimeout: limits.headersMillis,
      requestTimeout: limits.bodyMillis === 0 ? 0 : limits.headersMillis + limits.bodyMillis,
      keepAliveTimeout: limits.idleMillis,
      connectionsCheckingInterval: HttpLimits.interval(limits),
      maxHeaderSize: limits.maxHeaderBytes,
      noDelay: true
    })
    // It never listens, yet this is what makes it watch over the time that headers take.
    server.emit("listening")
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))

    const requested = (request: Http.IncomingMessage, response: Http.ServerResponse, asks: boolean): void => {
      const served = connections.get(request.socket)
      if (served === undefined || served.faulty) return // its connection is gone, or about to go
      served.begin(request, response)
      const exchange = new HttpExchange.Exchange<Connection, Verdict>(served.connection, response)
      exchange.asks = asks
      HttpExchange.remember(request, exchange)
      response.once("close", () => {
        served.end()
        observer.closed(exchange)
      })
      observer.started(exchange, request)
      if (served.active > limits.maxPipelined) return served.reset("pipelining")
      const handle = observer.handlers()?.request ?? HttpExchange.unavailable
      handle(request, response)
    }
    server.on("request", (request, response) => requested(request, response, false))
    // Otherwise Node asks for the body of a request that nobody has judged.
    server.on("checkContinue", (request, response) => requested(request, response, true))
    const upgraded = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
      const served = connections.get(request.socket)
      const upgrade = observer.handlers()?.upgrade
      if (served?.faulty === true) return // its connection is about to go
      if (served === undefined || upgrade === undefined) return void socket.destroy()
      served.begin(request, undefined)
      served.upgraded = true
      const exchange = new HttpExchange.Exchange<Connection, Verdict>(served.connection, undefined)
      HttpExchange.remember(request, exchange)
      StatusLine.watch(socket, (status) => {
        exchange.upgrade = status
      })
      socket.once("close", () => observer.closed(exchange))
      observer.started(exchange, request)
      upgrade(request, socket, head)
    }

    server.on("clientError", (error, socket) => {
      const served = connections.get(socket)
      if (served === undefined || served.faulty) return // more of what it was told about already
      served.faulty = true
      const [abuse, answer] = faultOf("code" in error ? String(error.code) : "", served.request?.complete === false)
      if (abuse !== undefined) observer.abused(served.connection, abuse)
      if (!socket.writable || served.active > 0 || answer === undefined) return socket.destroy(error)
      socket.write(`HTTP/1.1 ${answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy(error))
    })

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
        // Node takes a request for an upgrade only where somebody listens.
        server.off("upgrade", upgraded)
        if (handlers?.upgrade !== undefined) server.on("upgrade", upgraded)
      }
    }
  }
)

/** What Node's codes mean, and the answer to them. A connection that merely broke is nobody's fault. */
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
