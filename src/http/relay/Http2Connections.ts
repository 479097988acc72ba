/**
 * The connections to an instance that speaks HTTP/2. One carries all requests, until the instance allows no more at a time; then
 * another one is made, as far as the limits of the service allow. One that is to end takes no new requests, and the next request
 * makes another one.
 */
import { Effect, Result } from "effect"
import type * as Splice from "../../net/Splice.ts"
import * as Turnover from "../../net/Turnover.ts"
import type * as Exchange from "./Exchange.ts"
import * as Http2Client from "./Http2Client.ts"
import * as Instance from "./Instance.ts"

const closes: Exchange.Failure = { _tag: "NotConnected", timedOut: false, why: "the proxy closes" }

export class Http2Connections implements Exchange.Connections, Http2Client.Owner {
  readonly version = "2"
  readonly remote: string
  readonly #options: Instance.Options
  /** When each is too old for new requests, as `performance.now()`. */
  readonly #clients = new Turnover.TurnoverMap<Http2Client.Http2Client, number>()
  readonly #waiting = new Turnover.TurnoverSet<Instance.Waiting>()
  #opening = 0
  #closing = false
  #emptied: (() => void) | undefined

  constructor(options: Instance.Options) {
    this.#options = options
    this.remote = options.remote
  }

  begin(attempt: Exchange.Attempt): Exchange.Waiting {
    const { circuit } = this.#options
    if (this.#closing) {
      attempt.failed(closes)
      return Instance.served
    }
    this.#retireOld()
    const client = this.#roomy()
    if (client !== undefined) {
      this.#assign(client, attempt)
      return Instance.served
    }
    if (circuit.pending >= circuit.limits.maxPendingRequests) {
      attempt.failed({ _tag: "Overflow" })
      return Instance.served
    }
    const waiting = new Instance.Waiting(this, attempt)
    this.#waiting.add(waiting)
    circuit.pending++
    this.#grow()
    return waiting
  }

  /** Nobody wants it any more. */
  forget(waiting: Instance.Waiting): void {
    if (!this.#waiting.has(waiting)) return
    this.#remove(waiting)
    this.#settle()
  }

  counted(change: 1 | -1): void {
    this.#options.circuit.requests += change
  }

  free(client: Http2Client.Http2Client): void {
    if (this.#waiting.size > 0) this.#pump()
    if (this.#closing && this.#waiting.size === 0 && client.active === 0) client.retire()
  }

  over(client: Http2Client.Http2Client): void {
    if (!this.#clients.delete(client)) return
    this.#options.circuit.connections--
    this.#pump()
    this.#settle()
  }

  /** No request takes a connection that is open now, except those that have one. */
  renew(): void {
    for (const client of [...this.#clients.keys()]) client.retire()
  }

  /** Ends connections that were not used for too long. `now` is `performance.now()`. */
  sweep(now: number): void {
    for (const client of this.#clients.keys()) {
      if (client.active === 0 && now - client.since > this.#options.idleMillis) client.retire()
    }
  }

  /** Takes no new requests, and waits for those at hand. */
  readonly close = Effect.callback<void>((resume) => {
    this.#closing = true
    this.#emptied = () => resume(Effect.void)
    if (this.#waiting.size === 0) this.#retireIdle()
    this.#settle()
  })

  /** Fails the requests at hand. */
  readonly destroy = Effect.sync(() => {
    this.#closing = true
    this.#failWaiting(closes)
    for (const { side } of this.#clients.keys()) side.reset()
  })

  #remove(waiting: Instance.Waiting): void {
    this.#waiting.delete(waiting)
    this.#options.circuit.pending--
  }

  /** One that takes another request. */
  #roomy(): Http2Client.Http2Client | undefined {
    for (const client of this.#clients.keys()) if (client.hasRoom) return client
    return undefined
  }

  #retireOld(): void {
    if (this.#options.maxAgeMillis === undefined) return
    const now = performance.now()
    for (const [client, expires] of this.#clients) if (now > expires) client.retire()
  }

  #assign(client: Http2Client.Http2Client, attempt: Exchange.Attempt): void {
    const { circuit } = this.#options
    if (circuit.requests >= circuit.limits.maxConcurrentRequests) attempt.failed({ _tag: "Overflow" })
    else client.take(attempt)
  }

  /** Serves those who wait, as far as there is room, and makes more of it. */
  #pump(): void {
    for (const waiting of this.#waiting) {
      const client = this.#roomy()
      if (client === undefined) break
      this.#remove(waiting)
      this.#assign(client, waiting.attempt)
    }
    this.#grow()
  }

  /** One connection at a time: those who wait mostly fit on one. */
  #grow(): void {
    if (this.#waiting.size === 0 || this.#opening > 0 || this.#isSettling) return
    const { circuit, open, run } = this.#options
    // An instance without any connection gets one whatever the limit: a request of it would wait for ever.
    if (circuit.connections >= circuit.limits.maxConnections && this.#clients.size > 0) return
    this.#opening++
    circuit.connections++
    run(Effect.map(Effect.result(open), (opened) => {
      this.#opening--
      if (Result.isSuccess(opened)) this.#connected(opened.success)
      else this.#failed({ _tag: "NotConnected", ...opened.failure })
    }))
  }

  /** Whether one will take more requests soon. */
  get #isSettling(): boolean {
    for (const client of this.#clients.keys()) if (!client.isSettled && client.isOpen) return true
    return false
  }

  #connected(side: Splice.Side): void {
    if (side.socket.destroyed) return this.#failed({ _tag: "Reset", why: "connection" })
    if (this.#closing && this.#waiting.size === 0) {
      side.reset()
      this.#options.circuit.connections--
      return this.#settle()
    }
    this.#clients.set(new Http2Client.Http2Client(side, this), Instance.expiry(this.#options))
    this.#pump()
  }

  #failed(failure: Exchange.Failure): void {
    this.#options.circuit.connections--
    this.#failWaiting(failure)
    this.#settle()
  }

  #failWaiting(failure: Exchange.Failure): void {
    for (const waiting of [...this.#waiting]) {
      if (!this.#waiting.has(waiting)) continue
      this.#remove(waiting)
      waiting.attempt.failed(failure)
    }
  }

  #retireIdle(): void {
    for (const client of this.#clients.keys()) if (client.active === 0) client.retire()
  }

  #settle(): void {
    if (!this.#closing || this.#waiting.size > 0) return
    this.#retireIdle()
    if (this.#clients.size === 0 && this.#opening === 0) this.#emptied?.()
  }
}
