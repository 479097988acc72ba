/**
 * A socket that connects by itself, for drivers that want theirs at once and then call `connect`, as on a `net.Socket` of
 * their own: what is written before is sent once there is a connection. `connect` tells when there is one.
 */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import * as NodeAgents from "./NodeAgents.ts"

export class LateSocket extends Duplex {
  readonly #open: () => Promise<Socket>
  #socket: Socket | undefined

  constructor(open: () => Promise<Socket>) {
    super({ allowHalfOpen: false })
    this.#open = open
  }

  /** Wherever that is to: it is connecting already. */
  connect(): this {
    return this
  }

  setNoDelay(on?: boolean): this {
    this.#socket?.setNoDelay(on)
    return this
  }

  setKeepAlive(on?: boolean, initialDelay?: number): this {
    this.#socket?.setKeepAlive(on, initialDelay)
    return this
  }

  ref(): this {
    this.#socket?.ref()
    return this
  }

  unref(): this {
    this.#socket?.unref()
    return this
  }

  override _construct(callback: (error?: Error | null) => void): void {
    this.#open().then((socket) => {
      this.#socket = socket
      if (this.destroyed) return callback() // `_destroy` has waited for it
      socket.on("data", (chunk: Buffer) => {
        if (!this.push(chunk)) socket.pause()
      })
      socket.on("end", () => this.push(null))
      socket.on("error", (error) => this.destroy(error))
      socket.on("close", () => {
        if (!socket.readableEnded) this.destroy() // otherwise there may be something left to read
      })
      callback()
      this.emit("connect")
    }, callback)
  }

  override _read(): void {
    this.#socket?.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#socket?.write(chunk, encoding, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket === undefined || this.#socket.destroyed) callback()
    else this.#socket.end(callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null) NodeAgents.failAnswer(this, error)
    this.#socket?.destroy()
    callback(error)
  }
}
