/** HTTP/1.1 requests as our decoder and as Node's read them, in the same words. */
import { createRequire } from "node:module"
import * as Decoder from "../../src/http/h1/Decoder.ts"

export interface Read {
  readonly requests: ReadonlyArray<string>
  /** What came after them was no request. */
  readonly fault: string | undefined
}

export const limits: Decoder.Limits = { maxHeadBytes: 60 * 1024, maxFields: 100 }

const describe = (
  method: string,
  target: string,
  rawHeaders: ReadonlyArray<string>,
  body: Buffer,
  trailers: ReadonlyArray<string>
): string => JSON.stringify([method, target, rawHeaders, body.toString("latin1"), trailers])

/** Whole requests, and what was wrong with the first that was none. `pieces` are fed one after the other, or all `ahead`. */
export const ours = (pieces: ReadonlyArray<Buffer>, ahead = false): Read => {
  const decoder = Decoder.requests(limits)
  if (ahead) {
    for (const piece of pieces) decoder.feed(piece)
    pieces = [Buffer.alloc(0)]
  }
  const requests: Array<string> = []
  let open: { readonly method: string; readonly target: string; readonly raw: Array<string> } | undefined
  let body: Array<Buffer> = []
  for (const piece of pieces) {
    decoder.feed(piece)
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
      switch (event._tag) {
        case "Head":
          open = { method: event.head.method, target: event.head.target, raw: event.head.fields.toRaw() }
          body = []
          break
        case "Data":
          body.push(event.bytes)
          break
        case "End":
          if (open !== undefined) {
            const { method, raw, target } = open
            requests.push(describe(method, target, raw, Buffer.concat(body), event.trailers?.toRaw() ?? []))
          }
          open = undefined
          break
        case "Fault":
          return { requests, fault: event.why }
      }
    }
  }
  return { requests, fault: undefined }
}

interface Parser {
  initialize(type: number, resource: object, maxHeaderSize: number): void
  execute(bytes: Buffer): number | Error
  close(): void
  [callback: number]: unknown
}

/** What Node's server is built on, where each event is heard at once: `node:http` hands out requests later, or never. */
const { HTTPParser, methods } = createRequire(import.meta.url)("node:_http_common") as {
  readonly methods: ReadonlyArray<string>
  readonly HTTPParser: { new(): Parser; readonly [constant: string]: number }
}

/** The same by Node's parser. */
export const nodes = (bytes: Buffer): Read => {
  const requests: Array<string> = []
  let start: readonly [method: string, target: string] = ["", ""]
  let raw: Array<string> = []
  let trailers: Array<string> = []
  let body: Array<Buffer> = []
  let inBody = false
  const parser = new HTTPParser()
  parser.initialize(HTTPParser["REQUEST"]!, {}, limits.maxHeadBytes)
  parser[HTTPParser["kOnMessageBegin"]!] = () => {
    ;[raw, trailers, body, inBody] = [[], [], [], false]
  }
  // Where there are many, fields come in parts.
  parser[HTTPParser["kOnHeaders"]!] = (more: Array<string>, url: string) => {
    ;(inBody ? trailers : raw).push(...more)
    if (url !== "") start = [start[0], url]
  }
  parser[HTTPParser["kOnHeadersComplete"]!] = (
    ...[_major, _minor, fields, method, url]: [number, number, Array<string> | undefined, number, string | undefined]
  ) => {
    raw.push(...(fields ?? []))
    start = [methods[method]!, url ?? start[1]]
    inBody = true
    return 0
  }
  parser[HTTPParser["kOnBody"]!] = (chunk: Buffer) => body.push(Buffer.from(chunk))
  parser[HTTPParser["kOnMessageComplete"]!] = () =>
    requests.push(describe(start[0], start[1], raw, Buffer.concat(body), trailers))
  const result = parser.execute(bytes)
  parser.close() // it holds some kilobytes outside of the heap until then
  return { requests, fault: typeof result === "number" ? undefined : result.message }
}
