/** The callers: told to open connections, and then, by their ends, when each of them was seen to be cut. */
import type * as Tls from "node:tls"
import * as Caller from "../caller.ts"
import * as Processes from "../processes.ts"
import * as Connections from "./connections.ts"

export interface Opened {
  readonly open: number
}

/** Times on the shared clock. */
export interface Closed {
  readonly at: ReadonlyArray<number>
}

const run = (message: Connections.Open, context: Tls.SecureContext): void => {
  const at: Array<number> = []
  const ended = () => {
    at.push(Processes.clock())
    if (at.length === message.count) process.send?.({ at } satisfies Closed)
  }
  void Connections.open(message, context, ended).then(() =>
    process.send?.({ open: message.count - at.length } satisfies Opened)
  )
}

Caller.run(run)
