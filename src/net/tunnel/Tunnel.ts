/**
 * Many connections in one TLS connection: see docs/tunnel.md. One side opens streams, the other one accepts them.
 *
 *     streams ─▶ frames of one turn of the event loop ─▶ one write
 *     reads ─▶ frames ─▶ streams
 *
 * Streams that have much to send take turns. What none of them may do is to stall another one: each has credit of its own, and the
 * tunnel is always read.
 */
import { randomBytes } from "node:crypto"
import type * as Splice from "../Splice.ts"
import * as TokenBucket from "../TokenBucket.ts"
import * as Turnover from "../Turnover.ts"
import * as Frame from "./Frame.ts"
import * as Slabs from "./Slabs.ts"
import * as TunnelStream from "./TunnelStream.ts"

/** How it is named in ALPN: its number changes with what older versions would not understand. */
export const protocol = "effect-mesh/1"

/** Of a stream at first, in both directions: part of the protocol. */
export const window = 64 * 1024

/** What streams of one tunnel may have beyond their first windows. */
const grantedBytes = 16 * 1024 * 1024

/** Frames wait for as many bytes to leave. */
const fullBytes = 256 * 1024

/** Of frames other than data, for a peer that does not read. */
const maxControlBytes = 1024 * 1024

/** Of data of one stream, before the next one has its turn. */
const turnBytes = 4 * Frame.sentBytes

/** Streams that the peer opens and cuts: so many at once, and a second. */
const cuts = { burst: 2000, rate: 500 }

export interface Options {
  /** Streams of the peer at a time. Only one side has any: the other one says 0. */
  readonly maxStreams: number
  /** The peer has opened a stream. */
  readonly opened: (stream: TunnelStream.TunnelStream) => void
  /** The last stream has closed. */
  readonly idle: () => void
  /** The peer takes no more streams. */
  readonly retired: () => void
}

export class Tunnel implements TunnelStream.Carrier {
  readonly socket: Splice.Stream
  readonly #side: Splice.Side
  readonly #options: Options
  readonly #streams = new Turnover.TurnoverMap<number, TunnelStream.TunnelStream>()
  readonly #reader: Frame.Reader
  /** Streams with something to send, in turns. */
  readonly #ready = new Turnover.TurnoverSet<TunnelStream.TunnelStream>()
  /** What goes out with the next write: headers and payloads. */
  #ids: Array<number> = []
  #pieces: Array<Buffer> = []
  #bytes = 0
  #controlBytes = 0
  #isScheduled = false
  /** Streams are asked for data. */
  #isServing = false
  #last = 0
  /** What the peer has said of itself. */
  #hello: Frame.Hello | undefined
  #granted = 0
  #isRetired = false
  #isOver = false
  readonly #cuts = new TokenBucket.TokenBucket(cuts, performance.now())
  /** When a byte of the peer came last, and when it was asked for one. */
  heardAt = performance.now()
  #askedAt: number | undefined
  /** Pings without an answer. */
  #asked = 0
  /** It has said that it takes no more streams, and still takes those that were on their way. */
  #isLeaving = false
  /** When it was ended. */
  #endedAt: number | undefined

  constructor(side: Splice.Side, options: Options) {
    this.socket = side.socket
    this.#side = side
    this.#options = options
    this.#reader = new Frame.Reader({
      begins: (id, length) => this.#begins(id, length),
      data: (id, bytes) => this.#streams.get(id)?.received(bytes),
      open: (id, name) => this.#opened(id, name),
      end: (id) => this.#of(id, (stream) => stream.receivedEnd()),
      reset: (id, reason) => this.#reset(id, reason),
      credit: (id, bytes) => this.#of(id, (stream) => stream.credited(bytes)),
      ping: (token) => this.control(Frame.pong(token)),
      pong: () => this.#answered(),
      goAway: () => this.#retire(),
      hello: (hello) => this.#greeted(hello),
      fault: () => this.destroy()
    })
    const { socket } = this
    socket.on("data", (bytes: Buffer) => this.#received(bytes))
    socket.on("drain", () => this.#flush())
    socket.on("error", () => {}) // "close" follows
    socket.once("end", () => this.#ended())
    socket.once("close", () => this.#closed())
    this.control(Frame.hello(options))
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size
  }

  /** Whether another stream can be opened. Before the peer has said how many it takes, some may. */
  get hasRoom(): boolean {
    return !this.#isRetired && !this.#isOver && this.#last < 2 ** 32 - 1 && this.size < (this.#hello?.maxStreams ?? 100)
  }

  /** A stream to the peer, at once: whether it is let in shows when it is read. */
  open(name: string): TunnelStream.TunnelStream {
    const id = ++this.#last
    const stream = this.#made(id, name)
    this.control(Frame.open(id, name))
    return stream
  }

  /**
   * No more streams: tells the peer so, and closes once the last one has. Those that the peer has opened before it heard of that are
   * served: its answer to a ping comes after them.
   */
  retire(): void {
    if (this.#isRetired || this.#isLeaving) return
    this.control(Frame.goAway())
    if (this.#options.maxStreams === 0) return this.#retire()
    this.#isLeaving = true
    this.#ask()
  }

  /** Cuts all streams. */
  destroy(): void {
    if (this.#isOver) return
    this.#side.reset()
    this.#closed()
  }

  /** A look now and then: a peer that is silent while streams are open is asked for a word, and cut if it has none. */
  sweep(now: number, silenceMillis: number): void {
    if (this.#endedAt !== undefined) {
      if (now - this.#endedAt >= silenceMillis) this.destroy()
    } else if (this.size === 0 || now - this.heardAt < silenceMillis) {
      this.#askedAt = undefined
    } else if (this.#askedAt === undefined || this.heardAt > this.#askedAt) {
      this.#askedAt = now
      this.#ask()
    } else if (now - this.#askedAt >= silenceMillis) this.destroy()
  }

  // For its streams

  offers(stream: TunnelStream.TunnelStream): void {
    this.#ready.add(stream)
    if (!this.#isServing) this.#schedule()
  }

  data(id: number, bytes: Buffer): void {
    this.#ids.push(id)
    this.#pieces.push(bytes)
    this.#bytes += Frame.headerBytes + bytes.length
  }

  control(frame: Buffer): void {
    if (this.#isOver) return
    this.#ids.push(0)
    this.#pieces.push(frame)
    this.#bytes += frame.length
    this.#controlBytes += frame.length
    this.#schedule()
  }

  grant(bytes: number): number {
    const given = Math.min(bytes, grantedBytes - this.#granted)
    this.#granted += given
    return given
  }

  closed(stream: TunnelStream.TunnelStream, taken: number, reason: Frame.Reason | undefined): void {
    this.#granted -= taken - window
    this.#ready.delete(stream)
    if (!this.#streams.delete(stream.id) || this.#isOver) return
    if (reason !== undefined) this.control(Frame.reset(stream.id, reason))
    if (this.size > 0) return
    if (this.#isRetired) this.#close()
    else this.#options.idle()
  }

  // What is sent

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return
    this.#isScheduled = true
    // Others that are read in this turn have their say in the same record. One alone need not wait for them.
    if (this.size > 1) setImmediate(flush, this)
    else process.nextTick(flush, this)
  }

  flush(): void {
    this.#isScheduled = false
    this.#flush()
  }

  #flush(): void {
    if (this.#isOver) return
    const { socket } = this
    do {
      this.#serve()
      if (this.#bytes === 0) return
      if (socket.writableNeedDrain) {
        if (this.#controlBytes > maxControlBytes) this.destroy()
        return
      }
      this.#write()
    } while (this.#ready.size > 0 && !socket.writableNeedDrain)
  }

  /** Streams take turns until the next write is full. */
  #serve(): void {
    this.#isServing = true
    for (const stream of this.#ready) {
      if (this.#bytes >= fullBytes) break
      this.#ready.delete(stream)
      if (stream.send(turnBytes)) this.#ready.add(stream)
    }
    this.#isServing = false
  }

  #write(): void {
    const ids = this.#ids
    const pieces = this.#pieces
    const slab = Slabs.take(this.#bytes)
    const whole = slab.subarray(0, this.#bytes)
    let at = 0
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!
      const id = ids[i]!
      if (id > 0) {
        Frame.writeHeader(whole, at, Frame.types.data, piece.length, id)
        at += Frame.headerBytes
      }
      at += piece.copy(whole, at)
    }
    this.#ids = []
    this.#pieces = []
    this.#bytes = 0
    this.#controlBytes = 0
    // One that failed may still be read by whatever failed.
    this.socket.write(whole, (error) => error ? undefined : Slabs.give(slab))
  }

  // What the peer sends

  #received(bytes: Buffer): void {
    this.heardAt = performance.now()
    this.#reader.feed(bytes)
  }

  #begins(id: number, length: number): void {
    this.#of(id, (stream) => stream.begins(length))
  }

  /** What is said of a stream that is no more was on its way. */
  #of(id: number, tell: (stream: TunnelStream.TunnelStream) => boolean): void {
    const stream = this.#streams.get(id)
    if (stream === undefined ? id > this.#last : !tell(stream)) this.destroy()
  }

  #opened(id: number, name: string): void {
    const { maxStreams, opened } = this.#options
    if (maxStreams === 0 || id <= this.#last) return this.destroy()
    this.#last = id
    if (this.#isRetired || this.size >= maxStreams) {
      this.#abused()
      return this.control(Frame.reset(id, this.#isRetired ? "draining" : "limit"))
    }
    opened(this.#made(id, name))
  }

  #made(id: number, name: string): TunnelStream.TunnelStream {
    const stream = new TunnelStream.TunnelStream(this, id, name, window)
    stream.on("error", () => {}) // an "error" that nobody listens to ends the process
    this.#streams.set(id, stream)
    return stream
  }

  #reset(id: number, reason: Frame.Reason): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      if (id > this.#last) this.destroy()
      return
    }
    stream.wasCut(reason)
    if (this.#options.maxStreams > 0) this.#abused()
  }

  /** Whoever opens streams only to cut them makes more work than it has. */
  #abused(): void {
    if (!this.#cuts.take(performance.now())) this.destroy()
  }

  #ask(): void {
    this.#asked++
    this.control(Frame.ping(randomBytes(8)))
  }

  #answered(): void {
    if (this.#asked > 0) this.#asked--
    if (this.#isLeaving && this.#asked === 0) this.#retire()
  }

  #greeted(hello: Frame.Hello): void {
    this.#hello ??= hello
  }

  #retire(): void {
    const isFirst = !this.#isRetired
    this.#isRetired = true
    if (isFirst) this.#options.retired()
    if (this.size === 0) this.#close()
  }

  /** In order. */
  #close(): void {
    if (this.#isOver || this.#endedAt !== undefined) return
    this.#endedAt = performance.now()
    this.#flush()
    this.socket.end()
  }

  #ended(): void {
    // Who ends a tunnel in order has closed its streams: those that have ended on both sides are only still to be read here.
    for (const [id, stream] of this.#streams) if (stream.isWhole) this.#streams.delete(id)
    if (this.size > 0) return this.destroy()
    this.socket.end()
    this.#closed()
  }

  #closed(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#reader.stop()
    this.#ready.clear()
    for (const [, stream] of this.#streams) stream.wasCut("tunnel")
    this.#streams.clear()
    if (!this.#isRetired) this.#options.retired()
    this.#isRetired = true
  }
}

const flush = (tunnel: Tunnel): void => tunnel.flush()
