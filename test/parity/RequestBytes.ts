/** A request of a recording as bytes of HTTP/1, with what stands for many or long parts spelled out. */
import * as Recording from "./Recording.ts"

/** Bytes as latin1, a pause in milliseconds, or `FIN`: the end of what the client has to say. */
export type Part = string | number

/** Header lines in order, those that are only counted or measured at the end. */
export const headersOf = ({ headerCount, headerSize, headers }: Recording.Request): ReadonlyArray<string> => [
  ...(headers ?? []).map(Recording.lineOf),
  ...Array.from({ length: headerCount ?? 0 }, (_, i) => `x-h-${i}: v`),
  ...(headerSize === undefined ? [] : [`x-big: ${"x".repeat(headerSize)}`])
]

export const targetOf = ({ target, targetSize }: Recording.Request): string =>
  targetSize === undefined ? target ?? "/" : `/${"x".repeat(targetSize)}`

export const bodyOf = ({ body, bodySize }: Recording.Request): string | undefined =>
  bodySize === undefined ? body : "x".repeat(bodySize)

/** What is called for when a request does not say it. Null: nothing. */
export const hostOf = ({ host, to }: Recording.Request): string | null => host === undefined ? `${to}.test` : host

export const partsOf = (request: Recording.Request): ReadonlyArray<Part> => {
  if (request.raw !== undefined) return typeof request.raw === "string" ? [request.raw] : request.raw
  const lines = headersOf(request)
  const host = hostOf(request)
  const hosted = host === null || lines.some((line) => /^host:/i.test(line)) ? lines : [`Host: ${host}`, ...lines]
  const { body, framing } = framed(request)
  const head = [
    `${request.method ?? "GET"} ${targetOf(request)} HTTP/${request.version ?? "1.1"}`,
    ...hosted,
    ...framing
  ]
  return [`${head.map((line) => `${line}\r\n`).join("")}\r\n${body}`]
}

/** The body with the line that says how it is framed. */
const framed = (request: Recording.Request): { readonly framing: ReadonlyArray<string>; readonly body: string } => {
  if (request.chunks === undefined) {
    const body = bodyOf(request) ?? ""
    return { framing: body === "" ? [] : [`Content-Length: ${body.length}`], body }
  }
  const chunks = request.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
  const trailers = (request.trailers ?? []).map((line) => `${Recording.lineOf(line)}\r\n`)
  return { framing: ["Transfer-Encoding: chunked"], body: `${chunks.join("")}0\r\n${trailers.join("")}\r\n` }
}

/** By the first word of the bytes where they are given. */
export const methodOf = (request: Recording.Request): string => {
  const [first] = partsOf(request)
  return request.method ?? (typeof first === "string" ? /^\w+/.exec(first)?.[0] : undefined) ?? "GET"
}
