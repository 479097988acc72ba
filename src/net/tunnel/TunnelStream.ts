/**
 * A connection inside a tunnel. It behaves as a socket does: half-open, with backpressure, and what is destroyed before both
 * directions have ended is a cut that the other side notices.
 *
 *     write ─▶ waits for credit of the peer and for room in the tunnel ─▶ frames
 *     frames ─▶ read: what was taken gives the peer credit for more
 *
 * Memory: what one side may have sent and the other has not read is at most the window, which grows while the reader keeps up and
 * the tunnel has some to give.
 */
import { Duplex } from "node:stream"
import { Schema } from "effect"
import * as Frame from "./Frame.ts"
import type * as Splice from "../Splice.ts"

/** The other side has cut the stream, or the tunnel beneath it has ended. What was read is no whole stream. */
export class StreamCut extends Schema.TaggedError<StreamCut>()("StreamCut", {
  reason: Schema.Literals(["failed", "denied", "limit", "refused", "draining", "tunnel"])
}) {
  readonly code = "ECONNRESET"
  override readonly message = `the connection was cut${texts[this.reason]}`
}

const texts = {
  failed: "",
  denied: ": its intentions do not allow it",
  limit: ": there are too many",
  refused: ": it was refused before anything was read",
  draining: ": the other side is about to end",
  tunnel: ": the tunnel that carried it has ended"
}

const made = new Map<StreamCut["reason"], StreamCut>()

/** Thousands may be cut at once, and each new error costs more than all else of it. */
const cutFor = (reason: StreamCut["reason"]): StreamCut => {
  const known = made.get(reason)
  if (known !== undefined) return known
  const error = new StreamCut({ reason })
  made.set(reason, error)
  return error
}

/** Whether the peer has looked at nothing of a stream, and it may be opened elsewhere as if it had never been. */
export const wasUnseen = (error: unknown): error is StreamCut =>
  error instanceof StreamCut && ["limit", "refused", "draining"].includes(error.reason)

/** The tunnel that carries it. */
export interface Carrier {
  readonly socket: Splice.Stream
  /** The stream has something to send: `send` is called when it is its turn. */
  readonly offers: (stream: TunnelStream) => void
  /** Sends a frame of data. */
  readonly data: (id: number, bytes: Buffer) => void
  /** Sends any other frame. */
  readonly control: (frame: Buffer) => void
  /** How much of so many bytes a window may grow by. */
  readonly grant: (bytes: number) => number
  /** The stream is no more, and had this window. `reason`: the peer is to be told that it was cut. */
  readonly closed: (stream: TunnelStream, window: number, reason: Frame.Reason | undefined) => void
}

/** How far a window grows. */
export const maxWindow = 1024 * 1024

export class TunnelStream extends Duplex {
  readonly id: number
  /** What it carries, as ALPN names it. Empty: any bytes. */
  readonly protocol: string
  bytesRead = 0
  bytesWritten = 0
  readonly #tunnel: Carrier
  /** What may be sent now. */
  #credit: number
  /** What the peer may send until it gets more credit, and what that is where nothing is read. */
  #granted: number
  #window: number
  /** What the peer has sent and got no credit for yet, and what its frames have cost beyond that. */
  #owed = 0
  #overhead = 0
  /** What waits to be sent, how much of it has gone, and whom to tell. */
  #waiting: Buffer | undefined
  #taken = 0
  #written: ((error?: Error) => void) | undefined
  /** The end of the stream waits to be sent. */
  #ending: ((error?: Error) => void) | undefined
  #sentEnd = false
  #receivedEnd = false
  #reason: Frame.Reason = "failed"
  /** The peer has cut it, and knows. */
  #isCut = false

  constructor(tunnel: Carrier, id: number, protocol: string, window: number) {
    super({ allowHalfOpen: true })
    this.#tunnel = tunnel
    this.id = id
    this.protocol = protocol
    this.#credit = window
    this.#granted = window
    this.#window = window
  }

  /** Those of the connection beneath it. */
  get remoteAddress(): string | undefined {
    return this.#tunnel.socket.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#tunnel.socket.remotePort
  }

  get localAddress(): string | undefined {
    return this.#tunnel.socket.localAddress
  }

  get localPort(): number | undefined {
    return this.#tunnel.socket.localPort
  }

  /** Nothing is to be sent any more in either direction. What has come may still wait to be read. */
  get isWhole(): boolean {
    return this.#sentEnd && this.#receivedEnd
  }

  /** As of a socket: ends, then closes once all has gone out. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", () => this.destroy())
  }

  /** Cuts it, and tells the other side why, after what was written and can go now. */
  cut(reason: Frame.Reason): void {
    if (this.destroyed) return
    this.send(maxWindow)
    this.#reason = reason
    this.destroy()
  }

  override _write(chunk: Buffer, _: BufferEncoding, written: (error?: Error | null) => void): void {
    if (chunk.length === 0) return written()
    this.bytesWritten += chunk.length
    this.#waiting = chunk
    this.#taken = 0
    this.#written = written
    this.#tunnel.offers(this)
  }

  override _final(written: (error?: Error | null) => void): void {
    this.#ending = written
    this.#tunnel.offers(this)
  }

  /** What was read is not told otherwise: `_read` is called once for each time that something comes. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    if (chunk !== null) this.#giveCredit()
    return chunk
  }

  override _read(): void {}

  override _destroy(error: Error | null, closed: (error?: Error | null) => void): void {
    this.#waiting = undefined
    this.#tunnel.closed(this, this.#window, this.isWhole || this.#isCut ? undefined : this.#reason)
    closed(error)
  }

  /** Puts frames of at most `room` bytes of data into the tunnel. True: it has more to send now. */
  send(room: number): boolean {
    let left = room
    while (this.#waiting !== undefined) {
      const chunk = this.#waiting
      const length = Math.min(chunk.length - this.#taken, this.#credit - Frame.cost(0), left, Frame.sentBytes)
      if (length <= 0) return left <= 0 && this.#credit > Frame.cost(0)
      this.#credit -= Frame.cost(length)
      left -= length
      const end = this.#taken + length
      this.#tunnel.data(this.id, this.#taken === 0 && end === chunk.length ? chunk : chunk.subarray(this.#taken, end))
      this.#taken = end
      if (end < chunk.length) continue
      this.#waiting = undefined
      this.#written?.()
    }
    const ending = this.#ending
    if (ending === undefined || this.#sentEnd) return false
    this.#sentEnd = true
    this.#tunnel.control(Frame.end(this.id))
    ending()
    return false
  }

  // What the peer sends

  /** A frame of data begins. False: the peer may not send it. */
  begins(length: number): boolean {
    const cost = Frame.cost(length)
    if (this.#receivedEnd || cost > this.#granted) return false
    this.#granted -= cost
    this.#overhead += cost - length
    return true
  }

  received(bytes: Buffer): void {
    this.bytesRead += bytes.length
    this.#owed += bytes.length
    // What is kept must not keep more than itself.
    const isKept = this.readableFlowing !== true || this.readableLength > 0
    this.push(isKept && bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes)
    this.#giveCredit()
  }

  credited(bytes: number): boolean {
    this.#credit += bytes
    if (this.#credit > 2 ** 31) return false
    if (this.#waiting !== undefined) this.#tunnel.offers(this)
    return true
  }

  receivedEnd(): boolean {
    if (this.#receivedEnd) return false
    this.#receivedEnd = true
    this.push(null)
    return true
  }

  /** The peer has cut it, or the tunnel is gone. What came whole before can still be read. */
  wasCut(reason: StreamCut["reason"]): void {
    this.#isCut = true
    const destroy = () => void this.destroy(cutFor(reason))
    if (this.#receivedEnd && !this.readableEnded && this.readableLength > 0) this.once("end", destroy)
    else destroy()
  }

  /** Credit for what was read, once that is worth a frame. A reader that keeps up gets a larger window. */
  #giveCredit(): void {
    if (this.#receivedEnd || this.destroyed) return
    const left = this.readableLength
    // What frames have cost is told apart no more: it is given back once nothing of them is left.
    const read = this.#owed - left + (left === 0 ? this.#overhead : 0)
    if (read < this.#window / 2) return
    const more = this.#window < maxWindow ? this.#tunnel.grant(this.#window) : 0
    this.#window += more
    this.#owed = left
    if (left === 0) this.#overhead = 0
    this.#granted += read + more
    this.#tunnel.control(Frame.credit(this.id, read + more))
  }
}
