/** The application over HTTP/1.1. Reads leniently, so that what a sidecar lets through is seen as it is. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import type * as Script from "./Script.ts"
import * as Seen from "./Seen.ts"

export const make = (id: string, journal: Seen.Journal, interpreter: Script.Interpreter): Http.Server => {
  const server = Http.createServer({
    insecureHTTPParser: true,
    maxHeaderSize: 1 << 20,
    keepAliveTimeout: 0,
    requestTimeout: 0
  })
  server.timeout = 0
  const note = (request: Http.IncomingMessage, stream: Http.IncomingMessage | Duplex, trailers: () => Array<string>) =>
    journal.note(
      {
        instance: id,
        version: request.httpVersion,
        method: request.method ?? "",
        target: request.url ?? "",
        headers: Seen.linesOf(request.rawHeaders)
      },
      stream,
      () => Seen.linesOf(trailers())
    )
  server.on("clientError", (_, socket) => socket.destroy())
  server.on("request", (request, response) => {
    const script = interpreter.scriptOf(id, request.headers["x-script"])
    response.on("error", () => {})
    // An answer that Node can not send is none: whoever waits for it waits in vain.
    act(script, note(request, request, () => request.rawTrailers), request, response).catch(() => {})
  })
  const tunnel = (head: string) => (request: Http.IncomingMessage, socket: Duplex, first: Buffer) => {
    void note(request, socket, () => [])
    socket.write(head.replace("PROTOCOL", request.headers.upgrade ?? ""))
    if (first.length > 0) socket.write(first)
    socket.on("data", (bytes) => socket.write(bytes))
    socket.on("end", () => socket.end())
  }
  server.on("connect", tunnel("HTTP/1.1 200 OK\r\n\r\n"))
  server.on(
    "upgrade",
    tunnel("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: PROTOCOL\r\n\r\n")
  )
  return server
}

const act = async (
  script: Script.Script,
  arrived: Promise<void>,
  request: Http.IncomingMessage,
  response: Http.ServerResponse
): Promise<void> => {
  const { socket } = request
  if (!script.has("early")) await arrived
  await sleep(script.millis("delay") ?? 0)
  if (script.has("reset")) return void socket.resetAndDestroy()
  const raw = script.text("raw")
  if (raw !== undefined) {
    socket.write(Buffer.from(raw, "base64"))
    if (script.has("rawend")) socket.end()
    return
  }
  const { answer } = script
  writeHead(script, response)
  if (script.has("cut") || script.has("pause")) {
    const half = Math.floor(answer.body.length / 2)
    response.write(answer.body.slice(0, half))
    await sleep(script.millis("pause") ?? 50)
    if (script.has("cut")) return void socket.destroy()
    response.write(answer.body.slice(half))
  } else if (request.method !== "HEAD") response.write(answer.body)
  if (answer.trailers.length > 0) {
    response.addTrailers(answer.trailers.map(([name, value]): [string, string] => [name, value]))
  }
  response.end()
}

const writeHead = (script: Script.Script, response: Http.ServerResponse): void => {
  const { body, bodyless, headers, status, trailers } = script.answer
  const trailing = trailers.length > 0
  const counted = !script.has("chunked") && !trailing && !bodyless
  response.sendDate = false
  const fields: ReadonlyArray<readonly [string, string]> = [
    ["content-type", "application/json"],
    ...headers,
    ...(counted ? [["content-length", String(Buffer.byteLength(body))] as const] : []),
    ...(trailing
      ? [["transfer-encoding", "chunked"], ["trailer", trailers.map(([name]) => name).join(", ")]] as const
      : [])
  ]
  response.writeHead(status, fields.flat())
}
