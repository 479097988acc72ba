/** A request as routes and permissions look at it: the fields that are sent on, and what the proxy has found out by itself. */
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as Fields from "../h1/Fields.ts"

export interface Seen {
  readonly method: string
  readonly path: string
  readonly fields: Fields.Fields
  /** Positions that nobody sees, ascending. */
  readonly dropped: ReadonlyArray<number>
  /** In lower case; they come after the others. */
  readonly more: Readonly<Record<string, string>>
}

export const of = ({ dropped, fields, method, more, path }: Seen): HttpRequest.HttpRequest => {
  const linesOf = (name: string): ReadonlyArray<string> => {
    const found: Array<string> = []
    for (let index = fields.indexOf(name); index >= 0; index = fields.indexOf(name, index + 1)) {
      if (!dropped.includes(index)) found.push(fields.value(index))
    }
    const own = more[name]
    return own === undefined ? found : [...found, own]
  }
  return {
    method,
    path,
    header: (name) => {
      const lines = linesOf(name)
      return lines.length === 0 ? undefined : lines.length === 1 ? lines[0] : lines.join(",")
    },
    lines: (name) => {
      const lines = linesOf(name)
      return lines.length > 1 ? lines : undefined
    }
  }
}
