/** The application over HTTP/2. Its answers have the content type of the request. */
import * as Http2 from "node:http2"
import { setTimeout as sleep } from "node:timers/promises"
import type * as Script from "./Script.ts"
import * as Seen from "./Seen.ts"

export const make = (id: string, journal: Seen.Journal, interpreter: Script.Interpreter): Http2.Http2Server => {
  const server = Http2.createServer({ settings: { maxHeaderListSize: 1 << 20 } })
  server.on("sessionError", () => {})
  server.on("stream", (stream, headers, _flags, raw) => {
    let trailers: ReadonlyArray<string> = []
    stream.on("error", () => {})
    stream.on("trailers", (_headers: unknown, _flags: number, raw: ReadonlyArray<string> = []) => {
      trailers = Seen.linesOf(raw)
    })
    const script = interpreter.scriptOf(id, headers["x-script"])
    const request = {
      instance: id,
      version: "2",
      method: headers[":method"] ?? "",
      target: headers[":path"] ?? "",
      headers: Seen.linesOf(raw)
    }
    // An answer that Node can not send is none: whoever waits for it waits in vain.
    act(script, journal.note(request, stream, () => trailers), stream, headers["content-type"]).catch(() => {})
  })
  return server
}

const act = async (
  script: Script.Script,
  arrived: Promise<void>,
  stream: Http2.ServerHttp2Stream,
  contentType: string | undefined
): Promise<void> => {
  if (!script.has("early")) await arrived
  await sleep(script.millis("delay") ?? 0)
  if (stream.destroyed) return
  if (script.has("reset")) return stream.close(Http2.constants.NGHTTP2_INTERNAL_ERROR)
  const { body, headers, status, trailers } = script.answer
  stream.on("wantTrailers", () => stream.sendTrailers(Object.fromEntries(trailers)))
  // `sendDate` is of Node, and missing in its types.
  const options = { waitForTrailers: trailers.length > 0, sendDate: false }
  stream.respond(
    { ":status": status, "content-type": contentType ?? "application/json", ...Object.fromEntries(headers) },
    options
  )
  stream.end(body)
}
