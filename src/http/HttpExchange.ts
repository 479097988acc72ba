/** One request and its answer over either version of HTTP, and the interfaces around them. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { Duplex } from "node:stream"
import type * as HttpLimits from "./HttpLimits.ts"
import type * as Splice from "../net/Splice.ts"

/** Why the server ended a connection. The attribute `reason` of `mesh_http_aborted_total`: stable. */
export type Abuse =
  | "slow_headers"
  | "slow_body"
  | "slow_reader"
  | "headers_too_large"
  | "malformed"
  | "pipelining"
  | "stream_resets"
  | "flood"
  | "protocol_error"

/** Streams that this server has ended: they do not count against the client. */
const endedByUs = new WeakSet<Http2.ServerHttp2Stream>()

/** Ends a stream so that the client does not take what it has for a whole answer. */
export const cancel = (
  stream: Http2.ServerHttp2Stream,
  code: number = Http2.constants.NGHTTP2_CANCEL
): void => {
  endedByUs.add(stream)
  stream.close(code)
}

/**
 * Whether it was the client that ended a stream before its answer was whole: by resetting it, or by sending what made us
 * reset it.
 */
export const endedByClient = (stream: Http2.ServerHttp2Stream): boolean =>
  stream.rstCode !== Http2.constants.NGHTTP2_NO_ERROR &&
  !(stream.headersSent && stream.writableFinished) &&
  (stream.errored === null || isStreamError(stream.errored)) &&
  !endedByUs.has(stream)

/** How Node tells of a reset. Any other error comes from the handler of the request. */
const isStreamError = (error: Error): boolean => "code" in error && error.code === "ERR_HTTP2_STREAM_ERROR"

/** `Connection` is what carries it, `Verdict` the decision about it. */
export class Exchange<Connection extends Splice.Side = Splice.Side, Verdict = unknown> {
  readonly connection: Connection
  /** Absent for an upgrade. */
  readonly answer: Outgoing | Http2.ServerHttp2Stream | undefined
  /** The status that was written to an upgraded connection, once there is one. */
  upgrade: number | undefined = undefined
  /** The decision about the request, once there is one. */
  concluded: Verdict | undefined = undefined
  /** The status of a refusal, also where the answer has another one: gRPC calls it 200. */
  refusal: number | undefined = undefined
  /** Whether the client asks before it sends the body: `Expect: 100-continue`. */
  asks = false
  /** Whether its answer, or its connection, has ended. */
  over = false
  /** When it began, as `performance.now()` has it. */
  readonly since = performance.now()

  constructor(connection: Connection, answer: Outgoing | Http2.ServerHttp2Stream | undefined) {
    this.connection = connection
    this.answer = answer
  }

  /** Of what was written, once it is over. */
  get code(): number | "reset" {
    const { answer } = this
    const status = answer === undefined
      ? this.upgrade
      : "statusCode" in answer
      ? isSent(answer) ? answer.statusCode : undefined
      : statusOf(answer)
    return status === undefined ? "reset" : this.refusal ?? status
  }

  /** Lets a client that asks send the body. */
  proceed(): void {
    if (!this.asks) return
    this.asks = false
    if (this.answer !== undefined && "writeContinue" in this.answer) this.answer.writeContinue()
  }

  /** Ends it, so that the caller does not take what it has for a whole answer. */
  abort(): void {
    const { answer } = this
    if (answer === undefined || answer instanceof Http.ServerResponse) return this.connection.reset()
    cancel("stream" in answer ? answer.stream : answer)
  }
}

/** An answer over HTTP/1.1 may have been made, and wait for those of earlier requests. */
const isSent = (answer: Outgoing): boolean =>
  answer.headersSent &&
  (!(answer instanceof Http.ServerResponse) || answer.writableFinished || answer.socket !== null)

const statusOf = ({ sentHeaders }: Http2.ServerHttp2Stream): number | undefined => {
  const status = sentHeaders?.[":status"]
  return status === undefined ? undefined : Number(status)
}

export type Incoming = Http.IncomingMessage | Http2.Http2ServerRequest
export type Outgoing = Http.ServerResponse | Http2.Http2ServerResponse

/** A request over HTTP/2 as Node hands it out first, before it is dressed up as one over HTTP/1.1. */
export interface StreamRequest {
  readonly stream: Http2.ServerHttp2Stream
  readonly headers: Http2.IncomingHttpHeaders
  readonly flags: number
  readonly rawHeaders: Array<string>
}

/** Kept in the request itself: a `WeakMap` with an entry for each request would keep the garbage collector busy. */
const key = Symbol("exchange")

/** What a request belongs to. */
export const exchangeOf = <Connection extends Splice.Side, Verdict>(
  incoming: Incoming & { readonly [key]?: Exchange<Connection, Verdict> }
): Exchange<Connection, Verdict> | undefined => incoming[key]

export const remember = <Connection extends Splice.Side, Verdict>(
  incoming: Incoming & { [key]?: Exchange<Connection, Verdict> },
  exchange: Exchange<Connection, Verdict>
): void => {
  incoming[key] = exchange
}

export interface Handlers<E = Exchange> {
  readonly request: (request: Incoming, response: Outgoing) => void
  /** Absent: requests for an upgrade are requests like others, as Node has it. */
  readonly upgrade?: ((request: Http.IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined
  /** Takes the requests over HTTP/2 instead of `request`, where `streams` is set. */
  readonly stream?: ((request: StreamRequest, exchange: E) => void) | undefined
  /** Hears of each connection that speaks HTTP/2. */
  readonly session?: ((session: Http2.ServerHttp2Session) => void) | undefined
}

/** Answers while there is no handler. */
export const unavailable: Handlers<never>["request"] = (_, response) => {
  response.statusCode = 503
  response.end()
}

/** What both versions of HTTP report to. */
export interface Observer<Connection extends Splice.Side, Verdict> {
  readonly limits: HttpLimits.Limits
  /** Who handles requests now. */
  readonly handlers: () => Handlers<Exchange<Connection, Verdict>> | undefined
  /** Called with each request before its handler is. */
  readonly started: (exchange: Exchange<Connection, Verdict>, request: Incoming | StreamRequest) => void
  /** Called once for each, when it is over. */
  readonly closed: (exchange: Exchange<Connection, Verdict>) => void
  readonly abused: (connection: Connection, abuse: Abuse) => void
}

/** A connection that speaks one of the versions. */
export interface Served {
  /** It is about to leave: the next answer says so where the protocol can, and is the last one. Until then it is served on. */
  readonly announce: () => void
  /** No new requests. It ends once those at hand are finished, at once where there are none. */
  readonly retire: () => void
  /** Looks for what takes too long, and says whether the connection is idle. `now` is `performance.now()`. */
  readonly sweep: (now: number) => boolean
}
