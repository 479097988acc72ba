/**
 * Heads of messages over HTTP/2, out of the lists of names and values that Node reads. They become what the same message would
 * have been over HTTP/1.1, text and all: whoever judges a request, and whoever sends it on, need not know how it came.
 *
 * Whatever could not be said over HTTP/1.1, or would mean something else there, is refused. nghttp2 beneath Node refuses most
 * of it before; what can not come for that reason is looked for all the same, as a request that slips through is smuggled.
 */
import { STATUS_CODES } from "node:http"
import * as Fields from "../h1/Fields.ts"
import * as Framing from "../h1/Framing.ts"
import * as Head from "../h1/Head.ts"
import * as HeaderList from "./HeaderList.ts"

/** It breaks the rules of HTTP/2 (RFC 9113, 8.1.1): its stream is to be reset. */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly why: string
}

/** `ended`: nothing follows the head. */
export const request = (
  raw: ReadonlyArray<string>,
  ended: boolean,
  maxFields: number
): Head.Request | Fields.Fault | Malformed => {
  const pseudo = readPseudo(raw)
  if ("_tag" in pseudo) return pseudo
  const { ":authority": authority, ":method": method = "", ":path": path, ":scheme": scheme } = pseudo.values
  const isConnect = method === "CONNECT"
  if (isConnect ? path !== undefined || scheme !== undefined : path === undefined || scheme === undefined) {
    return malformed("a pseudo-header is missing, or does not belong there")
  }
  const host = hostOf(raw, pseudo.count, authority)
  if (typeof host === "object") return host
  const target = (isConnect ? authority : path) ?? ""
  const fault = odd(method, target, scheme)
  if (fault !== undefined) return fault
  const text = new Text(`${method} ${target} HTTP/1.1\r\n`)
  if (host !== undefined) text.add("host", host)
  const fields = text.read(raw, pseudo.count, maxFields)
  if (fields._tag !== "Fields") return fields
  const framing = framingOf(fields, ended, isConnect)
  return framing._tag === "Malformed" ? framing : { _tag: "Request", method, target, fields, framing }
}

/** `to` is the method of the request that it answers. */
export const answer = (
  raw: ReadonlyArray<string>,
  to: string,
  ended: boolean,
  maxFields: number
): Head.Answer | Malformed => {
  const status = raw[0] === ":status" && /^[1-5]\d\d$/.test(raw[1] ?? "") ? Number(raw[1]) : 0
  if (status === 0) return malformed("the answer has no status")
  const reason = STATUS_CODES[status] ?? ""
  const fields = new Text(`HTTP/1.1 ${status} ${reason}\r\n`).read(raw, 1, maxFields)
  if (fields._tag === "Malformed") return fields
  if (fields._tag === "Fault") return malformed(fields.why)
  const framing = framingOf(fields, ended, Head.isBodiless(status, to))
  return framing._tag === "Malformed"
    ? framing
    : { _tag: "Answer", status, reason, minor: 1, fields, framing }
}

/** Undefined: there are none. */
export const trailers = (raw: ReadonlyArray<string>, maxFields: number): Fields.Fields | Malformed | undefined => {
  if (raw.length === 0) return undefined
  const fields = new Text("").read(raw, 0, maxFields)
  return fields._tag === "Fault" ? malformed(fields.why) : fields
}

const malformed = (why: string): Malformed => ({ _tag: "Malformed", why })

type Pseudo = ":authority" | ":method" | ":path" | ":scheme"

const isPseudo = (name: string): name is Pseudo =>
  name === ":method" || name === ":path" || name === ":scheme" || name === ":authority"

const isPseudoNamed = (name: string): boolean => name.charCodeAt(0) === 58

/** Those of a request, which come first, each at most once. */
const readPseudo = (
  raw: ReadonlyArray<string>
): Malformed | { readonly values: { readonly [_ in Pseudo]?: string }; readonly count: number } => {
  const values: { [_ in Pseudo]?: string } = {}
  let count = 0
  for (; count * 2 < raw.length; count++) {
    const name = raw[count * 2]!
    if (!isPseudoNamed(name)) break
    if (!isPseudo(name)) return malformed("a pseudo-header is unknown")
    if (values[name] !== undefined) return malformed("a pseudo-header comes twice")
    values[name] = raw[count * 2 + 1]!
  }
  return { values, count }
}

/** Whoever compares one of two hosts must not be talked past with the other. */
const hostOf = (
  raw: ReadonlyArray<string>,
  from: number,
  authority: string | undefined
): string | Fields.Fault | Malformed | undefined => {
  let host: string | undefined
  for (let at = from * 2; at < raw.length; at += 2) {
    if (raw[at] !== "host") continue
    if (host !== undefined) return malformed("there is more than one host")
    host = raw[at + 1]!
  }
  const chosen = authority ?? host
  if (chosen !== undefined && !isValue(chosen)) return malformed("the host has a character that it can not have")
  return host === undefined || authority === undefined || host.toLowerCase() === authority.toLowerCase()
    ? chosen
    : Fields.fault("the host is another one than the authority")
}

/** Why a request line of HTTP/1.1 could not say it. */
const odd = (method: string, target: string, scheme: string | undefined): Fields.Fault | undefined =>
  !Head.methods.has(method)
    ? Fields.fault("the method is unknown")
    : scheme !== undefined && scheme !== "http" && scheme !== "https"
    ? Fields.fault("the scheme is unknown")
    : !/^[\x21-\x7e]+$/.test(target) || !Head.isTarget(method, target) || (scheme !== undefined && !isOrigin(target))
    ? Fields.fault("the target is none that the method may have")
    : undefined

const isOrigin = (target: string): boolean => target.startsWith("/") || target === "*"

const framingOf = (fields: Fields.Fields, ended: boolean, isBodiless: boolean): Framing.Framing | Malformed => {
  const declared = fields.indexOf("content-length") < 0 ? undefined : Framing.ofRequest(fields)
  if (declared?._tag === "Fault") return malformed(declared.why)
  if (isBodiless) return Framing.none
  if (!ended) return declared ?? Framing.chunked
  return declared?._tag === "Length" && declared.bytes > 0 ? malformed("the body is missing") : Framing.none
}

const isName = (name: string): boolean => /^[\w!#$%&'*+.^`|~-]+$/.test(name) && name === name.toLowerCase()

/** As it stands between its name and the end of the line. */
const isValue = (value: string): boolean =>
  value === "" || /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/.test(value)

/** Fields in the making, and what stands before them. */
class Text {
  #text: string
  readonly #places: Array<number> = []

  constructor(start: string) {
    this.#text = start
  }

  add(name: string, value: string): void {
    const start = this.#text.length
    const valueStart = start + name.length + 2
    this.#text += `${name}: ${value}\r\n`
    this.#places.push(start, start + name.length, valueStart, valueStart + value.length)
  }

  /** All fields of a message but its host. Cookies come as several, and are one to the application (RFC 9113, 8.2.3). */
  read(raw: ReadonlyArray<string>, from: number, maxFields: number): Fields.Fields | Fields.Fault | Malformed {
    if (raw.length / 2 - from > maxFields) return Fields.fault(`there are more than ${maxFields} fields`, 431)
    let cookie: string | undefined
    for (let at = from * 2; at < raw.length; at += 2) {
      const name = raw[at]!
      const value = raw[at + 1]!
      if (isPseudoNamed(name)) return malformed("a pseudo-header comes late")
      if (!isName(name)) return malformed("the name of a field has a character that it can not have")
      if (!isValue(value)) return malformed(`the value of ${name} has a character that it can not have`)
      if (HeaderList.isOfConnection(name, value)) return malformed(`${name} has no place in HTTP/2`)
      if (name === "cookie") cookie = cookie === undefined ? value : `${cookie}; ${value}`
      else if (name !== "host") this.add(name, value)
    }
    if (cookie !== undefined) this.add("cookie", cookie)
    return new Fields.Fields(`${this.#text}\r\n`, this.#places)
  }
}
