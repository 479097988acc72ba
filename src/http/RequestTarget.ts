/** What a request over HTTP/1.1 is about, as it is judged, and handed on once it has been. */
import type * as Http from "node:http"

export interface RequestTarget {
  /** After scheme and authority. */
  readonly target: string
  /** Where the request line names it. It goes before any `Host` then (RFC 9112, 3.2.2). */
  readonly authority: string | undefined
}

export const parse = (url: string): RequestTarget => {
  const absolute = /^https?:\/\/(?:[^/?#]*@)?([^/?#@]*)(.*)$/is.exec(url)
  if (absolute === null) return { target: url, authority: undefined }
  const [, authority, rest] = absolute
  return { target: rest!.startsWith("/") ? rest! : `/${rest}`, authority }
}

/** From now on it is about what was judged: `path`, and the authority that goes before any other. */
export const settle = (request: Http.IncomingMessage, path: string, authority: string | undefined): void => {
  request.url = path
  if (authority === undefined) return
  request.headers.host = authority
  setRaw(request.rawHeaders, "host", authority)
}

export const setRaw = (rawHeaders: Array<string>, name: string, value: string): void => {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() === name) rawHeaders[i + 1] = value
  }
}
