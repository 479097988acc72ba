/** The parts of a request that permissions look at. Texts hold one character for each byte, as Node hands them out. */
import * as Bytes from "./Bytes.ts"

export interface HttpRequest {
  readonly method: string
  /** The request target after normalisation, query included. */
  readonly path: string
  /**
   * The value of a header, named in lower case: its lines in order, joined with a bare comma. `undefined` when it is
   * absent, which is not the same as empty. `host` is the authority of the request, in every version of HTTP.
   */
  readonly header: (name: string) => string | undefined
  /**
   * The lines of a header, named in lower case, in order. `undefined` where there are not several: then `header` says all.
   * Proxies differ on whether they join them, so a permission is evaluated both ways; see `RequestRuling`.
   */
  readonly lines: (name: string) => ReadonlyArray<string> | undefined
}

/**
 * From a list `name, value, name, value, …` such as `rawHeaders`, in whatever letter case. Only that list has repeated
 * headers unharmed: `IncomingMessage.headers` drops some lines and joins others differently.
 */
export const fromRaw = (method: string, path: string, rawHeaders: ReadonlyArray<string>): HttpRequest => ({
  method,
  path,
  header: (name) => headerOf(rawHeaders, name),
  lines: (name) => severalOf(rawHeaders, name)
})

/**
 * Headers of which Node hands applications only the first line, in either version of HTTP. `host` stands for the
 * authority. A test asks Node for the lists.
 */
const single = [
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "user-agent"
]

/** Of several lines of Cookie Node makes one in its own way. A client has none to send (RFC 6265, 5.4). */
const singleInHttp1: ReadonlySet<string> = new Set([...single, "cookie", "server"])

const singleInHttp2: ReadonlySet<string> = new Set([
  ...single,
  "access-control-allow-credentials",
  "access-control-max-age",
  "access-control-request-method",
  "content-encoding",
  "content-language",
  "content-location",
  "content-md5",
  "content-range",
  "date",
  "dnt",
  "if-match",
  "if-none-match",
  "if-range",
  "range",
  "tk",
  "upgrade-insecure-requests",
  "x-content-type-options"
])

/**
 * Whether a header, named in lower case, has a value that Node hides from applications: it has several values where one is
 * allowed, so that two readers may choose different ones.
 */
export const isAmbiguous = (rawHeaders: ReadonlyArray<string>, name: string): boolean => {
  const http2 = isHttp2(rawHeaders)
  // Assigned to an ordinary object, this is lost.
  if (name === "__proto__") return !http2 && linesOf(rawHeaders, name, ",") !== undefined
  if (!(http2 ? singleInHttp2 : singleInHttp1).has(name)) return false
  let lines = 0
  let value: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!isNamed(rawHeaders[i]!, name)) continue
    if (++lines > 1) return true
    value = rawHeaders[i + 1]
  }
  // Both may be there, and are to be the same (RFC 9113, 8.3.1).
  const authority = name === "host" && lines > 0 ? linesOf(rawHeaders, ":authority", ",") : undefined
  return authority !== undefined && authority !== value
}

/** From text and a record, where a list stands for several lines. */
export const make = (
  method: string,
  path: string,
  headers: { readonly [name: string]: string | ReadonlyArray<string> } = {}
): HttpRequest =>
  fromRaw(
    method,
    Bytes.fromText(path),
    Object.entries(headers).flatMap(([name, value]) =>
      (typeof value === "string" ? [value] : value).flatMap((line) => [name, Bytes.fromText(line)])
    )
  )

const headerOf = (raw: ReadonlyArray<string>, name: string): string | undefined => {
  const http2 = isHttp2(raw)
  if (http2 && name === "host") return linesOf(raw, ":authority", ",") ?? linesOf(raw, name, ",")
  // HTTP/2 lets clients split one Cookie header into many; they belong together as they were (RFC 9113, 8.2.3).
  return linesOf(raw, name, http2 && name === "cookie" ? "; " : ",")
}

const severalOf = (raw: ReadonlyArray<string>, name: string): ReadonlyArray<string> | undefined => {
  const http2 = isHttp2(raw)
  if (http2 && name === "cookie") return undefined
  const found = http2 && name === "host" && linesOf(raw, ":authority", ",") !== undefined ? ":authority" : name
  let first: string | undefined
  let lines: Array<string> | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i]!, found)) continue
    if (first === undefined) first = raw[i + 1]!
    else if (lines === undefined) lines = [first, raw[i + 1]!]
    else lines.push(raw[i + 1]!)
  }
  return lines
}

/** Such lists begin with a pseudo-header. */
const isHttp2 = (raw: ReadonlyArray<string>): boolean => raw.length > 0 && raw[0]!.charCodeAt(0) === colon

const colon = 58

const isNamed = (candidate: string, name: string): boolean =>
  candidate.length === name.length && (candidate === name || candidate.toLowerCase() === name)

const linesOf = (raw: ReadonlyArray<string>, name: string, separator: string): string | undefined => {
  let value: string | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i]!, name)) continue
    value = value === undefined ? raw[i + 1]! : value + separator + raw[i + 1]!
  }
  return value
}
