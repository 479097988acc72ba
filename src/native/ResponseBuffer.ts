/**
 * The answer to one request as undici delivers it: status and headers, then the body, which is kept until somebody reads it.
 *
 *     sent ─▶ head ─▶ handed over, a tick later ─▶ read whole, or as a stream ─▶ ended
 *
 * The tick lets a body that came with the head come in: most answers are whole when they are handed over, and then there
 * is no stream to set up and nothing to abort. Of a body that nobody reads `highWater` is kept; then the peer has to wait.
 */
import { Readable } from "node:stream"
import * as Undici from "@effect/platform-node/Undici"

/** Bytes. */
const highWater = 65_536

export class ResponseBuffer implements Undici.Dispatcher.DispatchHandler {
  status = 0
  headers: Undici.Dispatcher.ResponseData["headers"] = {}
  /** There is nothing left to wait for, or to abort. */
  ended = false
  readonly #handOver: (reply: ResponseBuffer) => void
  readonly #fail: (error: Error) => void
  readonly #waiting: Array<() => void> = []
  #controller: Undici.Dispatcher.DispatchController | undefined
  #chunks: Array<Buffer> = []
  #kept = 0
  #error: Error | undefined
  #stream: Readable | undefined

  /** Exactly one of both is called, once, and not while something else is going on. */
  constructor(handOver: (reply: ResponseBuffer) => void, fail: (error: Error) => void) {
    this.#handOver = handOver
    this.#fail = fail
  }

  /** Nobody wants it any more: the connection it comes on is closed, or the stream of it reset. */
  abort(): void {
    if (this.ended) return
    this.#error ??= new Undici.errors.RequestAbortedError()
    this.#controller?.abort(this.#error)
  }

  /** The whole body; undefined while it is not there, when `whenRead` calls back. Throws what ended it before its end. */
  bytes(): Buffer | undefined {
    if (this.#stream !== undefined) throw new TypeError("the body has been read as a stream")
    if (this.#error !== undefined) throw this.#error
    if (!this.ended) return undefined
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }

  whenRead(callback: () => void): void {
    this.#waiting.push(callback)
    this.#controller?.resume()
  }

  /** The body piece by piece, what is here first. To be destroyed by whoever leaves it unread. What is whole can be read again. */
  stream(): Readable {
    if (this.#stream !== undefined) return this.#stream
    if (this.ended && this.#error === undefined) return Readable.from(this.#chunks, { objectMode: false })
    this.#stream = new Readable({
      highWaterMark: highWater,
      read: () => this.#controller?.resume(),
      destroy: (error, callback) => {
        this.abort()
        callback(error)
      }
    })
    for (const chunk of this.#chunks) this.#stream.push(chunk)
    this.#chunks = []
    if (this.#error !== undefined) this.#stream.destroy(this.#error)
    return this.#stream
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#error !== undefined) controller.abort(this.#error)
  }

  onResponseStart(
    _controller: Undici.Dispatcher.DispatchController,
    status: number,
    headers: Undici.Dispatcher.ResponseData["headers"]
  ): void {
    if (status < 200) return
    this.status = status
    this.headers = headers
    process.nextTick(this.#handOver, this)
  }

  onResponseData(controller: Undici.Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream !== undefined) {
      if (!this.#stream.push(chunk)) controller.pause()
      return
    }
    this.#chunks.push(chunk)
    this.#kept += chunk.length
    if (this.#kept > highWater && this.#waiting.length === 0) controller.pause()
  }

  onResponseEnd(): void {
    this.ended = true
    this.#stream?.push(null)
    for (const callback of this.#waiting) process.nextTick(callback)
  }

  onResponseError(_controller: Undici.Dispatcher.DispatchController, error: Error): void {
    this.ended = true
    this.#error ??= error
    if (this.status === 0) return process.nextTick(this.#fail, error)
    this.#stream?.destroy(error)
    for (const callback of this.#waiting) process.nextTick(callback)
  }
}
