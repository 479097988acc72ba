/** Requests of HTTP/1.1 that are nearly right: right ones, with parts repeated, swapped, cut, and bytes that readers differ about. */

export type Random = () => number

/** xorshift: the same numbers for the same seed, in any version of Node. */
export const random = (seed: number): Random => {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

export const pick = <A>(next: Random, list: ReadonlyArray<A>): A => list[Math.floor(next() * list.length)]!

const heads = [
  "GET / HTTP/1.1",
  "POST / HTTP/1.1",
  "POST /a?b=c HTTP/1.1",
  "OPTIONS * HTTP/1.1",
  "HEAD /x HTTP/1.1",
  "PUT http://a/b HTTP/1.1"
]

const fields = [
  "Host: a",
  "Content-Length: 5",
  "Content-Length: 0",
  "content-length: 5",
  "Content-Length: 5, 5",
  "Content-Length: +5",
  "Content-Length: 05",
  "Content-Length: 0x5",
  "Content-Length : 5",
  "Transfer-Encoding: chunked",
  "transfer-encoding: Chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding: \"chunked\"",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer_Encoding: chunked",
  "X-A: 1",
  "X-A:",
  "X-B:  two  words ",
  "Connection: keep-alive",
  "Expect: 100-continue",
  "Trailer: X-T",
  "Cookie: a=b; c=d"
]

const bodies = [
  "",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;x=y\r\nhello\r\n0\r\n\r\n",
  "05\r\nhello\r\n000\r\n\r\n",
  "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  "5 \r\nhello\r\n0\r\n\r\n",
  "5\nhello\n0\n\n",
  "-5\r\nhello\r\n0\r\n\r\n",
  "ffffffffffffffff\r\nhello",
  "0\r\n\r\n",
  "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
]

const oddities = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\x0b",
  "\x7f",
  "\x80",
  "\xff",
  "0",
  "chunked",
  "\r\n "
]

const message = (next: Random): string => {
  const lines = Array.from({ length: 1 + Math.floor(next() * 4) }, () => pick(next, fields))
  return `${pick(next, heads)}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${pick(next, bodies)}`
}

export const mutate = (next: Random, text: string): string => {
  const at = Math.floor(next() * (text.length + 1))
  const end = at + Math.floor(next() * 4)
  switch (Math.floor(next() * 4)) {
    case 0:
      return text.slice(0, at) + pick(next, oddities) + text.slice(at)
    case 1:
      return text.slice(0, at) + text.slice(end)
    case 2:
      return text.slice(0, at) + text.slice(at, end) + text.slice(at)
    default:
      return text.slice(0, at) + pick(next, oddities) + text.slice(at + 1)
  }
}

/** One to three messages, and up to three mutations of them. */
export const requests = (next: Random): Buffer => {
  let text = Array.from({ length: 1 + Math.floor(next() * 3) }, () => message(next)).join("")
  for (let left = Math.floor(next() * 4); left > 0; left--) text = mutate(next, text)
  return Buffer.from(text, "latin1")
}

const statusLines = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200 OK",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 503 Service Unavailable",
  "HTTP/1.1 100 Continue",
  "HTTP/1.1 103 Early Hints",
  "HTTP/1.1 101 Switching Protocols",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 999 "
]

const answerFields = [
  "Content-Length: 5",
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "Content-Length: 0",
  "Connection: close",
  "Connection: keep-alive",
  "Keep-Alive: timeout=5",
  "Upgrade: websocket",
  "X-A: 1"
]

/** What an instance may answer: one to three answers, and up to two mutations of them. */
export const answers = (next: Random): Buffer => {
  let text = Array.from({ length: 1 + Math.floor(next() * 1.5) }, () => {
    const lines = Array.from({ length: 1 + Math.floor(next() * 2) }, () => pick(next, answerFields))
    return `${pick(next, statusLines)}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${pick(next, bodies)}`
  }).join("")
  for (let left = Math.floor(next() * 3); left > 0; left--) text = mutate(next, text)
  return Buffer.from(text, "latin1")
}

const whole = [
  "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
  "HEAD /ab HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /denied HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nmore",
  "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "PUT /d HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\nhello",
  `PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`
]

/** What a client may send to a proxy: mostly right, often several requests at once. */
export const conversation = (next: Random): Buffer => {
  if (next() < 0.2) return requests(next)
  const text = Array.from({ length: 1 + Math.floor(next() * 4) }, () => pick(next, whole)).join("")
  return Buffer.from(next() < 0.3 ? mutate(next, text) : text, "latin1")
}

const values: ReadonlyArray<unknown> = [
  null,
  "",
  0,
  -1,
  1e308,
  true,
  [],
  {},
  "x".repeat(1000),
  [null],
  { a: null },
  "\0",
  "1s"
]

/** A document with one value replaced, left out, or put elsewhere. */
export const mutateJson = (next: Random, document: unknown): unknown => {
  if (typeof document !== "object" || document === null || next() < 0.1) return pick(next, values)
  if (Array.isArray(document)) {
    if (document.length === 0) return [pick(next, values)]
    const at = Math.floor(next() * document.length)
    return next() < 0.2 ? [...document, document[at]] : document.with(at, mutateJson(next, document[at]))
  }
  const fields = Object.entries(document)
  if (fields.length === 0) return { a: pick(next, values) }
  const [name, value] = pick(next, fields)
  const changed = next() < 0.2 ? undefined : mutateJson(next, value)
  return Object.fromEntries(fields.map(([key, value]) => [key, key === name ? changed : value]))
}
