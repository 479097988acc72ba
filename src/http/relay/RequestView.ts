/** A request as routes and permissions look at it: the fields that are sent on, and what the proxy has found out by itself. */
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as Fields from "../h1/Fields.ts"
import * as Lines from "../h1/Lines.ts"
import type * as Exchange from "./Exchange.ts"

export class RequestView implements HttpRequest.HttpRequest {
  readonly method: string
  /** Positions that nobody sees, ascending. */
  readonly dropped: ReadonlyArray<number>
  readonly path: string
  readonly #client: Pick<Exchange.ServerExchange, "remote">
  readonly #fields: Fields.Fields
  readonly #more: ReadonlyArray<string>

  /**
   * `client` is asked for its address only when that is looked at: the kernel has to be asked for it. `more`: a list `name, value, …`, in lower case, of what comes after the
   * others.
   */
  constructor(
    method: string,
    path: string,
    client: Pick<Exchange.ServerExchange, "remote">,
    fields: Fields.Fields,
    dropped: ReadonlyArray<number>,
    more: ReadonlyArray<string>
  ) {
    this.method = method
    this.path = path
    this.#client = client
    this.#fields = fields
    this.dropped = dropped
    this.#more = more
  }

  /** The address of the client, without its port. */
  get source(): string {
    return Lines.host(this.#client.remote)
  }

  header(name: string): string | undefined {
    const lines = this.#linesOf(name)
    return lines.length === 0 ? undefined : lines.length === 1 ? lines[0] : lines.join(",")
  }

  lines(name: string): ReadonlyArray<string> | undefined {
    const lines = this.#linesOf(name)
    return lines.length > 1 ? lines : undefined
  }

  #linesOf(name: string): ReadonlyArray<string> {
    const fields = this.#fields
    const found: Array<string> = []
    for (let index = fields.indexOf(name); index >= 0; index = fields.indexOf(name, index + 1)) {
      if (!this.dropped.includes(index)) found.push(fields.value(index))
    }
    for (let i = 0; i < this.#more.length; i += 2) if (this.#more[i] === name) found.push(this.#more[i + 1]!)
    return found
  }
}
