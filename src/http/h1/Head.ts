/** The start line and the fields of a message, parsed from bytes that hold exactly these, and how its body is framed. */
import * as Fields from "./Fields.ts"
import * as Framing from "./Framing.ts"

export interface Request {
  readonly _tag: "Request"
  readonly method: string
  /** As it was sent. */
  readonly target: string
  readonly fields: Fields.Fields
  readonly framing: Framing.Framing
}

export interface Answer {
  readonly _tag: "Answer"
  readonly status: number
  readonly reason: string
  /** Of HTTP/1: 0 or 1. */
  readonly minor: number
  readonly fields: Fields.Fields
  readonly framing: Framing.Framing
}

export const request = (bytes: Buffer, maxFields: number): Request | Fields.Fault => {
  const text = bytes.toString("latin1")
  const line = text.slice(0, text.indexOf("\r\n"))
  const parts = requestLine.exec(line)
  if (parts === null) return unread(line)
  const [, method = "", target = "", version] = parts
  if (!methods.has(method)) return Fields.fault("the method is unknown")
  if (!isTarget(method, target)) {
    const fault = Fields.fault("the target is none that the method may have")
    return target.startsWith("/") ? { ...fault, isSilent: true } : fault
  }
  if (version !== "1.1") return Fields.fault(`HTTP/${version} is not spoken here`, 426)
  const fields = Fields.parse(text, line.length + 2, maxFields)
  if (fields._tag === "Fault") return fields
  const framing = Framing.ofRequest(fields)
  return framing._tag === "Fault" ? framing : { _tag: "Request", method, target, fields, framing }
}

/** `to` is the method of the request that it answers. */
export const answer = (bytes: Buffer, to: string, maxFields: number): Answer | Fields.Fault => {
  const text = bytes.toString("latin1")
  const line = text.slice(0, text.indexOf("\r\n"))
  const parts = statusLine.exec(line)
  if (parts === null) return Fields.fault("the answer begins with no status line")
  const minor = Number(parts[1])
  const status = Number(parts[2])
  const fields = Fields.parse(text, line.length + 2, maxFields)
  if (fields._tag === "Fault") return fields
  const framing = Framing.ofAnswer(fields, isBodiless(status, to), minor)
  return framing._tag === "Fault"
    ? framing
    : { _tag: "Answer", status, reason: parts[3] ?? "", minor, fields, framing }
}

/** Whether the bytes from `at` on may be the beginning of a request: of a method, or of an empty line before it. */
export const mayBeginRequest = (bytes: Buffer, at: number): boolean => {
  const first = bytes[at]
  return first === undefined || first === 13 || (first >= 65 && first <= 90)
}

/** The same of an answer. */
export const mayBeginAnswer = (bytes: Buffer, at: number): boolean => {
  for (let i = 0; i < beginning.length && at + i < bytes.length; i++) {
    if (bytes[at + i] !== beginning.charCodeAt(i)) return false
  }
  return true
}

const beginning = "HTTP/1."

/** Whether an answer has no body, whatever its fields say of one. `to` is the method of the request. */
export const isBodiless = (status: number, to: string): boolean =>
  to === "HEAD" || status < 200 || status === 204 || status === 304 || (to === "CONNECT" && status < 300)

/** The four forms of RFC 9112, 3.2. A fragment is part of none. */
export const isTarget = (method: string, target: string): boolean =>
  method === "CONNECT"
    ? isPort(authorityForm.exec(target)?.[1])
    : target.startsWith("/")
    ? !target.includes("#")
    : isAbsolute(target) || (target === "*" && method === "OPTIONS")

const isAbsolute = (target: string): boolean => {
  const parts = absoluteForm.exec(target)
  return parts !== null && (parts[1] === undefined || isPort(parts[1]))
}

const isPort = (digits: string | undefined): boolean => digits !== undefined && Number(digits) <= 65_535

const authorityForm = /^(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/
const absoluteForm = /^https?:\/\/(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?(?:[/?][\x21\x22\x24-\x7e]*)?$/i

const requestLine = /^([^\s]+) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/

const unread = (line: string): Fields.Fault =>
  /^[A-Z]+ [\x21-\x7e]+$/.test(line)
    ? Fields.fault("the request names no version of HTTP", 426)
    : Fields.fault("the request line can not be understood")

/** Those that Node and Envoy both know. */
export const methods: ReadonlySet<string> = new Set([
  "ACL",
  "BIND",
  "CHECKOUT",
  "CONNECT",
  "COPY",
  "DELETE",
  "GET",
  "HEAD",
  "LINK",
  "LOCK",
  "MERGE",
  "MKACTIVITY",
  "MKCALENDAR",
  "MKCOL",
  "MOVE",
  "NOTIFY",
  "OPTIONS",
  "PATCH",
  "POST",
  "PROPFIND",
  "PROPPATCH",
  "PURGE",
  "PUT",
  "REBIND",
  "REPORT",
  "SEARCH",
  "SOURCE",
  "SUBSCRIBE",
  "TRACE",
  "UNBIND",
  "UNLINK",
  "UNLOCK",
  "UNSUBSCRIBE"
])
