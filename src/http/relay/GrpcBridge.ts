/**
 * gRPC for clients that speak HTTP/1.1, as Envoy bridges it: what a call ends with is in trailers, which they would not get. So the
 * answer is held back until its trailers are there, and these become headers; a call that has failed is a 503.
 *
 * Answers without such trailers, and those that are too long to be held back, go out as they are.
 */
import type * as Fields from "../h1/Fields.ts"
import type * as Exchange from "./Exchange.ts"

const heldBytes = 1024 * 1024

export class GrpcBridge implements Exchange.ServerExchange {
  readonly version = "1.1"
  readonly request: Exchange.ServerExchange["request"]
  readonly #inner: Exchange.ServerExchange
  #head: Exchange.AnswerHead | undefined
  #held: Array<Buffer> = []
  #bytes = 0

  constructor(inner: Exchange.ServerExchange) {
    this.#inner = inner
    this.request = inner.request
  }

  get remote(): string {
    return this.#inner.remote
  }

  get local(): string {
    return this.#inner.local
  }

  get isGone(): boolean {
    return this.#inner.isGone
  }

  listen(client: Exchange.Client): void {
    this.#inner.listen(client)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  inform(status: number, lines: Parameters<Exchange.ServerExchange["inform"]>[1]): void {
    this.#inner.inform(status, lines)
  }

  answer(head: Exchange.AnswerHead): void {
    if (head.body === "none") return this.#inner.answer(head)
    this.#head = head
  }

  write(bytes: Buffer): boolean {
    if (this.#head === undefined) return this.#inner.write(bytes)
    this.#held.push(bytes)
    this.#bytes += bytes.length
    return this.#bytes <= heldBytes || this.#letGo()
  }

  end(trailers: Fields.Fields | undefined): void {
    const status = trailers?.indexOf("grpc-status") ?? -1
    if (this.#head !== undefined && trailers !== undefined && status >= 0) this.#bridge(this.#head, trailers, status)
    this.#letGo()
    this.#inner.end(undefined)
  }

  abort(): void {
    this.#head = undefined
    this.#held = []
    this.#inner.abort()
  }

  #bridge(head: Exchange.AnswerHead, trailers: Fields.Fields, status: number): void {
    const failed = trailers.value(status) !== "0"
    const message = trailers.indexOf("grpc-message")
    this.#head = {
      ...head,
      ...(failed ? { status: 503, reason: "Service Unavailable" } : {}),
      more: `${head.more}grpc-status: ${trailers.value(status)}\r\n${
        message < 0 ? "" : `grpc-message: ${trailers.value(message)}\r\n`
      }${head.body === "length" ? "" : `content-length: ${this.#bytes}\r\n`}`,
      body: "length"
    }
  }

  #letGo(): boolean {
    const head = this.#head
    if (head === undefined) return true
    this.#head = undefined
    this.#inner.answer(head)
    let hasRoom = true
    for (const bytes of this.#held) hasRoom = this.#inner.write(bytes)
    this.#held = []
    return hasRoom
  }
}
