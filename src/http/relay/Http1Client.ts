/** HTTP/1.1 with an instance, on one connection: one request at a time, kept for the next one where both sides are whole. */
import type * as Splice from "../../net/Splice.ts"
import * as TunnelStream from "../../net/tunnel/TunnelStream.ts"
import * as Decoder from "../h1/Decoder.ts"
import type * as Fields from "../h1/Fields.ts"
import * as Framing from "../h1/Framing.ts"
import type * as Head from "../h1/Head.ts"
import * as Lines from "../h1/Lines.ts"
import type * as Exchange from "./Exchange.ts"
import * as Outbox from "./Outbox.ts"

/** Of an answer: as Envoy takes them. */
const limits: Decoder.Limits = { maxHeadBytes: 96 * 1024, maxFields: 100 }

/** Bytes that nobody asked for, on a connection without a request. */
const unasked = "bytes came before a request was sent"

/** Provisional answers to one request: nothing holds them back. */
const maxProvisional = 32

export interface Owner {
  /** An attempt is over. */
  readonly ended: () => void
  /** The connection waits for another request. */
  readonly free: (client: Http1Client) => void
  /** It is over: it was closed, or can not be used again. */
  readonly over: (client: Http1Client) => void
}

export class Http1Client implements Exchange.Outbound {
  readonly side: Splice.Side
  /** When it was last used, as `performance.now()` has it; how long it may wait for another request. */
  since = performance.now()
  /** What the instance says of how long it keeps the connection; Infinity: nothing. */
  keptMillis = Infinity
  /** It takes no other request, from now on or from a time on, as `performance.now()`. */
  isOld = false
  expires = Infinity
  readonly #owner: Owner
  #local: string | undefined
  readonly #decoder: Decoder.Decoder<Head.Answer>
  readonly #outbox: Outbox.Outbox
  #attempt: Exchange.Attempt | undefined
  #method = ""
  #pumping = false
  #paused = false
  #sent = false
  #chunked = false
  /** The head that counts has come; of a provisional one, only its end is still to come. */
  #answered = false
  #provisional = false
  #provisionals = 0
  /** The request asks for another protocol. */
  #upgrades = false
  #tunnel = false
  /** The instance has ended its side. What it has sent before may still wait here. */
  #peerEnded = false
  #mayStay = true
  /** It has carried a request before the one at hand. */
  #isKept = false
  #over = false
  readonly #isAcrossMesh: boolean

  constructor(side: Splice.Side, owner: Owner, isAcrossMesh = false) {
    this.side = side
    this.#isAcrossMesh = isAcrossMesh
    this.#owner = owner
    this.#outbox = new Outbox.Outbox(side.socket, () => this.#attempt?.drained())
    this.#decoder = Decoder.answers(limits, () => this.#method)
    const { socket } = side
    socket.on("data", (bytes: Buffer) => this.#received(bytes))
    socket.on("end", () => this.#ended())
    socket.once("close", () => this.#closed())
    socket.on("error", () => {}) // an "error" without a listener ends the process
  }

  get local(): string {
    return this.#local ??= Lines.address(this.side.socket.localAddress, this.side.socket.localPort)
  }

  /** Takes an attempt, which is told so at once. */
  take(attempt: Exchange.Attempt): void {
    this.#attempt = attempt
    this.#sent = false
    this.#answered = false
    this.#chunked = false
    this.#provisionals = 0
    this.#mayStay = true
    attempt.connected(this)
  }

  send(head: Exchange.RequestHead): void {
    if (this.#over) return
    this.#method = head.method
    this.#upgrades = head.upgrades
    this.#chunked = head.body === "streamed"
    const framing = this.#chunked ? "transfer-encoding: chunked\r\n" : saysNothing(head) ? "content-length: 0\r\n" : ""
    this.#outbox.add(`${head.method} ${head.target} HTTP/1.1\r\n${Lines.text(head)}${framing}\r\n`)
    if (head.body !== "none") return
    this.#sent = true
    this.#outbox.flush()
  }

  write(bytes: Buffer): boolean {
    if (this.#over || bytes.length === 0) return true // an empty chunk would be the last one
    if (this.#chunked) this.#outbox.add(`${bytes.length.toString(16)}\r\n`)
    this.#outbox.add(bytes)
    if (this.#chunked) this.#outbox.add("\r\n")
    return this.#outbox.hasRoom()
  }

  end(): void {
    if (this.#over) return
    if (this.#chunked && !this.#tunnel) this.#outbox.add("0\r\n\r\n")
    this.#outbox.flush()
    this.#sent = true
    if (this.#tunnel) this.side.socket.end()
  }

  pause(): void {
    this.#paused = true
    this.side.socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.side.socket.resume()
    this.#pump()
  }

  cancel(): void {
    if (this.#attempt === undefined) return
    this.#release()
    this.close()
  }

  /** For a connection that is not to be used again. */
  close(): void {
    if (this.#over) return
    this.#over = true
    this.#owner.over(this)
    if (this.#answered || this.#method !== "") this.side.reset()
    else this.side.socket.destroy()
  }

  /** Ends a connection that waits for a request, in order. */
  retire(): void {
    if (this.#over || this.#attempt !== undefined) return
    this.#over = true
    this.#owner.over(this)
    endInOrder(this.side.socket)
  }

  #received(bytes: Buffer): void {
    if (this.#over) return
    this.#decoder.feed(bytes)
    this.#pump()
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#step()) continue
    this.#pumping = false
  }

  #step(): boolean {
    if (this.#over || this.#paused) return false
    const attempt = this.#attempt
    if (attempt === undefined) {
      if (this.#decoder.waiting > 0) this.#fail({ _tag: "Malformed", why: unasked })
      else if (this.#peerEnded) this.#fail(cut)
      return false
    }
    const event = this.#decoder.next()
    if (event === undefined) {
      if (this.#peerEnded) this.#endedIn(attempt)
      return false
    }
    switch (event._tag) {
      case "Head":
        this.#head(event.head, attempt)
        return true
      case "Data":
        attempt.data(event.bytes)
        return true
      case "End":
        if (this.#provisional) this.#provisional = false
        else this.#whole(attempt)
        return true
      case "Fault":
        this.#fail({ _tag: "Malformed", why: event.why })
        return false
    }
  }

  #head(head: Head.Answer, attempt: Exchange.Attempt): void {
    this.#provisional = head.status < 200 && head.status !== 101
    if (this.#provisional) {
      if (++this.#provisionals > maxProvisional) {
        return this.#fail({ _tag: "Malformed", why: `there are more than ${maxProvisional} provisional answers` })
      }
      if (head.status !== 100) attempt.answered(head)
      return
    }
    // Whoever did not ask, or has not ended what it asked, would take what follows for something else than the instance.
    if (head.status === 101 && !(this.#upgrades && this.#sent)) {
      return this.#fail({ _tag: "Malformed", why: "the protocol is switched without having been asked to" })
    }
    this.#answered = true
    if (head.status === 101) {
      this.#tunnel = true
      this.#chunked = false
      this.#decoder.tunnel()
    }
    this.#mayStay = !this.#tunnel && stays(head)
    if (this.#mayStay) this.keptMillis = keptFor(head.fields)
    attempt.answered(head)
  }

  #whole(attempt: Exchange.Attempt): void {
    // What follows the answer is none to the next request.
    const reused = this.#mayStay && this.#sent && !this.#tunnel && !this.#peerEnded && this.#decoder.waiting === 0
    this.#release()
    this.#isKept = true
    this.since = performance.now()
    // First the answer goes on, then the connection takes another request.
    attempt.end(undefined)
    if (this.#over) return
    if (reused) return this.#owner.free(this)
    this.#over = true
    this.#owner.over(this)
    if (this.#sent) endInOrder(this.side.socket)
    else this.side.reset()
  }

  #fail(failure: Exchange.Failure): void {
    const attempt = this.#release()
    this.close()
    attempt?.failed(failure)
  }

  /** The attempt at hand is over, in one way or another. */
  #release(): Exchange.Attempt | undefined {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt !== undefined) this.#owner.ended()
    return attempt
  }

  /** Not before the client has room for what came before the end. */
  #ended(): void {
    this.#peerEnded = true
    this.#pump()
  }

  #endedIn(attempt: Exchange.Attempt): void {
    if (this.#decoder.end()?._tag === "End") return this.#endedWhole(attempt)
    const left = this.#decoder.left().toString("latin1", 0, protocol.length)
    this.#fail(this.#answered || protocol.startsWith(left) ? this.#lost() : noHttp)
  }

  /** Whether whoever is there had closed it already can not be told. */
  #lost(): Exchange.Failure {
    return this.#isKept && !this.#answered && this.#decoder.left().length === 0 ? keptCut : cut
  }

  /** An answer that lasts until the end of the connection, or a tunnel. */
  #endedWhole(attempt: Exchange.Attempt): void {
    this.#release()
    attempt.end(undefined)
    this.#over = true
    this.#owner.over(this)
    endInOrder(this.side.socket)
  }

  #closed(): void {
    if (this.#over || (this.#peerEnded && this.#paused)) return
    const { errored } = this.side.socket
    if (TunnelStream.wasUnseen(errored)) this.#fail({ _tag: "NotConnected", timedOut: false, why: errored.message })
    else this.#fail(this.#isAcrossMesh ? this.#lost() : cut)
  }
}

const cut: Exchange.Failure = { _tag: "Reset", why: "connection" }
const keptCut: Exchange.Failure = { _tag: "Reset", why: "connection", wasKept: true }
const noHttp: Exchange.Failure = { _tag: "Malformed", why: "the answer begins with no status line" }

/** How an answer begins. */
const protocol = "HTTP/1."

/** Whether a method that has bodies comes without one, and without a word about it (RFC 9110, 8.6). */
const saysNothing = ({ body, fields, method }: Exchange.RequestHead): boolean =>
  body === "none" && !bodiless.has(method) && fields.indexOf("content-length") < 0

const bodiless: ReadonlySet<string> = new Set(["CONNECT", "DELETE", "GET", "HEAD", "TRACE"])

/** Whether the connection may be used for another request. */
const stays = ({ fields, framing, minor }: Head.Answer): boolean => {
  if (framing._tag === "UntilEnd" && framing !== Framing.none) return false
  let options = ""
  for (let at = fields.indexOf("connection"); at >= 0; at = fields.indexOf("connection", at + 1)) {
    options += `${fields.value(at).toLowerCase()},`
  }
  return minor === 1 ? !options.includes("close") : options.includes("keep-alive") && !options.includes("close")
}

/** `Keep-Alive: timeout=5` says when the instance closes the connection: a request just then would be lost. */
const keptFor = (fields: Fields.Fields): number => {
  const kept = fields.indexOf("keep-alive")
  const seconds = kept < 0 ? undefined : /timeout=(\d{1,6})/i.exec(fields.value(kept))?.[1]
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) * 1000 - 1000)
}

/** What the other side still sends is read over, as the kernel would answer it with a reset. */
const endInOrder = (socket: Splice.Stream): void => {
  socket.end()
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), 1000)
  socket.once("close", () => clearTimeout(timer))
}
