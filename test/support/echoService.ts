/** An application over HTTP/1.1 or plain HTTP/2 that sends back what it gets and remembers it, and its clients: Node's own. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { AddressInfo, Socket } from "node:net"
import { buffer } from "node:stream/consumers"
import { Effect, type Scope } from "effect"
import { NoAnswer } from "./http.ts"

type Fields = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

export interface Seen {
  readonly version: string
  readonly method: string
  readonly target: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: Fields
}

export interface Application {
  readonly port: number
  readonly name: string
  /** In the order in which they were complete. */
  readonly seen: Array<Seen>
  /** Statuses of the next answers. None left: 200. */
  readonly statuses: Array<number>
}

/** `POST` answers with the body as it comes, in chunks and with a trailer; everything else with the name of the application. */
export const start = (
  name: string,
  version: "1.1" | "2",
  observed: (session: Http2.Http2Session) => void = () => {}
): Effect.Effect<Application, never, Scope.Scope> =>
  Effect.gen(function*() {
    const seen: Array<Seen> = []
    const statuses: Array<number> = []
    const answer = async (
      request: Http.IncomingMessage | Http2.Http2ServerRequest,
      response: Http.ServerResponse | Http2.Http2ServerResponse<Http2.Http2ServerRequest>
    ) => {
      const { headers, method = "", url: target = "" } = request
      const body = await buffer(request)
      if ("stream" in request && request.stream.session !== undefined) observed(request.stream.session)
      seen.push({ version: request.httpVersion, method, target, headers, body, trailers: request.trailers })
      response.statusCode = statuses.shift() ?? 200
      if (method !== "POST") {
        response.setHeader("content-length", name.length)
        return response.end(name)
      }
      if (version === "1.1") response.setHeader("trailer", "x-last")
      response.addTrailers({ "x-last": "done" })
      return response.end(body)
    }
    const listener = (...[request, response]: Parameters<typeof answer>) =>
      void answer(request, response).catch(() => {})
    const port = yield* Effect.acquireRelease(
      Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
        const server = version === "2"
          ? Http2.createServer({ maxSessionMemory: 100 }, listener)
          : Http.createServer(listener)
        const sockets = new Set<Socket>()
        server.on("connection", (socket: Socket) => sockets.add(socket))
        const close = () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        server.listen(0, "127.0.0.1", () => {
          resume(Effect.succeed({ port: (server.address() as AddressInfo).port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    )
    return { port: port.port, name, seen, statuses }
  })

export interface Ask {
  readonly path?: string
  readonly method?: string
  readonly headers?: Http.OutgoingHttpHeaders
  /** Several: in chunks. */
  readonly body?: ReadonlyArray<Buffer | string>
  readonly trailers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: Fields
}

const noAnswer = (cause: unknown) => new NoAnswer({ why: cause instanceof Error ? cause.message : String(cause) })

export type Client = (ask?: Ask) => Effect.Effect<Answer, NoAnswer>

/** One kept HTTP/1.1 connection, or as many as it takes. */
export const client = (port: number): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) => ({ body = [], headers = {}, method = "GET", path = "/", trailers } = {}) =>
      Effect.tryPromise({
        try: (signal) =>
          new Promise<Answer>((resolve, reject) => {
            const request = Http.request(
              { agent, port, host: "127.0.0.1", method, path, headers, signal },
              (response) => {
                buffer(response).then(
                  (body) =>
                    resolve({
                      status: response.statusCode ?? 0,
                      headers: response.headers,
                      body,
                      trailers: response.trailers
                    }),
                  reject
                )
              }
            )
            request.on("error", reject)
            for (const piece of body.slice(0, -1)) request.write(piece)
            if (trailers !== undefined) request.addTrailers(trailers)
            request.end(body.at(-1))
          }),
        catch: noAnswer
      })
  )

/** One plain HTTP/2 connection. */
export const session = (port: number): Effect.Effect<Http2.ClientHttp2Session, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const session = Http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 100 })
      session.on("error", () => {})
      return session
    }),
    (session) => Effect.sync(() => session.destroy())
  )

export const ask2 = (
  session: Http2.ClientHttp2Session,
  { body = [], headers = {}, method = "GET", path = "/", trailers }: Ask = {}
): Effect.Effect<Answer, NoAnswer> =>
  Effect.tryPromise({
    try: () =>
      new Promise<Answer>((resolve, reject) => {
        const stream = session.request({ ...headers, ":path": path, ":method": method }, {
          endStream: body.length === 0 && trailers === undefined,
          waitForTrailers: trailers !== undefined
        })
        let head: Http2.IncomingHttpHeaders & Http2.IncomingHttpStatusHeader = {}
        let last: Fields = {}
        stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}))
        stream.on("response", (received) => {
          head = received
        })
        stream.on("trailers", (received) => {
          last = received
        })
        stream.on("error", reject)
        buffer(stream).then(
          (bytes) =>
            stream.once(
              "close",
              () => resolve({ status: head[":status"] ?? 0, headers: head, body: bytes, trailers: last })
            ),
          reject
        )
        for (const piece of body) stream.write(piece)
        stream.end()
      }),
    catch: noAnswer
  })
