/**
 * HTTP/1.1 messages out of the bytes of one connection: bytes are fed, events are taken. Nothing is read ahead of what was
 * taken, so that whoever takes events governs the flow. Bodies are parts of the bytes that were fed, never copies.
 *
 *     head ──▶ body by length, by chunks, or until the end ──▶ end ──▶ head …
 *       └────────────┴──▶ fault: nothing after it is understood
 */
import * as Fields from "./Fields.ts"
import * as Head from "./Head.ts"

export interface Limits {
  /** Of a head, and of trailers. */
  readonly maxHeadBytes: number
  readonly maxFields: number
}

export type Event<H> =
  | { readonly _tag: "Head"; readonly head: H }
  | { readonly _tag: "Data"; readonly bytes: Buffer }
  | { readonly _tag: "End"; readonly trailers: Fields.Fields | undefined }
  | Fields.Fault

type State =
  | { readonly _tag: "Head" }
  | { readonly _tag: "Length"; left: number }
  | { readonly _tag: "Size" }
  | { readonly _tag: "Chunk"; left: number }
  | { readonly _tag: "ChunkEnd" }
  | { readonly _tag: "Trailers" }
  | { readonly _tag: "UntilEnd" }
  | { readonly _tag: "Failed"; readonly fault: Fields.Fault }

/** Chunk extensions mean nothing to anybody, and are not sent on: a line of them is as short as this. */
const maxSizeLine = 256

/** Pieces that wait apart from each other, and how many bytes of them are put together. */
const maxPieces = 64
const maxJoined = 64 * 1024

/** What tells heads of requests from those of answers. */
export interface Kind<H> {
  readonly parse: (bytes: Buffer) => H | Fields.Fault
  /** Whether a head may begin like that, from a place on. */
  readonly mayBegin: (bytes: Buffer, at: number) => boolean
  readonly allowsEmptyLine: boolean
}

export class Decoder<H extends Head.Request | Head.Answer> {
  readonly #kind: Kind<H>
  readonly #limits: Limits
  #state: State = { _tag: "Head" }
  #bytes: Buffer = empty
  /** Where what was not taken yet begins. */
  #at = 0
  /** Pieces that came after `#bytes`. */
  #more: Array<Buffer> = []
  #moreBytes = 0
  #moreEndsLine = false
  /** How far `#bytes` has been searched for the end of a head. */
  #searched = 0
  #lines = 0
  /** Whether no empty line may stand before the next head, or none any more. */
  #skipped: boolean

  constructor(kind: Kind<H>, limits: Limits) {
    this.#kind = kind
    this.#limits = limits
    this.#skipped = !kind.allowsEmptyLine
  }

  feed(bytes: Buffer): void {
    if (this.#at === this.#bytes.length && this.#more.length === 0) {
      this.#bytes = bytes
      this.#at = 0
      this.#searched = 0
      return
    }
    this.#more.push(bytes)
    this.#moreBytes += bytes.length
    this.#moreEndsLine ||= bytes.includes(lineFeed)
    // A client that sends byte by byte must not cost an object for each of them.
    if (this.#more.length >= maxPieces && this.#moreBytes <= maxJoined) this.#join()
  }

  /** Undefined: more bytes are needed. */
  next(): Event<H> | undefined {
    const state = this.#state
    switch (state._tag) {
      case "Head":
        return this.#head()
      case "Length":
        return this.#counted(state, { _tag: "Head" })
      case "Size":
        return this.#size()
      case "Chunk":
        return this.#counted(state, { _tag: "ChunkEnd" })
      case "ChunkEnd":
        return this.#chunkEnd()
      case "Trailers":
        return this.#trailers()
      case "UntilEnd":
        return this.#data(Infinity)
      case "Failed":
        return state.fault
    }
  }

  /** The connection has ended. Undefined: between two messages. */
  end(): Event<H> | undefined {
    switch (this.#state._tag) {
      case "UntilEnd":
        this.#state = { _tag: "Head" }
        return { _tag: "End", trailers: undefined }
      case "Head":
        return this.left().length === 0 ? undefined : this.#fail(Fields.fault("the connection ended within a head"))
      case "Failed":
        return this.#state.fault
      default:
        return this.#fail(Fields.fault("the connection ended within a body"))
    }
  }

  /** From now on bytes are no messages any more: all of them are data, until the connection ends. */
  tunnel(): void {
    this.#state = { _tag: "UntilEnd" }
  }

  /** How many bytes were not taken. */
  get waiting(): number {
    return this.#bytes.length - this.#at + this.#moreBytes
  }

  /** What was not taken: after an upgrade, the first bytes of what follows. */
  left(): Buffer {
    this.#join()
    return this.#bytes.subarray(this.#at)
  }

  #head(): Event<H> | undefined {
    this.#skipEmptyLine()
    const bytes = this.#block()
    // Whoever speaks another protocol waits for an answer: it is not waited for the end of what is no head.
    if (bytes === undefined && !this.#kind.mayBegin(this.#bytes, this.#at)) {
      return this.#fail(Fields.fault("it does not begin as HTTP does"))
    }
    if (bytes === undefined || "_tag" in bytes) return bytes
    const head = this.#kind.parse(bytes)
    if (head._tag === "Fault") return this.#fail(head)
    this.#skipped = !this.#kind.allowsEmptyLine
    this.#state = head.framing._tag === "Length"
      ? { _tag: "Length", left: head.framing.bytes }
      : head.framing._tag === "Chunked"
      ? { _tag: "Size" }
      : { _tag: "UntilEnd" }
    return { _tag: "Head", head }
  }

  #counted(state: { left: number }, then: State): Event<H> | undefined {
    if (state.left > 0) {
      const data = this.#data(state.left)
      if (data?._tag === "Data") state.left -= data.bytes.length
      return data
    }
    this.#state = then
    return then._tag === "Head" ? { _tag: "End", trailers: undefined } : this.next()
  }

  #data(most: number): Event<H> | undefined {
    if (this.#at === this.#bytes.length) this.#nextPiece()
    const end = Math.min(this.#bytes.length, this.#at + most)
    if (end === this.#at) return undefined
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#take(end)
    return { _tag: "Data", bytes }
  }

  #size(): Event<H> | undefined {
    this.#join()
    const end = this.#bytes.indexOf("\n", this.#at, "latin1")
    if (end < 0) {
      return this.#bytes.length - this.#at > maxSizeLine
        ? this.#fail(Fields.fault("the size of a chunk is too long"))
        : undefined
    }
    const line = this.#bytes.toString("latin1", this.#at, end + 1)
    const parts = line.length > maxSizeLine ? null : sizeLine.exec(line)
    if (parts === null) return this.#fail(Fields.fault("the size of a chunk can not be understood"))
    const left = Number.parseInt(parts[1]!, 16)
    if (!Number.isSafeInteger(left)) return this.#fail(Fields.fault("a chunk is too large"))
    this.#take(end + 1)
    this.#state = left === 0 ? { _tag: "Trailers" } : { _tag: "Chunk", left }
    return this.next()
  }

  #chunkEnd(): Event<H> | undefined {
    this.#join()
    if (this.#bytes.length - this.#at < 2) {
      return this.#bytes.length > this.#at && this.#bytes[this.#at] !== carriageReturn ? this.#tooLong() : undefined
    }
    if (this.#bytes[this.#at] !== carriageReturn || this.#bytes[this.#at + 1] !== lineFeed) return this.#tooLong()
    this.#take(this.#at + 2)
    this.#state = { _tag: "Size" }
    return this.next()
  }

  #tooLong(): Event<H> {
    return this.#fail(Fields.fault("a chunk is longer than its size says"))
  }

  #trailers(): Event<H> | undefined {
    if (this.#bytes.length - this.#at < 2) this.#join()
    if (this.#bytes[this.#at] === carriageReturn && this.#bytes[this.#at + 1] === lineFeed) {
      this.#take(this.#at + 2)
      this.#state = { _tag: "Head" }
      return { _tag: "End", trailers: undefined }
    }
    const bytes = this.#block()
    if (bytes === undefined || "_tag" in bytes) return bytes
    const trailers = Fields.parse(bytes.toString("latin1"), 0, this.#limits.maxFields)
    if (trailers._tag === "Fault") return this.#fail(trailers)
    this.#state = { _tag: "Head" }
    return { _tag: "End", trailers }
  }

  /** Some clients end a body with a line that does not belong to it (RFC 9112, 2.2). */
  #skipEmptyLine(): void {
    if (this.#at === this.#bytes.length) this.#nextPiece()
    if (this.#skipped || this.#bytes[this.#at] !== carriageReturn) return
    this.#join()
    if (this.#bytes[this.#at + 1] !== lineFeed) return
    this.#take(this.#at + 2)
    this.#skipped = true
  }

  /** Up to an empty line, which is part of it. */
  #block(): Buffer | Fields.Fault | undefined {
    const { maxFields, maxHeadBytes } = this.#limits
    const size = this.#bytes.length - this.#at + this.#moreBytes
    // Only an end of line can end it: what comes in pieces is not put together for each of them.
    if (this.#moreEndsLine) this.#join()
    const end = this.#bytes.indexOf("\r\n\r\n", Math.max(this.#at, this.#searched - 3), "latin1")
    if (end >= 0 && end + 4 - this.#at <= maxHeadBytes) {
      const bytes = this.#bytes.subarray(this.#at, end + 4)
      this.#take(end + 4)
      return bytes
    }
    if (end >= 0 || size > maxHeadBytes) {
      return this.#fail(Fields.fault(`the head is longer than ${maxHeadBytes} bytes`, 431))
    }
    const lines = this.#newLines()
    if (lines === undefined) return this.#fail(Fields.fault("a line ends without a CR"))
    this.#lines += lines
    if (this.#lines > maxFields + 1) return this.#fail(Fields.fault(`there are more than ${maxFields} fields`, 431))
    return undefined
  }

  /** How many lines ended since it was looked last. Undefined: one without a CR. */
  #newLines(): number | undefined {
    let lines = 0
    let from = Math.max(this.#at, this.#searched)
    for (;;) {
      const end = this.#bytes.indexOf(lineFeed, from)
      if (end < 0) break
      if (end === this.#at || this.#bytes[end - 1] !== carriageReturn) return undefined
      lines++
      from = end + 1
    }
    this.#searched = this.#bytes.length
    return lines
  }

  #join(): void {
    if (this.#more.length === 0) return
    const left = this.#at
    this.#searched = Math.max(0, this.#searched - left)
    this.#bytes = left === this.#bytes.length && this.#more.length === 1
      ? this.#more[0]!
      : Buffer.concat([this.#bytes.subarray(left), ...this.#more])
    this.#at = 0
    this.#more = []
    this.#moreBytes = 0
    this.#moreEndsLine = false
  }

  #nextPiece(): void {
    const piece = this.#more.shift()
    if (piece === undefined) return
    this.#bytes = piece
    this.#at = 0
    this.#searched = 0
    this.#moreBytes -= piece.length
  }

  #take(end: number): void {
    this.#at = end
    this.#searched = end
    this.#lines = 0
  }

  #fail(fault: Fields.Fault): Fields.Fault {
    this.#state = { _tag: "Failed", fault }
    return fault
  }
}

export const requests = (limits: Limits): Decoder<Head.Request> =>
  new Decoder({
    parse: (bytes) => Head.request(bytes, limits.maxFields),
    mayBegin: Head.mayBeginRequest,
    allowsEmptyLine: true
  }, limits)

/** `to` is the method of the request that is answered next. */
export const answers = (limits: Limits, to: () => string): Decoder<Head.Answer> =>
  new Decoder({
    parse: (bytes) => Head.answer(bytes, to(), limits.maxFields),
    mayBegin: Head.mayBeginAnswer,
    allowsEmptyLine: false
  }, limits)

const empty = Buffer.alloc(0)
const carriageReturn = 13
const lineFeed = 10

/** A size has no sign, no space and no prefix. Extensions are read over where they are what RFC 9112, 7.1.1, says. */
const sizeLine =
  /^([0-9a-fA-F]{1,16})(?:;[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"[\x20!\x23-\x5b\x5d-\x7e]*"))?)*\r\n$/
