/** What a proxy makes of the head of an instance's answer before the client gets it. */
import { STATUS_CODES } from "node:http"
import type * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"
import type * as Lines from "../h1/Lines.ts"
import type * as Exchange from "./Exchange.ts"
import * as Marks from "./Marks.ts"

export interface About {
  readonly method: string
  readonly version: Exchange.Version
  readonly marks: Marks.Marks
  /** Since the request was whole; undefined: it is not. */
  readonly tookMillis: number | undefined
}

/** Fields between two hops, and those that the proxy says itself. */
const hops: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "x-envoy-decorator-operation"
])
const longest = "x-envoy-upstream-service-time".length

export const head = (answer: Head.Answer, about: About): Exchange.AnswerHead => {
  const { fields, status } = answer
  const { marks, tookMillis } = about
  const dropped: Array<number> = []
  let named: ReadonlyArray<string> = []
  let isDated = false
  let isMeasured = false
  for (let index = 0; index < fields.count; index++) {
    const length = fields.places[index * 4 + 1]! - fields.places[index * 4]!
    if (length > longest) continue
    const name = fields.name(index).toLowerCase()
    if (name === "date") isDated = true
    else if (name === "server" ? marks.server !== undefined : name === serviceTime && tells(about)) dropped.push(index)
    else if (name === "content-length") {
      if (status === 204 || status < 200) dropped.push(index)
      else isMeasured = true
    } else if (hops.has(name)) {
      dropped.push(index)
      if (name === "connection") named = [...named, ...optionsOf(fields.value(index))]
    }
  }
  const body = bodyOf(answer, about)
  return {
    status,
    reason: reasonOf(status),
    fields,
    dropped: named.length === 0 ? dropped : withNamed(fields, dropped, named),
    more: `${tells(about) ? `${serviceTime}: ${Math.floor(tookMillis!)}\r\n` : ""}${isDated ? "" : Marks.date()}${
      marks.server === undefined ? "" : `server: ${marks.server}\r\n`
    }${status === 101 ? switching(fields) : ""}${isMeasured ? "" : measure(answer, body, about)}`,
    body
  }
}

const optionsOf = (connection: string): ReadonlyArray<string> =>
  connection.toLowerCase().split(",").map((option) => option.trim())

/** What goes on of a provisional answer. */
export const provisional = ({ fields }: Head.Answer): Lines.Lines => {
  const dropped: Array<number> = []
  for (let index = 0; index < fields.count; index++) {
    const name = fields.name(index).toLowerCase()
    if (hops.has(name) || name === "content-length") dropped.push(index)
  }
  return { fields, dropped, more: "" }
}

/** HTTP/1.1 is told the length of every body, HTTP/2 shows its end. An answer to HEAD says what one to GET would. */
const measure = ({ framing, status }: Head.Answer, body: Exchange.Body, { method, version }: About): string =>
  version === "2"
    ? ""
    : body === "length" && framing._tag === "Length"
    ? `content-length: ${framing.bytes}\r\n`
    : body === "none" && method === "HEAD" && status >= 200 && status !== 204 && status !== 304
    ? "transfer-encoding: chunked\r\n"
    : ""

const serviceTime = "x-envoy-upstream-service-time"

const tells = ({ marks, tookMillis }: About): boolean => marks.serviceTime && tookMillis !== undefined

/** Over HTTP/2 an answer without a body ends with its head: what ends later is another answer to gRPC. */
const bodyOf = ({ framing, status }: Head.Answer, { method, version }: About): Exchange.Body =>
  method === "HEAD" || status === 204 || status === 304 || status < 200
    ? "none"
    : framing._tag !== "Length"
    ? "streamed"
    : version === "2" && framing.bytes === 0
    ? "none"
    : "length"

const withNamed = (
  fields: Fields.Fields,
  dropped: ReadonlyArray<number>,
  named: ReadonlyArray<string>
): ReadonlyArray<number> => {
  const all = new Set(dropped)
  for (let index = 0; index < fields.count; index++) {
    if (named.includes(fields.name(index).toLowerCase()) && !fields.isNamed(index, "content-length")) all.add(index)
  }
  return [...all].sort((a, b) => a - b)
}

const switching = (fields: Fields.Fields): string => {
  const upgrade = fields.indexOf("upgrade")
  return `connection: Upgrade\r\nupgrade: ${upgrade < 0 ? "websocket" : fields.value(upgrade)}\r\n`
}

/** As Envoy has them. What an application has written there is lost, as nothing may depend on it (RFC 9112, 4). */
export const reasonOf = (status: number): string =>
  unnamed.has(status)
    ? "Unknown"
    : status === 599
    ? "Last Unassigned Server Error Code"
    : STATUS_CODES[status] ?? "Unknown"

const unnamed: ReadonlySet<number> = new Set([102, 103, 418, 425, 451, 509])
