/** Agents of Node whose connections lead to the service that the host of a request names. */
import * as Http from "node:http"
import * as Https from "node:https"
import type { Duplex } from "node:stream"

type Connected = ((error: Error | null, stream: Duplex) => void) | undefined

type Open = (service: string) => Promise<Duplex>

const connectFor = (open: Open, host: string | null | undefined, callback: Connected): undefined => {
  open(host ?? "").then(
    (socket) => callback?.(null, socket),
    // Node looks at the error alone.
    (error: Error) => callback?.(error, undefined as never)
  )
}

export class MeshHttpAgent extends Http.Agent {
  readonly #open: Open

  constructor(open: Open) {
    super({ keepAlive: true })
    this.#open = open
  }

  override createConnection: Http.Agent["createConnection"] = (options, callback) =>
    connectFor(this.#open, options.host, callback)
}

export class MeshHttpsAgent extends Https.Agent {
  readonly #open: Open

  constructor(open: Open) {
    super({ keepAlive: true })
    this.#open = open
  }

  override createConnection: Https.Agent["createConnection"] = (options, callback) =>
    connectFor(this.#open, options.host, callback)
}
