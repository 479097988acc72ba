/**
 * What waits to be written to a socket, put together: a head and a short body are one write, and so one record of TLS. What is
 * not flushed by the end of the turn of the event loop is flushed then.
 *
 * Trap: what is full here need not be full for the socket, which tells of room only where it has refused some. Whoever is told
 * that there is no room is told when there is, by either of them.
 */
import type * as Splice from "../../net/Splice.ts"

/** Beyond it pieces are handed over as they are, instead of being copied into one. */
const copiedBytes = 16 * 1024

export class Outbox {
  readonly #socket: Splice.Stream
  readonly #drained: () => void
  #pieces: Array<string | Buffer> = []
  #bytes = 0
  #scheduled = false
  /** Somebody waits for room. */
  #awaited = false

  /** `drained`: there is room again. */
  constructor(socket: Splice.Stream, drained: () => void) {
    this.#socket = socket
    this.#drained = drained
    socket.on("drain", () => this.#tell())
  }

  /** A text has one character for each byte. */
  add(piece: string | Buffer): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(flush, this)
  }

  /** Whether more may be added. Where it may not, `drained` is called when it may. */
  hasRoom(): boolean {
    const socket = this.#socket
    const hasRoom = this.#bytes === 0
      ? !socket.writableNeedDrain
      : this.#bytes + socket.writableLength < socket.writableHighWaterMark
    this.#awaited ||= !hasRoom
    return hasRoom
  }

  flush(): void {
    this.#scheduled = false
    if (this.#bytes > 0) this.#write()
    if (this.#awaited && !this.#socket.writableNeedDrain) process.nextTick(tell, this)
  }

  /** There may be room. */
  tell(): void {
    if (this.#awaited && this.hasRoom()) this.#tell()
  }

  #tell(): void {
    this.#awaited = false
    this.#drained()
  }

  #write(): void {
    const socket = this.#socket
    const pieces = this.#pieces
    const bytes = this.#bytes
    this.#pieces = []
    this.#bytes = 0
    if (socket.destroyed || !socket.writable) return
    if (pieces.length === 1) write(socket, pieces[0]!)
    else if (bytes <= copiedBytes) socket.write(joined(pieces, bytes))
    else {
      socket.cork()
      for (const piece of pieces) write(socket, piece)
      socket.uncork()
    }
  }
}

const flush = (outbox: Outbox): void => outbox.flush()
const tell = (outbox: Outbox): void => outbox.tell()

const write = (socket: Splice.Stream, piece: string | Buffer): void =>
  void (typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(piece))

const joined = (pieces: ReadonlyArray<string | Buffer>, bytes: number): Buffer => {
  const whole = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const piece of pieces) {
    if (typeof piece === "string") at += whole.write(piece, at, "latin1")
    else at += piece.copy(whole, at)
  }
  return whole
}
