/**
 * The body of a request that may be sent more than once. What is in memory is given again as it is. Of a stream what has been read
 * is kept, up to a bound: each attempt reads that first, and goes on where the one before it was.
 */
import { Readable } from "node:stream"
import type * as Undici from "@effect/platform-node/Undici"

type Body = Undici.Dispatcher.DispatchOptions["body"]

export interface ResentBody {
  /** For the next attempt, which takes the place of the one before. */
  readonly next: () => Body
  /** Whether another attempt would have the whole of it. */
  readonly isThere: () => boolean
  /** Whether all of it was known before the first attempt. */
  readonly isWhole: boolean
  /** There will be no other attempt: nothing is kept any longer. */
  readonly release: () => void
  /** The request is over. */
  readonly close: () => void
}

/** As Envoy's sidecars, by their buffers. */
const mostBytes = 1_048_576

/** For one attempt alone. */
export const once = (body: Body | undefined): ResentBody => ({
  ...inMemory(body ?? null, Infinity),
  isWhole: body === undefined || body === null || typeof body === "string" || ArrayBuffer.isView(body)
})

export const of = (body: Body | undefined): ResentBody => {
  if (body === undefined || body === null) return inMemory(null, 0)
  if (typeof body === "string") return inMemory(body, Buffer.byteLength(body))
  if (ArrayBuffer.isView(body)) return inMemory(body, body.byteLength)
  if (body instanceof Readable) return new KeptStream(body[Symbol.asyncIterator](), body)
  // `fetch` sends what it has this way, though undici's types do not tell.
  if (Symbol.asyncIterator in body) return new KeptStream((body as AsyncIterable<unknown>)[Symbol.asyncIterator]())
  return { ...inMemory(body, Infinity), isWhole: true }
}

const inMemory = (body: Body, size: number): ResentBody => ({
  next: () => body,
  isThere: () => size <= mostBytes,
  isWhole: true,
  release: () => {},
  close: () => {}
})

class KeptStream implements ResentBody {
  readonly isWhole = false
  readonly #source: AsyncIterator<unknown>
  readonly #stream: Readable | undefined
  #kept: Array<Buffer> = []
  /** How many pieces came before the first one that is kept. */
  #dropped = 0
  #size = 0
  #isKeeping = true
  #hasFailed = false
  #ended = false
  /** Attempts share what they wait for. */
  #reading: Promise<boolean> | undefined
  #readers = 0

  constructor(source: AsyncIterator<unknown>, stream?: Readable) {
    this.#source = source
    this.#stream = stream
    // It fails the attempt that reads it; nobody reads it yet, or between attempts.
    stream?.on("error", () => {})
  }

  next(): Readable {
    return Readable.from(this.#read(++this.#readers), { objectMode: false })
  }

  isThere(): boolean {
    return this.#isKeeping && !this.#hasFailed
  }

  release(): void {
    this.#isKeeping = false
  }

  close(): void {
    this.#readers++
    this.#kept = []
    if (this.#ended) return
    if (this.#stream !== undefined) this.#stream.destroy()
    else this.#source.return?.().then(() => {}, () => {})
  }

  async *#read(reader: number): AsyncGenerator<Buffer> {
    for (let i = 0;; i++) {
      if (i >= this.#dropped + this.#kept.length && !(await this.#more())) return
      if (reader !== this.#readers) return
      yield this.#take(i)
    }
  }

  #take(i: number): Buffer {
    const piece = this.#kept[i - this.#dropped]!
    if (!this.#isKeeping) {
      this.#kept.splice(0, i + 1 - this.#dropped)
      this.#dropped = i + 1
    }
    return piece
  }

  #more(): Promise<boolean> {
    this.#reading ??= this.#pull().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #pull(): Promise<boolean> {
    if (this.#ended) return false
    try {
      const { done, value } = await this.#source.next()
      if (done === true) {
        this.#ended = true
        return false
      }
      const piece = typeof value === "string" ? Buffer.from(value) : Buffer.from(value as Uint8Array)
      this.#kept.push(piece)
      this.#size += piece.length
      if (this.#size > mostBytes) this.#isKeeping = false
      return true
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }
}
