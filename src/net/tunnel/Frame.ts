/**
 * The frames of a tunnel as bytes: see docs/tunnel.md. Pure: bytes in, calls out.
 *
 *     type (1 byte) │ length of the payload (3) │ stream (4) │ payload
 *
 * Numbers are big-endian. A frame of data is handed on in the pieces that arrive; the others are short, and whole.
 */

/** Stable: they are on the wire. */
export const types = { data: 0, open: 1, end: 2, reset: 3, credit: 4, ping: 5, pong: 6, goAway: 7, hello: 8 } as const

/** Why a stream is cut; on the wire. Others than these are read as `failed`. */
export const reasons = { failed: 0, denied: 1, limit: 2, refused: 3, draining: 4 } as const

export type Reason = keyof typeof reasons

export const reasonOf = (code: number | undefined): Reason => {
  for (const [reason, known] of Object.entries(reasons)) if (known === code) return reason as Reason
  return "failed"
}

/** Bytes of a header. */
export const headerBytes = 8

/** Of a frame of data that we send: with its header it is one record of TLS. */
export const sentBytes = 16 * 1024 - headerBytes

/** Of a frame of data that we take. */
export const maxDataBytes = 64 * 1024

/** Of any other frame. */
const maxControlBytes = 256

/** What one side tells the other first: how it may be spoken to. */
export interface Hello {
  /** Streams at a time. */
  readonly maxStreams: number
}

/** Hears the frames of a peer. `stream` 0 is the tunnel itself. */
export interface Handler {
  readonly data: (stream: number, bytes: Buffer) => void
  /** A frame of data begins. */
  readonly begins: (stream: number, length: number) => void
  readonly open: (stream: number, protocol: string) => void
  readonly end: (stream: number) => void
  readonly reset: (stream: number, reason: Reason) => void
  readonly credit: (stream: number, bytes: number) => void
  readonly ping: (token: Buffer) => void
  readonly pong: () => void
  readonly goAway: () => void
  readonly hello: (hello: Hello) => void
  /** The peer does not speak this protocol. Nothing is read any more. */
  readonly fault: (why: string) => void
}

/** What a frame of data takes of the window of its stream: tiny frames cost more than their bytes. */
export const cost = (length: number): number => length + 64

export const writeHeader = (to: Buffer, at: number, type: number, length: number, stream: number): void => {
  to.writeUInt32BE((type << 24) | length, at)
  to.writeUInt32BE(stream, at + 4)
}

const frame = (type: number, stream: number, payload: number): Buffer => {
  const bytes = Buffer.allocUnsafe(headerBytes + payload)
  writeHeader(bytes, 0, type, payload, stream)
  return bytes
}

/** `protocol`: what the stream carries, as ALPN names it; empty: any bytes. */
export const open = (stream: number, protocol: string): Buffer => {
  const bytes = frame(types.open, stream, protocol.length)
  bytes.write(protocol, headerBytes, "latin1")
  return bytes
}

export const end = (stream: number): Buffer => frame(types.end, stream, 0)

export const reset = (stream: number, reason: Reason): Buffer => {
  const bytes = frame(types.reset, stream, 1)
  bytes[headerBytes] = reasons[reason]
  return bytes
}

export const credit = (stream: number, amount: number): Buffer => {
  const bytes = frame(types.credit, stream, 4)
  bytes.writeUInt32BE(amount, headerBytes)
  return bytes
}

const echo = (type: number) => (token: Buffer): Buffer => {
  const bytes = frame(type, 0, 8)
  token.copy(bytes, headerBytes)
  return bytes
}

/** `token` has 8 bytes. */
export const ping = echo(types.ping)
export const pong = echo(types.pong)

export const goAway = (): Buffer => frame(types.goAway, 0, 0)

export const hello = ({ maxStreams }: Hello): Buffer => {
  const bytes = frame(types.hello, 0, 4)
  bytes.writeUInt32BE(maxStreams, headerBytes)
  return bytes
}

/** How long the payload of a frame other than of data is. */
const lengths: Readonly<Record<number, readonly [least: number, most: number]>> = {
  [types.open]: [0, maxControlBytes],
  [types.end]: [0, 0],
  [types.reset]: [1, 1],
  [types.credit]: [4, 4],
  [types.ping]: [8, 8],
  [types.pong]: [8, 8],
  [types.goAway]: [0, maxControlBytes],
  [types.hello]: [4, maxControlBytes]
}

export class Reader {
  readonly #handler: Handler
  /** Of a header or a short frame that has not come whole. */
  #kept: Buffer = empty
  /** Of a frame of data: where the rest of it goes, and how long that is. */
  #stream = 0
  #left = 0
  #isOver = false

  constructor(handler: Handler) {
    this.#handler = handler
  }

  /** Nothing more is read, also of what `feed` was given. */
  stop(): void {
    this.#isOver = true
    this.#kept = empty
  }

  feed(bytes: Buffer): void {
    let from = bytes
    let at = 0
    if (this.#kept.length > 0) {
      from = Buffer.concat([this.#kept, bytes])
      this.#kept = empty
    }
    while (!this.#isOver) {
      if (this.#left > 0) {
        const end = Math.min(from.length, at + this.#left)
        if (end === at) return
        this.#left -= end - at
        this.#handler.data(this.#stream, at === 0 && end === from.length ? from : from.subarray(at, end))
        at = end
        continue
      }
      const next = this.#frame(from, at)
      if (next < 0) {
        if (at < from.length && !this.#isOver) this.#kept = from.subarray(at)
        return
      }
      at = next
    }
  }

  /** Takes a frame, or the header of one of data. Returns where it ends; -1: it is not whole, or wrong. */
  #frame(from: Buffer, at: number): number {
    if (from.length - at < headerBytes) return -1
    const type = from[at]!
    const length = from.readUIntBE(at + 1, 3)
    const stream = from.readUInt32BE(at + 4)
    const start = at + headerBytes
    if (type === types.data) {
      if (stream === 0) return this.#fault("data of no stream")
      if (length > maxDataBytes) return this.#fault(`a frame of ${length} bytes`)
      this.#stream = stream
      this.#left = length
      this.#handler.begins(stream, length)
      return start
    }
    const allowed = lengths[type]
    if (allowed === undefined) return this.#unknown(from, at, length)
    if (length < allowed[0] || length > allowed[1]) return this.#fault(`a frame of type ${type} has ${length} bytes`)
    const end = start + length
    if (from.length < end) return -1
    this.#control(type, stream, from.subarray(start, end))
    return end
  }

  /** Types that later versions add are read over, as long as they are short. */
  #unknown(from: Buffer, at: number, length: number): number {
    if (length > maxControlBytes) return this.#fault(`a frame of the unknown type ${from[at]} has ${length} bytes`)
    const end = at + headerBytes + length
    return from.length < end ? -1 : end
  }

  #control(type: number, stream: number, payload: Buffer): void {
    const handler = this.#handler
    if ((stream === 0) !== (type >= types.ping)) {
      this.#fault(`a frame of type ${type} for stream ${stream}`)
      return
    }
    switch (type) {
      case types.open:
        return handler.open(stream, payload.toString("latin1"))
      case types.end:
        return handler.end(stream)
      case types.reset:
        return handler.reset(stream, reasonOf(payload[0]))
      case types.credit:
        return handler.credit(stream, payload.readUInt32BE(0))
      case types.ping:
        return handler.ping(payload)
      case types.pong:
        return handler.pong()
      case types.goAway:
        return handler.goAway()
      case types.hello:
        return handler.hello({ maxStreams: payload.readUInt32BE(0) })
      default:
    }
  }

  #fault(why: string): -1 {
    this.stop()
    this.#handler.fault(why)
    return -1
  }
}

const empty = Buffer.alloc(0)
