/** The fields of a head as they are sent on, and the start line before them. */
import type * as Fields from "./Fields.ts"

/** Those that came, without some, and others behind them. */
export interface Lines {
  readonly fields: Fields.Fields
  /** Positions of fields that are left out, ascending. */
  readonly dropped: ReadonlyArray<number>
  /** `name: value` with its CRLF, any number of times; names in lower case. */
  readonly more: string
}

/** Each with its CRLF. Fields that stay are the bytes that came. */
export const text = ({ dropped, fields, more }: Lines): string => {
  const { places, text } = fields
  if (fields.count === dropped.length) return more
  const end = text.length - 2
  const startOf = (index: number) => index === fields.count ? end : places[index * 4]!
  let kept = ""
  let from = startOf(0)
  for (const index of dropped) {
    const start = startOf(index)
    if (start > from) kept += text.slice(from, start)
    from = startOf(index + 1)
  }
  return kept + text.slice(from, end) + more
}

/** Calls `each` with every field that is sent on, in order. */
export const forEach = ({ dropped, fields, more }: Lines, each: (name: string, value: string) => void): void => {
  let next = 0
  for (let index = 0; index < fields.count; index++) {
    if (dropped[next] === index) next++
    else each(fields.name(index), fields.value(index))
  }
  for (const line of more.split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon > 0) each(line.slice(0, colon), line.slice(colon + 1).trim())
  }
}

/** Of `address:port`. */
export const host = (address: string): string => address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1")

export const address = (host: string | undefined, port: number | undefined): string =>
  host === undefined ? "" : `${host.includes(":") ? `[${host}]` : host}:${port}`
