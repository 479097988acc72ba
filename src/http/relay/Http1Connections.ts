/**
 * The connections to an instance that speaks HTTP/1.1: those that wait for a request, the one last used first, and the
 * requests that wait for a connection. Each of these has one being made for it, as far as the limits of the service allow.
 */
import { Effect, Result } from "effect"
import type * as Splice from "../../net/Splice.ts"
import * as Turnover from "../../net/Turnover.ts"
import type * as Exchange from "./Exchange.ts"
import * as Http1Client from "./Http1Client.ts"
import * as Instance from "./Instance.ts"

const closes: Exchange.Failure = { _tag: "NotConnected", timedOut: false, why: "the proxy closes" }

export class Http1Connections implements Exchange.Connections, Http1Client.Owner {
  readonly version = "1.1"
  readonly remote: string
  readonly #options: Instance.Options
  readonly #open = new Turnover.TurnoverSet<Http1Client.Http1Client>()
  readonly #idle: Array<Http1Client.Http1Client> = []
  readonly #waiting = new Turnover.TurnoverSet<Instance.Waiting>()
  #opening = 0
  #closing = false
  #isDestroyed = false
  #emptied: (() => void) | undefined

  constructor(options: Instance.Options) {
    this.#options = options
    this.remote = options.remote
  }

  begin(attempt: Exchange.Attempt): Exchange.Waiting {
    if (this.#isDestroyed) {
      attempt.failed(closes)
      return Instance.served
    }
    const { circuit } = this.#options
    if (circuit.requests >= circuit.limits.maxConcurrentRequests) {
      attempt.failed({ _tag: "Overflow" })
      return Instance.served
    }
    const idle = this.#takeIdle()
    if (idle !== undefined) {
      circuit.requests++
      idle.take(attempt)
      return Instance.served
    }
    const isFull = circuit.connections >= circuit.limits.maxConnections
    if (circuit.pending >= circuit.limits.maxPendingRequests) {
      attempt.failed({ _tag: "Overflow" })
      return Instance.served
    }
    const waiting = new Instance.Waiting(this, attempt)
    this.#waiting.add(waiting)
    circuit.pending++
    circuit.requests++
    // An instance without any connection gets one whatever the limit: a request of it would wait for ever.
    if (!isFull || this.#open.size + this.#opening === 0) this.#connect()
    return waiting
  }

  forget(waiting: Instance.Waiting): void {
    if (this.#take(waiting)) this.ended()
  }

  ended(): void {
    this.#options.circuit.requests--
  }

  free(client: Http1Client.Http1Client): void {
    const next = this.#waiting.first()
    client.isOld ||= client.since > client.expires
    if (next !== undefined && !client.isOld) {
      this.#take(next)
      return client.take(next.attempt)
    }
    if (this.#closing || client.isOld) return client.retire()
    this.#idle.push(client)
  }

  over(client: Http1Client.Http1Client): void {
    if (!this.#open.delete(client)) return
    this.#options.circuit.connections--
    const at = this.#idle.indexOf(client)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#settle()
  }

  /** No request takes a connection that is open now, except those that have one. */
  renew(): void {
    for (const client of this.#open) client.isOld = true
    for (const client of [...this.#idle]) client.retire()
  }

  /** Ends connections that were not used for too long. `now` is `performance.now()`. */
  sweep(now: number): void {
    for (const client of [...this.#idle]) {
      if (now > client.expires || now - client.since > Math.min(this.#options.idleMillis, client.keptMillis)) {
        client.retire()
      }
    }
  }

  /** Takes no new requests, and waits for those at hand. */
  readonly close = Effect.callback<void>((resume) => {
    this.#closing = true
    this.#emptied = () => resume(Effect.void)
    for (const client of [...this.#idle]) client.retire()
    this.#settle()
  })

  /** Fails the requests at hand. */
  readonly destroy = Effect.sync(() => {
    this.#closing = true
    this.#isDestroyed = true
    for (const client of [...this.#open]) client.side.reset()
    for (const waiting of [...this.#waiting]) {
      this.forget(waiting)
      waiting.attempt.failed(closes)
    }
  })

  /** It waits no more. */
  #take(waiting: Instance.Waiting): boolean {
    const isWaiting = this.#waiting.delete(waiting)
    if (isWaiting) this.#options.circuit.pending--
    return isWaiting
  }

  #takeIdle(): Http1Client.Http1Client | undefined {
    for (;;) {
      const client = this.#idle.pop()
      if (client === undefined) return undefined
      const { socket } = client.side
      const now = performance.now()
      const stays = now < client.expires && now - client.since < client.keptMillis
      if (!socket.destroyed && socket.writable && stays) return client
      client.retire()
    }
  }

  #connect(): void {
    const { circuit, open, run } = this.#options
    this.#opening++
    circuit.connections++
    run(Effect.map(Effect.result(open), (opened) => {
      this.#opening--
      if (Result.isSuccess(opened)) return this.#connected(opened.success)
      circuit.connections--
      this.#failFirst({ _tag: "NotConnected", ...opened.failure })
      this.#settle()
    }))
  }

  #connected(side: Splice.Side): void {
    if (side.socket.destroyed) {
      this.#options.circuit.connections--
      this.#failFirst({ _tag: "Reset", why: "connection" })
      return this.#settle()
    }
    const client = new Http1Client.Http1Client(side, this, this.#options.isAcrossMesh)
    client.expires = Instance.expiry(this.#options)
    this.#open.add(client)
    this.free(client)
  }

  #failFirst(failure: Exchange.Failure): void {
    const first = this.#waiting.first()
    if (first === undefined) return
    this.forget(first)
    first.attempt.failed(failure)
  }

  /** A connection is gone: there may be room for another one, or none is left. */
  #settle(): void {
    if (this.#waiting.size > this.#opening) this.#connect()
    if (this.#closing && this.#open.size === 0 && this.#opening === 0) this.#emptied?.()
  }
}
