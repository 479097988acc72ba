/** The body of a request on its way to an instance, which may not be there yet, and may not be the last one. */
import type * as Fields from "../h1/Fields.ts"
import type * as Exchange from "./Exchange.ts"

/** Of a body that may have to be sent again: as Envoy. */
export const replayBytes = 1024 * 1024

/** What a piece takes besides its bytes. */
const pieceBytes = 100

/** Of a body that waits for a connection. */
export const aheadBytes = 64 * 1024

export interface Owner {
  readonly heard: () => void
  /** The request is whole. */
  readonly whole: () => void
  readonly gone: () => void
  /** There is room for more of the answer. */
  readonly roomAtClient: () => void
}

export class RequestBody implements Exchange.Client {
  readonly #server: Exchange.ServerExchange
  readonly #owner: Owner
  readonly #keeps: number
  received = 0
  /** What it would take to keep all that has come. */
  #weight = 0
  isWhole = false
  #trailers: Fields.Fields | undefined
  #isHeard = false
  /** What has come. Kept while it waits for a connection, and as long as it may be sent again. */
  #kept: Array<Buffer> = []
  /** Some of it has gone out, and is not kept. */
  #isSpent = false
  #to: Exchange.Outbound | undefined

  /** The client waits for `100 Continue`, which comes from us: whatever the instance answers can be passed on. */
  #expects: boolean

  /** `keeps`: so many bytes are kept in case they have to be sent again. */
  constructor(server: Exchange.ServerExchange, owner: Owner, keeps: number) {
    const { fields } = server.request
    const expect = fields.indexOf("expect")
    this.#expects = expect >= 0 && fields.value(expect).toLowerCase() === "100-continue"
    this.#server = server
    this.#owner = owner
    this.#keeps = keeps
  }

  /** Whether all of it can be sent to another instance. */
  get canReplay(): boolean {
    return !this.#isSpent
  }

  /** From now on the client is heard. */
  listen(): void {
    if (this.#isHeard) return
    this.#isHeard = true
    this.#server.listen(this)
  }

  /** Sends the request, with what has come of it, and what still comes. */
  attach(outbound: Exchange.Outbound, head: Exchange.RequestHead): void {
    if (this.#expects) {
      this.#expects = false
      this.#server.inform(100, undefined)
    }
    outbound.send(head)
    if (head.body === "none") return this.listen()
    this.#to = outbound
    let hasRoom = true
    for (const bytes of this.#kept) hasRoom = outbound.write(bytes)
    if (this.#weight > this.#keeps) this.#forget()
    if (this.isWhole) return outbound.end(this.#trailers)
    if (!this.#isHeard) return this.listen()
    if (hasRoom) this.#server.resume()
  }

  /** The instance does not take it any more; perhaps another one will. */
  detach(): void {
    this.release()
    if (this.#isHeard && !this.isWhole) this.#server.pause()
  }

  /** Nobody takes it any more. */
  release(): void {
    this.#to = undefined
  }

  /** From now on pieces go to the instance that has agreed to speak something else. */
  tunnel(outbound: Exchange.Outbound): void {
    this.#to = outbound
    this.isWhole = false
    this.#isSpent = true
  }

  drained(): void {
    this.#owner.roomAtClient()
  }

  /** The instance takes more of it. */
  roomAtInstance(): void {
    if (this.#isHeard && !this.isWhole) this.#server.resume()
  }

  data(bytes: Buffer): void {
    this.received += bytes.length
    this.#weight += bytes.length + pieceBytes
    this.#owner.heard()
    const to = this.#to
    if (to === undefined || (this.#keeps > 0 && !this.#isSpent)) this.#keep(bytes, to === undefined)
    else this.#isSpent = true
    if (to !== undefined && !to.write(bytes)) this.#server.pause()
  }

  end(trailers: Fields.Fields | undefined): void {
    this.isWhole = true
    this.#trailers = trailers
    this.#owner.whole()
    this.#to?.end(trailers)
  }

  gone(): void {
    this.#owner.gone()
  }

  #keep(bytes: Buffer, waits: boolean): void {
    this.#kept.push(bytes)
    if (waits) {
      if (this.#weight > aheadBytes) this.#server.pause()
    } else if (this.#weight > this.#keeps) this.#forget()
  }

  #forget(): void {
    if (this.#kept.length > 0) this.#isSpent = true
    this.#kept = []
  }
}
