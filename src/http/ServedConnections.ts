/** The connections of a server that are open, and when each is cut. Pure but for what it does to them. */
import type * as HttpExchange from "./HttpExchange.ts"
import type * as Splice from "../net/Splice.ts"
import * as Turnover from "../net/Turnover.ts"

interface Entry {
  /** Undefined until the client's version of HTTP is known. */
  served: HttpExchange.Served | undefined
  /** When it is cut. */
  due: number
}

/** How long a client may stay that was told to leave, for a fault or because it is idle. */
export const leaveGraceMillis = 1000

/** `now` is `performance.now()`. */
export class ServedConnections<Connection extends Splice.Side> {
  private readonly entries = new Turnover.TurnoverMap<Connection, Entry>()

  add(connection: Connection): void {
    this.entries.set(connection, { served: undefined, due: Infinity })
  }

  delete(connection: Connection): void {
    this.entries.delete(connection)
  }

  all(): Iterable<Connection> {
    return this.entries.keys()
  }

  /** The version of HTTP that the client speaks is known, and `served` speaks it. */
  serve(connection: Connection, served: HttpExchange.Served): void {
    const entry = this.entries.get(connection)
    if (entry !== undefined) entry.served = served
  }

  /** Cuts the connection at the first sweep after `due`. */
  cutAfter(connection: Connection, due: number): void {
    const entry = this.entries.get(connection)
    if (entry !== undefined) entry.due = Math.min(entry.due, due)
  }

  /** Tells the client that its connection is about to leave. */
  announce(connection: Connection): void {
    this.entries.get(connection)?.served?.announce()
  }

  /** Takes no more requests from the connection, and cuts it at the first sweep after `due`. */
  retire(connection: Connection, due: number): void {
    const entry = this.entries.get(connection)
    if (entry === undefined) return
    entry.due = Math.min(entry.due, due)
    if (entry.served === undefined) connection.socket.destroySoon()
    else entry.served.retire()
  }

  /** Cuts what is due, and retires what is idle. */
  sweep(now: number): void {
    for (const [connection, { due, served }] of this.entries) {
      if (now > due) connection.reset()
      else if (served?.sweep(now) === true) this.retire(connection, now + leaveGraceMillis)
    }
  }
}
