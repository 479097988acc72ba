/** The fields of a head that is sent on, as the lists and objects that Node sends over HTTP/2. */
import type * as Http2 from "node:http2"
import type * as Fields from "../h1/Fields.ts"
import type * as Exchange from "./Exchange.ts"

type Lines = Pick<Exchange.AnswerHead, "dropped" | "fields" | "more">

/** Adds names and values, in turn. Returns the host, which is none of them: over HTTP/2 it is the authority. */
export const add = (list: Array<string>, { dropped, fields, more }: Lines): string | undefined => {
  let host: string | undefined
  let next = 0
  for (let index = 0; index < fields.count; index++) {
    if (dropped[next] === index) {
      next++
      continue
    }
    host = addOne(list, fields.name(index).toLowerCase(), fields.value(index), host)
  }
  for (let at = 0; at < more.length;) {
    const end = more.indexOf("\r\n", at)
    const colon = more.indexOf(":", at)
    host = addOne(list, more.slice(at, colon), more.slice(colon + 1, end).trim(), host)
    at = end + 2
  }
  return host
}

/** For what Node takes no list for: several values of a name are an array. */
export const toObject = (lines: Lines): Http2.OutgoingHttpHeaders => {
  const list: Array<string> = []
  add(list, lines)
  return objectOf(list)
}

/** Trailers may say nothing of where the body ends, or of where it goes: it is over. */
export const toTrailers = (fields: Fields.Fields): Http2.OutgoingHttpHeaders => {
  const headers = toObject({ fields, dropped: [], more: "" })
  delete headers["content-length"]
  delete headers["te"]
  return headers
}

/** Leaves a name out of a list. */
export const without = (list: ReadonlyArray<string>, name: string): Array<string> =>
  list.filter((_, at) => list[at - at % 2] !== name)

const addOne = (list: Array<string>, name: string, value: string, host: string | undefined): string | undefined => {
  if (name === "host") return host ?? value
  if (isOfConnection(name, value)) return host
  // Node throws for any other spelling, and for a second line.
  if (name !== "te") list.push(name, value)
  else if (!list.some((text, at) => at % 2 === 0 && text === "te")) list.push("te", "trailers")
  return host
}

const objectOf = (list: ReadonlyArray<string>): Http2.OutgoingHttpHeaders => {
  const headers: Http2.OutgoingHttpHeaders = Object.create(null)
  for (let at = 0; at < list.length; at += 2) {
    const before = headers[list[at]!]
    headers[list[at]!] = before === undefined ? list[at + 1] : [before, list[at + 1]!].flat().map(String)
  }
  return headers
}

/** HTTP/2 forbids them (RFC 9113, 8.2.2). */
export const isOfConnection = (name: string, value: string): boolean => {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
    case "http2-settings":
      return true
    case "te":
      return value.toLowerCase() !== "trailers"
    default:
      return false
  }
}
