/** Responses of HTTP/1 in the bytes of a connection, as they stand there. */

export interface Response {
  readonly version: string
  readonly status: number
  readonly reason?: string
  /** `name: value`, as received. */
  readonly headers: ReadonlyArray<string>
  readonly body?: string
  readonly trailers?: ReadonlyArray<string>
  /** The connection ended before the response did. */
  readonly incomplete?: true
}

interface Taken {
  readonly response: Response
  /** What follows it. */
  readonly rest: string
  /** What follows is no HTTP. */
  readonly tunnel: boolean
}

const end = "\r\n\r\n"

/** The response that `bytes` begin with. Undefined while it has not come whole, and the connection has not `ended`. */
export const first = (bytes: string, method: string, ended: boolean): Taken | undefined => {
  const headEnd = bytes.indexOf(end)
  if (headEnd < 0) return undefined
  const head = headOf(bytes.slice(0, headEnd))
  const { status } = head
  const after = bytes.slice(headEnd + end.length)
  const tunnel = status === 101 || (method === "CONNECT" && status < 300)
  if (tunnel || method === "HEAD" || status < 200 || status === 204 || status === 304) {
    return { response: head, rest: after, tunnel }
  }
  const body = bodyOf(head, after)
  if (body.complete || ended) {
    const { rest, text, trailers } = body
    const cut = !body.complete && !body.endsWithConnection
    return {
      response: {
        ...head,
        body: text,
        ...(trailers.length > 0 ? { trailers } : {}),
        ...(cut ? { incomplete: true } : {})
      },
      rest,
      tunnel: false
    }
  }
  return undefined
}

const headOf = (text: string): Response => {
  const [line = "", ...headers] = text.split("\r\n")
  const [version = "", status, ...reason] = line.split(" ")
  return { version: version.replace("HTTP/", ""), status: Number(status), reason: reason.join(" "), headers }
}

interface Body {
  readonly text: string
  readonly trailers: ReadonlyArray<string>
  readonly rest: string
  readonly complete: boolean
  readonly endsWithConnection: boolean
}

const bodyOf = (head: Response, after: string): Body => {
  if (valueOf(head, "transfer-encoding")?.toLowerCase() === "chunked") return chunked(after)
  const length = valueOf(head, "content-length")
  if (length === undefined) {
    return { text: after, trailers: [], rest: "", complete: false, endsWithConnection: true }
  }
  const size = Number(length)
  const complete = after.length >= size
  const text = complete ? after.slice(0, size) : after
  return { text, trailers: [], rest: after.slice(text.length), complete, endsWithConnection: false }
}

const chunked = (bytes: string): Body => {
  let text = ""
  let at = 0
  const unfinished = (): Body => ({ text, trailers: [], rest: "", complete: false, endsWithConnection: false })
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at)
    if (lineEnd < 0) return unfinished()
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16)
    const start = lineEnd + 2
    if (size === 0) {
      // Trailers, if any, end with an empty line as a head does.
      const last = bytes.indexOf(end, lineEnd)
      if (last < 0) return unfinished()
      const trailers = bytes.slice(start, last)
      return {
        text,
        trailers: trailers === "" ? [] : trailers.split("\r\n"),
        rest: bytes.slice(last + end.length),
        complete: true,
        endsWithConnection: false
      }
    }
    text += bytes.slice(start, start + size)
    if (!(size > 0) || bytes.length < start + size + 2) return unfinished()
    at = start + size + 2
  }
}

const valueOf = ({ headers }: Response, name: string): string | undefined =>
  headers.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim()
