/**
 * HTTP/1.1 with a client of the proxy, on one connection: requests come one after the other, each with its answer before the
 * next one is looked at.
 *
 *     head ──▶ exchange: body in, answer out ──▶ both whole ──▶ next head, or the end of the connection
 *       └─ no HTTP: an answer that says so, and the end
 *
 * A client that sends several requests at once has them read when it is their turn: until then its bytes wait, and so does it.
 */
import { STATUS_CODES } from "node:http"
import type * as Splice from "../../net/Splice.ts"
import * as StallDetector from "../../net/StallDetector.ts"
import * as Decoder from "../h1/Decoder.ts"
import type * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"
import * as Lines from "../h1/Lines.ts"
import type * as HttpExchange from "../HttpExchange.ts"
import type * as HttpLimits from "../HttpLimits.ts"
import * as Addresses from "./Addresses.ts"
import type * as Exchange from "./Exchange.ts"
import * as Marks from "./Marks.ts"
import * as Outbox from "./Outbox.ts"

/** Bytes of further requests that may wait for their turn. */
const waitingBytes = 64 * 1024

/** How long a client may take to close a connection that we have ended, and is read on meanwhile: a reset would lose the answer. */
const lingerMillis = 1000

export interface Options<Connection> {
  readonly limits: HttpLimits.Limits
  readonly maxFields: number
  readonly marks: Marks.Marks
  /** Takes each request. */
  readonly handle: (exchange: Http1Exchange, connection: Connection) => void
  /** The client is at fault. */
  readonly abused: (connection: Connection, abuse: HttpExchange.Abuse) => void
  /** Whether the addresses of a client are to be known once it has left, as for a log. Default: they are. */
  readonly remembers?: (() => boolean) | undefined
}

export class Http1Server<Connection extends Splice.Side> implements HttpExchange.Served {
  readonly connection: Connection
  readonly outbox: Outbox.Outbox
  readonly #options: Options<Connection>
  readonly #decoder: Decoder.Decoder<Head.Request>
  #current: Http1Exchange | undefined
  #pumping = false
  /** No more requests after the one at hand. */
  #last: boolean
  /** Nothing is read as a request any more. */
  #over = false
  #stall: StallDetector.StallDetector | undefined
  /** When the last request was over, or the first byte of a head came. */
  #since = performance.now()
  #tunnel = false
  /** So much waits for its turn that nothing more is read. */
  #held = false
  /** The client has ended its side of a tunnel. What it has sent before may still wait here. */
  #clientEnded = false

  constructor(connection: Connection, options: Options<Connection>, last: boolean) {
    this.connection = connection
    this.#options = options
    this.#last = last
    this.outbox = new Outbox.Outbox(connection.socket, () => {
      this.#current?.client?.drained()
      this.pump()
    })
    this.#decoder = Decoder.requests({ maxHeadBytes: options.limits.maxHeaderBytes, maxFields: options.maxFields })
    const { socket } = connection
    if (options.remembers?.() !== false) Addresses.of(socket)
    socket.on("data", (bytes: Buffer) => this.#received(bytes))
    socket.on("end", () => this.#ended())
    socket.once("close", () => this.#closed())
  }

  /** The next answer is the last one, and says so. */
  announce(): void {
    this.#last = true
  }

  /** No more requests. It ends once the one at hand is over. */
  retire(): void {
    this.#last = true
    if (this.#current === undefined && !this.#over) this.#end()
  }

  sweep(now: number): boolean {
    const { limits } = this.#options
    const { socket } = this.connection
    if (socket.writableLength > 0) {
      this.#stall ??= StallDetector.make(socket)
      if (this.#stall.millis(now) > limits.stallMillis) {
        this.#options.abused(this.connection, "slow_reader")
        this.connection.reset()
      }
    }
    if (this.#over || this.#current !== undefined || !this.outbox.hasRoom()) return false
    if (this.#decoder.waiting === 0) return now - this.#since > limits.idleMillis
    if (now - this.#since > limits.headersMillis) {
      this.#options.abused(this.connection, "slow_headers")
      this.refuse(408)
    }
    return false
  }

  /** Answers with a status that needs no explanation, and ends the connection. */
  refuse(status: number, isSilent = false): void {
    const reason = STATUS_CODES[status] ?? ""
    const body = isSilent ? "" : reason
    this.outbox.add(
      `HTTP/1.1 ${status} ${reason}\r\ncontent-length: ${body.length}\r\n${
        isSilent ? "" : "content-type: text/plain\r\n"
      }${Marks.own(this.#options.marks)}connection: close\r\n\r\n${body}`
    )
    this.#end()
  }

  /** Both sides of the exchange are over, or its answer is before its request. */
  finished(exchange: Http1Exchange): void {
    if (exchange !== this.#current) return
    this.outbox.flush()
    if (this.#tunnel || !exchange.isWhole || exchange.closes || this.#last) return this.#end()
    if (!exchange.received) return // its end is still to be taken, and comes back here
    this.#current = undefined
    this.#since = performance.now()
    if (this.connection.socket.isPaused()) this.connection.socket.resume()
    this.pump()
  }

  /** Reads on, as far as the exchange takes it. */
  pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#step()) continue
    this.#pumping = false
    if (this.#over) return
    if (this.#decoder.waiting > waitingBytes) {
      this.#held = true
      this.connection.socket.pause()
    } else if (this.#held) {
      this.#held = false
      if (this.#current?.isPaused !== true) this.connection.socket.resume()
    }
  }

  tunnel(): void {
    this.#tunnel = true
    this.#decoder.tunnel()
  }

  get last(): boolean {
    return this.#last
  }

  #received(bytes: Buffer): void {
    if (this.#over) return
    if (this.#decoder.waiting === 0 && this.#current === undefined) this.#since = performance.now()
    this.#decoder.feed(bytes)
    this.pump()
  }

  /** Whether there may be more to take. */
  #step(): boolean {
    if (this.#over) return false
    const current = this.#current
    // A client that does not read its answers gets no more of them.
    if (current === undefined ? !this.outbox.hasRoom() : !current.takes) return false
    const event = this.#decoder.next()
    if (event === undefined) {
      if (this.#clientEnded) current?.whole()
      return false
    }
    switch (event._tag) {
      case "Head": {
        const exchange = new Http1Exchange(this, event.head, this.connection.socket)
        this.#current = exchange
        this.#options.handle(exchange, this.connection)
        return true
      }
      case "Data":
        current?.client?.data(event.bytes)
        return true
      case "End":
        current?.whole()
        return true
      case "Fault":
        this.#fail(event)
        return false
    }
  }

  #fail(fault: Fields.Fault): void {
    const current = this.#current
    this.#options.abused(this.connection, fault.status === 431 ? "headers_too_large" : "malformed")
    if (current === undefined) return this.refuse(fault.status, fault.isSilent)
    this.#current = undefined
    const answered = current.answered
    current.lost()
    if (answered) this.connection.reset()
    else this.refuse(fault.status)
  }

  /** Sends what waits, ends, and reads on without a look until the client has ended as well. */
  #end(): void {
    this.#over = true
    this.#current = undefined
    const { socket } = this.connection
    this.outbox.flush()
    if (socket.destroyed) return
    const timer = setTimeout(() => socket.destroySoon(), lingerMillis)
    socket.once("close", () => clearTimeout(timer))
    socket.end()
    socket.resume()
    if (socket.readableEnded) socket.destroySoon()
  }

  #ended(): void {
    const { socket } = this.connection
    if (this.#over) return socket.destroySoon()
    const current = this.#current
    if (this.#tunnel && current !== undefined) {
      this.#clientEnded = true
      return this.pump()
    }
    if (current === undefined && this.#decoder.waiting === 0) return this.#leave()
    // A client that ends its side has left, as Envoy sees it: nobody knows whether it still listens.
    this.#over = true
    current?.lost()
    this.connection.reset()
  }

  /** Both have said all that they had to say. */
  #leave(): void {
    const { isPlain, socket } = this.connection
    if (isPlain === true && socket.writableLength === 0) socket.destroy()
    else socket.end()
  }

  #closed(): void {
    this.#over = true
    const current = this.#current
    this.#current = undefined
    current?.lost()
  }
}

export class Http1Exchange implements Exchange.ServerExchange {
  readonly version = "1.1"
  readonly request: Head.Request
  client: Exchange.Client | undefined
  /** The request is whole. */
  received = false
  /** The head of the answer was written. */
  answered = false
  /** The connection ends with the answer. */
  closes = false
  readonly #server: Server
  readonly #socket: Splice.Stream
  #paused = false
  /** The answer is whole, or nobody waits for it. */
  #over = false
  #chunked = false
  readonly #asksUpgrade: boolean

  constructor(server: Server, request: Head.Request, socket: Splice.Stream) {
    this.#server = server
    this.#socket = socket
    this.request = request
    const { fields } = request
    const connection = fields.indexOf("connection")
    const options = connection < 0 ? "" : fields.value(connection).toLowerCase()
    this.closes = isOption(options, "close") || saysClose(fields, "proxy-connection")
    const upgrade = isOption(options, "upgrade") ? fields.indexOf("upgrade") : -1
    this.#asksUpgrade = upgrade >= 0 && fields.value(upgrade).toLowerCase() !== "h2c"
  }

  get remote(): string {
    return Addresses.of(this.#socket).remote
  }

  get local(): string {
    return Addresses.of(this.#socket).local
  }

  get isPaused(): boolean {
    return this.#paused
  }

  get isGone(): boolean {
    return this.#over
  }

  /** Whether nothing of the request is still to come. */
  get isWhole(): boolean {
    const { framing } = this.request
    return this.received || (framing._tag === "Length" && framing.bytes === 0)
  }

  /** Whether the body may be read on. */
  get takes(): boolean {
    return this.client !== undefined && !this.received && !this.#paused
  }

  listen(client: Exchange.Client): void {
    if (this.#over) return client.gone()
    this.client = client
    this.#server.pump()
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
    this.#server.pump()
  }

  /** The whole request has come. */
  whole(): void {
    this.received = true
    this.client?.end(undefined)
    if (this.#over) this.#server.finished(this)
  }

  /** The client has left, or can not be understood any more. */
  lost(): void {
    if (this.#over) return
    this.#over = true
    this.client?.gone()
  }

  inform(status: number, lines: Lines.Lines | undefined): void {
    if (this.#over || this.answered) return
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`
    this.#server.outbox.add(`${head}${lines === undefined ? "" : Lines.text(lines)}\r\n`)
  }

  answer(head: Exchange.AnswerHead): void {
    if (this.#over) return
    if (this.client === undefined) this.listen(deaf)
    this.answered = true
    const opens = head.status === 101
    // Nobody waits for the rest of a request that is answered already, and what asked for an upgrade expects no HTTP.
    this.closes ||= head.closes === true || this.#server.last || !this.isWhole || (!opens && this.#asksUpgrade)
    this.#chunked = head.body === "streamed"
    this.#server.outbox.add(
      `HTTP/1.1 ${head.status} ${head.reason}\r\n${Lines.text(head)}${
        this.#chunked ? "transfer-encoding: chunked\r\n" : ""
      }${this.closes && !opens ? "connection: close\r\n" : ""}\r\n`
    )
    if (!opens) return
    this.received = false
    this.#server.tunnel()
    this.#server.pump()
  }

  write(bytes: Buffer): boolean {
    const { outbox } = this.#server
    if (this.#over || bytes.length === 0) return true // an empty chunk would be the last one
    if (this.#chunked) outbox.add(`${bytes.length.toString(16)}\r\n`)
    outbox.add(bytes)
    if (this.#chunked) outbox.add("\r\n")
    return outbox.hasRoom()
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    if (this.#chunked) this.#server.outbox.add("0\r\n\r\n")
    this.#server.finished(this)
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#server.outbox.flush()
    this.#server.connection.reset()
  }
}

/** Whether a value of `Connection`, in lower case, has this option. */
const isOption = (options: string, option: string): boolean =>
  options === option || (options.includes(option) && options.split(",").some((each) => each.trim() === option))

/** What clients of old proxies say instead. */
const saysClose = (fields: Fields.Fields, name: string): boolean => {
  const at = fields.indexOf(name)
  return at >= 0 && isOption(fields.value(at).toLowerCase(), "close")
}

/** For a request that is answered unread. */
const deaf: Exchange.Client = { data: () => {}, end: () => {}, drained: () => {}, gone: () => {} }

/** What an exchange needs of its connection. */
type Server = Pick<Http1Server<Splice.Side>, "connection" | "finished" | "last" | "outbox" | "pump" | "tunnel">
