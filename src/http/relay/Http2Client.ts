/**
 * HTTP/2 with an instance, on one connection: many requests at a time, as many as the instance allows.
 *
 *     taken ──▶ connected ──▶ sent ──▶ answered ──▶ whole
 *       └───────────┴───────────┴─────────┴──▶ failed, or cancelled
 *
 * Trap: Node tells of a stream that was reset without an error as if it had ended. Only an end that comes while the stream is
 * still open was said by the instance.
 */
import * as Http2 from "node:http2"
import { Duplex } from "node:stream"
import type * as Fields from "../h1/Fields.ts"
import * as Listening from "../../net/Listening.ts"
import type * as Splice from "../../net/Splice.ts"
import * as ConnectionWindow from "../ConnectionWindow.ts"
import type * as Exchange from "./Exchange.ts"
import * as HeaderList from "./HeaderList.ts"
import * as Http2Head from "./Http2Head.ts"

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM } = Http2.constants

/** Of an answer. */
const maxFields = 100
const maxHeadBytes = 96 * 1024

/** Provisional answers to one request: each of them is passed on. */
const maxProvisional = 32

/** Requests at a time until the instance has said how many, which is the first thing that it says. More might be refused. */
const firstStreams = 1

/** How long the instance may take to close a connection that we have ended. */
const lingerMillis = 1000

export interface Owner {
  /** There may be room for another request. */
  readonly free: (client: Http2Client) => void
  /** The connection is closed. */
  readonly over: (client: Http2Client) => void
  /** A request has begun, or is over. */
  readonly counted: (change: 1 | -1) => void
}

export class Http2Client {
  readonly side: Splice.Side
  readonly http2: Http2.ClientHttp2Session
  readonly local: string
  /** When the last request was over, as `performance.now()`. */
  since = performance.now()
  /** Requests at hand. */
  active = 0
  /** The instance has not looked at streams above this one. */
  lastStream = Infinity
  /** The instance has said how many requests it takes at a time. */
  isSettled = false
  readonly #owner: Owner
  #streams = firstStreams
  #retired = false

  constructor(side: Splice.Side, owner: Owner) {
    const { socket } = side
    this.side = side
    this.#owner = owner
    this.local = socket.localAddress === undefined || socket.localPort === undefined
      ? ""
      : Listening.format({ host: socket.localAddress, port: socket.localPort })
    socket.allowHalfOpen = false
    this.http2 = Http2.connect("http://instance", { ...sessionOptions, createConnection: () => socket })
    this.http2.once("connect", () => this.http2.setLocalWindowSize(ConnectionWindow.bytes))
    this.http2.on("remoteSettings", ({ maxConcurrentStreams }) => {
      this.isSettled = true
      this.#streams = maxConcurrentStreams ?? Infinity
      owner.free(this)
    })
    this.http2.on("goaway", (_, lastStream) => {
      this.lastStream = Math.min(this.lastStream, lastStream)
    })
    this.http2.on("error", () => {}) // an "error" without a listener ends the process
    this.http2.once("close", () => owner.over(this))
  }

  /** Whether it takes another request. */
  get hasRoom(): boolean {
    return this.active < this.#streams && this.isOpen
  }

  get isOpen(): boolean {
    return !this.#retired && !this.http2.closed && !this.http2.destroyed && !this.side.socket.destroyed
  }

  /** The connection as a whole has failed. */
  get isBroken(): boolean {
    return this.http2.destroyed || this.side.socket.destroyed
  }

  /** Takes an attempt, which is told so at once. */
  take(attempt: Exchange.Attempt): void {
    this.active++
    this.#owner.counted(1)
    attempt.connected(new Http2Request(this, attempt))
  }

  /** One of its requests is over. */
  release(): void {
    this.active--
    this.since = performance.now()
    this.#owner.counted(-1)
    if (this.#retired && this.active === 0) this.#linger()
    this.#owner.free(this)
  }

  /** Takes no more requests. It ends once those at hand are over. */
  retire(): void {
    if (this.#retired) return
    this.#retired = true
    if (!this.http2.closed) this.http2.close()
    if (this.active === 0) this.#linger()
  }

  #linger(): void {
    const timer = setTimeout(() => this.side.reset(), lingerMillis)
    this.http2.once("close", () => clearTimeout(timer))
    if (this.isBroken) clearTimeout(timer)
  }
}

/** One request, and its answer. */
class Http2Request implements Exchange.Outbound {
  readonly #client: Http2Client
  /** Undefined once nothing is to be heard any more. */
  #attempt: Exchange.Attempt | undefined
  #stream: Http2.ClientHttp2Stream | undefined
  #method = ""
  #provisional = 0
  /** Of the answer; then those of the request. */
  #received: Fields.Fields | undefined
  #sent: Fields.Fields | undefined

  constructor(client: Http2Client, attempt: Exchange.Attempt) {
    this.#client = client
    this.#attempt = attempt
  }

  get local(): string {
    return this.#client.local
  }

  send(head: Exchange.RequestHead): void {
    if (this.#attempt === undefined || this.#stream !== undefined) return
    this.#method = head.method
    const stream = this.#open(head)
    if (stream === undefined) return
    this.#stream = stream
    stream.push = pushed
    stream.once("response", (_, flags, raw) => this.#answered(raw, flags))
    stream.on("headers", (_, __, raw) => this.#informed(raw))
    stream.once("trailers", (_, __, raw) => this.#trailed(raw))
    stream.on("drain", () => this.#attempt?.drained())
    stream.on("error", () => {}) // `close` tells
    stream.once("close", () => this.#closed(stream))
    if (head.body !== "none") stream.once("wantTrailers", () => this.#trail(stream))
  }

  write(bytes: Buffer): boolean {
    const stream = this.#stream
    if (this.#attempt === undefined || stream === undefined || stream.closed || stream.writableEnded) return true
    return stream.write(bytes)
  }

  end(trailers: Fields.Fields | undefined): void {
    const stream = this.#stream
    if (this.#attempt === undefined || stream === undefined || stream.closed || stream.writableEnded) return
    this.#sent = trailers
    stream.end()
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    this.#stream?.resume()
  }

  cancel(): void {
    if (this.#attempt === undefined) return
    this.#attempt = undefined
    if (this.#stream === undefined) this.#client.release()
    else cancel(this.#stream)
  }

  /** Undefined: it could not be sent, which the attempt hears in the next turn. */
  #open(head: Exchange.RequestHead): Http2.ClientHttp2Stream | undefined {
    const list = head.method === "CONNECT"
      ? [":method", head.method, ":authority", head.target]
      : [":method", head.method, ":scheme", "http", ":path", head.target]
    const host = HeaderList.add(list, head)
    if (head.method !== "CONNECT") list.push(":authority", host ?? "")
    if (!this.#client.isBroken && !this.#client.http2.closed) {
      try {
        return this.#client.http2.request(list, head.body === "none" ? withoutBody : withBody)
      } catch (cause) {
        this.#unsent({ _tag: "Malformed", why: cause instanceof Error ? cause.message : String(cause) })
        return undefined
      }
    }
    this.#unsent({ _tag: "Refused" })
    return undefined
  }

  #unsent(failure: Exchange.Failure): void {
    process.nextTick(() => {
      if (this.#attempt === undefined) return
      const attempt = this.#attempt
      this.#attempt = undefined
      this.#client.release()
      attempt.failed(failure)
    })
  }

  #informed(raw: ReadonlyArray<string>): void {
    // `100 Continue` is between us and the instance.
    if (this.#attempt === undefined || raw[1] === "100") return
    const head = Http2Head.answer(raw, this.#method, false, maxFields)
    if (head._tag === "Malformed") return this.#fail(head)
    if (++this.#provisional > maxProvisional) {
      return this.#fail({ _tag: "Malformed", why: `there are more than ${maxProvisional} provisional answers` })
    }
    this.#attempt.answered(head)
  }

  #answered(raw: ReadonlyArray<string>, flags: number): void {
    const stream = this.#stream
    if (this.#attempt === undefined || stream === undefined) return
    const head = Http2Head.answer(raw, this.#method, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, maxFields)
    if (head._tag === "Malformed") return this.#fail(head)
    this.#attempt.answered(head)
    if (this.#attempt === undefined) return
    // Not before: Node may have read pieces ahead of the head that it tells of later.
    stream.on("data", (bytes: Buffer) => this.#attempt?.data(bytes))
    stream.once("end", () => this.#whole(stream))
  }

  #trailed(raw: ReadonlyArray<string>): void {
    const trailers = Http2Head.trailers(raw, maxFields)
    if (trailers?._tag === "Malformed") this.#fail(trailers)
    else this.#received = trailers
  }

  #whole(stream: Pushed): void {
    const attempt = this.#attempt
    if (attempt === undefined || stream[ended] !== true) return
    this.#attempt = undefined
    // Nobody waits for the rest of a request that is answered.
    if (!stream.writableFinished && !stream.closed) cancel(stream)
    attempt.end(this.#received)
  }

  /** The end of the request, which has waited for its trailers. */
  #trail(stream: Http2.ClientHttp2Stream): void {
    if (stream.closed || stream.destroyed) return
    stream.sendTrailers(this.#sent === undefined ? {} : HeaderList.toTrailers(this.#sent))
  }

  #closed(stream: Http2.ClientHttp2Stream): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    this.#client.release()
    attempt?.failed(this.#failureOf(stream))
  }

  #failureOf({ id = 0, rstCode }: Http2.ClientHttp2Stream): Exchange.Failure {
    const client = this.#client
    if (id > client.lastStream) return { _tag: "Refused" }
    if (client.isBroken) return { _tag: "Reset", why: "connection" }
    return rstCode === NGHTTP2_REFUSED_STREAM || id === 0 ? { _tag: "Refused" } : { _tag: "Reset", why: "stream" }
  }

  #fail(failure: Exchange.Failure): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (this.#stream?.closed === false) this.#stream.close(NGHTTP2_PROTOCOL_ERROR)
    this.#stream?.resume()
    attempt?.failed(failure)
  }
}

/**
 * Not at once: while Node reads, it puts off a reset of this kind, and would still ask the stream, gone by then, for trailers,
 * which ends the process.
 */
const cancel = (stream: Http2.ClientHttp2Stream): void => {
  setImmediate(() => {
    stream.close(NGHTTP2_CANCEL)
    // What has come and was not read counts against the whole connection until it is.
    stream.resume()
  })
}

/** Whether the instance has ended the answer. */
const ended = Symbol("ended")

type Pushed = Http2.ClientHttp2Stream & { [ended]?: boolean }

function pushed(this: Pushed, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed) this[ended] = true
  return Duplex.prototype.push.call(this, chunk, encoding)
}

const withoutBody: Http2.ClientSessionRequestOptions = { endStream: true }
const withBody: Http2.ClientSessionRequestOptions = { endStream: false, waitForTrailers: true }

/** Fields are passed on as they came, also several that Node takes for single ones. */
const sessionOptions = {
  maxSessionInvalidFrames: 100,
  maxReservedRemoteStreams: 0,
  // What waits to be sent is bounded for each request. Where that makes much in all, Node would reset those that are answered.
  maxSessionMemory: 1024,
  strictSingleValueFields: false,
  settings: { enablePush: false, maxHeaderListSize: maxHeadBytes }
}
