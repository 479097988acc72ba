/** The client of `Client`, over HTTP/2 by prior knowledge. */
import * as Http2 from "node:http2"
import type { Exchange } from "./Client.ts"
import * as Recording from "./Recording.ts"
import * as RequestBytes from "./RequestBytes.ts"
import * as Seen from "./Seen.ts"

export const play = (port: number, request: Recording.Request, patience: number): Promise<Exchange> =>
  new Promise((resolve) => {
    const session = Http2.connect(`http://127.0.0.1:${port}`)
    let goaway: number | undefined
    let response: { version: string; status: number; headers: ReadonlyArray<string> } | undefined
    let trailers: ReadonlyArray<string> | undefined
    let body = ""
    const finish = (more: Partial<Exchange>) => {
      clearTimeout(timer)
      session.destroy()
      const whole = response === undefined
        ? []
        : [{ ...response, body, ...(trailers === undefined ? {} : { trailers }) }]
      resolve({ responses: whole, ...(goaway === undefined ? {} : { goaway }), ...more })
    }
    const timer = setTimeout(() => finish({ timedOut: true }), patience)
    session.on("error", (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }))
    session.on("goaway", (code) => {
      goaway = code
    })
    const follow = (stream: Http2.ClientHttp2Stream) => {
      stream.on("response", (headers, _flags, raw: ReadonlyArray<string> = []) => {
        const fields = Seen.linesOf(raw).filter((line) => !line.startsWith(":"))
        response = { version: "2", status: headers[":status"] ?? 0, headers: fields }
      })
      stream.on("data", (bytes: Buffer) => {
        body += bytes.toString("latin1")
      })
      stream.on("trailers", (_headers, _flags, raw: ReadonlyArray<string> = []) => {
        trailers = Seen.linesOf(raw)
      })
      stream.on("error", () => {})
      stream.on("close", () => finish(stream.rstCode === 0 ? {} : { rstCode: stream.rstCode }))
    }
    session.on("connect", () => {
      try {
        follow(send(session, request))
      } catch (error) {
        // Node refuses to send it.
        finish({ error: String(error) })
      }
    })
  })

const send = (session: Http2.ClientHttp2Session, request: Recording.Request): Http2.ClientHttp2Stream => {
  const body = request.grpc === undefined ? RequestBytes.bodyOf(request) : framed(request.grpc)
  const trailers = request.trailers?.map(Recording.lineOf).map(parted)
  const stream = session.request(fieldsOf(request), {
    endStream: body === undefined && trailers === undefined,
    waitForTrailers: trailers !== undefined
  })
  if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(Object.fromEntries(trailers)))
  if (body !== undefined || trailers !== undefined) stream.end(body ?? "")
  return stream
}

const fieldsOf = (request: Recording.Request): Http2.OutgoingHttpHeaders => {
  const fields: Record<string, string | Array<string>> = {
    ":method": request.method ?? "GET",
    ":path": RequestBytes.targetOf(request),
    ":authority": RequestBytes.hostOf(request) ?? ""
  }
  for (const [name, value] of RequestBytes.headersOf(request).map(parted)) {
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}

/** Names of pseudo header fields begin with a colon. */
const parted = (line: string): readonly [string, string] => {
  const colon = line.indexOf(":", 1)
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

/** A message of gRPC: not compressed, its length in four bytes, itself. */
const framed = (message: string): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, Buffer.from(message, "latin1")])
}
