/**
 * HTTP/2 with a client of the proxy: each stream of a session is an exchange. What a client may do to the session as a whole,
 * `Http2Sessions` bounds.
 *
 *     headers ──▶ exchange: body in, answer out ──▶ both whole
 *       │           └─ reset, or the session is over: gone
 *       ├─ nothing that HTTP/1.1 could say: an answer that says so
 *       └─ malformed: reset, which counts against the client
 */
import * as Http2 from "node:http2"
import type * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"
import * as HttpExchange from "../HttpExchange.ts"
import * as Addresses from "./Addresses.ts"
import type * as Exchange from "./Exchange.ts"
import * as HeaderList from "./HeaderList.ts"
import * as Http2Head from "./Http2Head.ts"
import type * as Splice from "../../net/Splice.ts"

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = Http2.constants

/** Why a request went no further. It has been answered already. */
export type Refused = Fields.Fault | Http2Head.Malformed

/** Takes a request as `HttpExchange.Handlers.stream` gets it. */
export const take = (
  { rawHeaders, stream }: HttpExchange.StreamRequest,
  { connection }: Pick<HttpExchange.Exchange, "connection">,
  maxFields: number
): Http2Exchange | Refused => {
  const request = Http2Head.request(rawHeaders, stream.endAfterHeaders, maxFields)
  if (request._tag === "Request") return new Http2Exchange(stream, connection.socket, request, maxFields)
  if (stream.closed || stream.destroyed) return request
  if (request._tag === "Malformed") stream.close(NGHTTP2_PROTOCOL_ERROR)
  else {
    stream.respond([":status", String(request.status)], emptyAnswer)
    if (!stream.endAfterHeaders) endUnread(stream)
  }
  return request
}

export class Http2Exchange implements Exchange.ServerExchange {
  readonly version = "2"
  readonly request: Head.Request
  readonly #stream: Http2.ServerHttp2Stream
  readonly #socket: Splice.Stream
  readonly #maxFields: number
  #client: Exchange.Client | undefined
  /** Of the request; then those of the answer. */
  #received: Fields.Fields | undefined
  #sent: Fields.Fields | undefined
  #paused = false
  /** The request is whole. */
  #isWhole = false
  /** The answer is whole. */
  #isEnded = false
  /** The client is heard no more. */
  #isOver = false

  constructor(stream: Http2.ServerHttp2Stream, socket: Splice.Stream, request: Head.Request, maxFields: number) {
    this.#stream = stream
    this.#socket = socket
    this.request = request
    this.#maxFields = maxFields
    Addresses.of(socket)
    if (!stream.endAfterHeaders) stream.once("trailers", (_, __, raw) => this.#trailed(raw))
    stream.once("aborted", () => this.#lost())
    stream.once("close", () => this.#lost())
    if (stream.destroyed) this.#isOver = true
  }

  get remote(): string {
    return Addresses.of(this.#socket).remote
  }

  get local(): string {
    return Addresses.of(this.#socket).local
  }

  listen(client: Exchange.Client): void {
    this.#client = client
    const stream = this.#stream
    if (this.#isOver) return process.nextTick(() => client.gone())
    // What follows a CONNECT is for the other end of the tunnel, once there is one.
    if (this.#paused || this.#isUnopened) stream.pause()
    stream.on("data", (bytes: Buffer) => {
      if (!this.#isOver) client.data(bytes)
    })
    stream.once("end", () => this.#whole())
    stream.on("drain", () => {
      if (!this.#isOver) client.drained()
    })
  }

  get isGone(): boolean {
    return this.#isOver
  }

  pause(): void {
    this.#paused = true
    if (this.#client !== undefined) this.#stream.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#flow()
  }

  inform(status: number, lines: Pick<Exchange.AnswerHead, "dropped" | "fields" | "more"> | undefined): void {
    if (!this.#canAnswer || status < 100 || status >= 200 || status === 101) return
    const headers = lines === undefined ? {} : HeaderList.toObject(lines)
    headers[":status"] = status
    this.#stream.additionalHeaders(headers)
  }

  answer(head: Exchange.AnswerHead): void {
    if (!this.#canAnswer) return
    const { status } = head
    // Node sends no others.
    if (status < 200 || status > 599) return this.#giveUp()
    const list = [":status", String(status)]
    HeaderList.add(list, head)
    const isEmpty = head.body === "none" || this.request.method === "HEAD" || isBodiless(status)
    this.#isEnded = isEmpty
    const options = isEmpty ? emptyAnswer : wholeAnswer
    if (!isEmpty) this.#stream.once("wantTrailers", () => this.#trail())
    this.#stream.respond(status === 204 || status === 205 ? HeaderList.without(list, "content-length") : list, options)
    if (isEmpty) this.#endUnread()
    else this.#flow()
  }

  write(bytes: Buffer): boolean {
    return this.#isOver || this.#isEnded || this.#stream.closed || this.#stream.write(bytes)
  }

  end(trailers: Fields.Fields | undefined): void {
    if (this.#isOver || this.#isEnded) return
    this.#isEnded = true
    this.#sent = trailers
    this.#stream.end()
  }

  abort(): void {
    if (this.#isOver || this.#isEnded) return
    this.#isOver = true
    HttpExchange.cancel(this.#stream, NGHTTP2_INTERNAL_ERROR)
  }

  get #canAnswer(): boolean {
    return !this.#isOver && !this.#stream.headersSent && !this.#stream.closed && !this.#stream.destroyed
  }

  get #isUnopened(): boolean {
    return this.request.method === "CONNECT" && !this.#stream.headersSent
  }

  #flow(): void {
    if (this.#client !== undefined && !this.#paused && !this.#isUnopened) this.#stream.resume()
  }

  #whole(): void {
    // Node tells of a reset as if it were an end. What is not reset is closed only once its answer is whole as well.
    if (this.#stream.aborted || this.#stream.closed) return this.#lost()
    this.#isWhole = true
    if (!this.#isOver) this.#client?.end(this.#received)
  }

  #trailed(raw: ReadonlyArray<string>): void {
    const trailers = Http2Head.trailers(raw, this.#maxFields)
    if (trailers?._tag !== "Malformed") {
      this.#received = trailers
      return
    }
    if (!this.#stream.closed) this.#stream.close(NGHTTP2_PROTOCOL_ERROR)
    this.#lost()
  }

  /** The end of the answer, which has waited for its trailers. */
  #trail(): void {
    if (this.#stream.closed || this.#stream.destroyed) return
    this.#stream.sendTrailers(this.#sent === undefined ? {} : HeaderList.toTrailers(this.#sent))
    this.#endUnread()
  }

  /** Nobody waits for the rest of a request that is answered. */
  #endUnread(): void {
    if (!this.#isWhole && !this.#stream.endAfterHeaders) endUnread(this.#stream)
  }

  #giveUp(): void {
    HttpExchange.cancel(this.#stream, NGHTTP2_INTERNAL_ERROR)
    this.#lost()
  }

  #lost(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (!this.#isEnded) this.#client?.gone()
  }
}

/** After what was sent, in the next turn: Node sends trailers then. */
const endUnread = (stream: Http2.ServerHttp2Stream): void => {
  setImmediate(() => setImmediate(() => stream.close(NGHTTP2_NO_ERROR)))
}

const emptyAnswer: Http2.ServerStreamResponseOptions & { readonly sendDate: boolean } = {
  endStream: true,
  sendDate: false
}
const wholeAnswer: typeof emptyAnswer = { endStream: false, waitForTrailers: true, sendDate: false }

/** Node ends the answer with these. */
const isBodiless = (status: number): boolean => status === 204 || status === 205 || status === 304
