/** A connection of the mesh that did not end in order. */
import { Schema } from "effect"

/**
 * The other side reset it, or policy cut it here. What was read before is no whole stream. Where nothing was read, it was
 * mostly refused: with TLS 1.3 a dialler hears of that no sooner.
 */
export class ConnectionCut extends Schema.TaggedError<ConnectionCut>()("ConnectionCut", {
  /** The service on the other side. */
  peer: Schema.String,
  /** Its address. */
  remote: Schema.String,
  /** Node's code, such as `ECONNRESET`, or `closed` where this side has cut it. */
  code: Schema.String,
  /** Bytes that had arrived, read or not. */
  received: Schema.Finite
}) {
  override readonly message = `the connection with ${this.peer} (${this.remote}) was cut: ${this.code}${
    this.received === 0 && this.code !== "closed"
      ? ". Nothing had arrived: it may have been refused. Look for an intention that allows it, and in the other side's log"
      : ` after ${this.received} bytes had arrived`
  }`
}
