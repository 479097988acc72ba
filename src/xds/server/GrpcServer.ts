/**
 * Calls of gRPC that stream both ways, over Node's HTTP/2 and without TLS, as a Consul agent takes them on its `grpc` port. One
 * method is all that an Envoy asks for: a framework would cost more than these lines.
 */
import { Effect, Schema, type Scope } from "effect"
import * as Http2 from "node:http2"
import * as Frames from "./Frames.ts"

/** A call, from its head on. */
export interface Call {
  /** In lower case. Undefined: it was not sent. */
  readonly metadata: (name: string) => string | undefined
  /** Where the caller is, for logs. */
  readonly peer: string
  readonly send: (message: Uint8Array) => void
  /** `status` is one of gRPC; 0: in order. Nothing can be sent after it. */
  readonly end: (status: number, message: string) => void
}

export interface Handler {
  readonly message: (message: Uint8Array) => void
  /** All that has arrived at once has been handed over. */
  readonly drained: () => void
  /** The call is over, whoever ended it. Said once. */
  readonly closed: () => void
}

export class GrpcListenError extends Schema.TaggedError<GrpcListenError>()("GrpcListenError", {
  host: Schema.String,
  port: Schema.Int,
  cause: Schema.Defect()
}) {
  override readonly message = `can not listen for gRPC on ${this.host}:${this.port}: ${
    this.cause instanceof Error ? this.cause.message : String(this.cause)
  }`
}

export interface Options {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** By path, such as `/package.Service/Method`. */
  readonly methods: Readonly<Record<string, (call: Call) => Handler>>
}

/** Listens once it returns. Closing the scope ends every call. */
export const make = Effect.fnUntraced(function*(
  { host, methods, port }: Options
): Effect.fn.Return<{ readonly port: number }, GrpcListenError, Scope.Scope> {
  const server = Http2.createServer()
  const sessions = new Set<Http2.ServerHttp2Session>()
  server.on("session", (session) => {
    sessions.add(session)
    session.on("close", () => sessions.delete(session))
    session.on("error", ignore)
  })
  server.on("sessionError", ignore)
  server.on("stream", (stream, headers) => take(stream, headers, methods))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      for (const session of sessions) session.destroy()
    })
  )
  yield* Effect.callback<void, GrpcListenError>((resume) => {
    server.on("error", (cause) => resume(Effect.fail(new GrpcListenError({ host, port, cause }))))
    server.listen({ host, port }, () => resume(Effect.void))
  })
  const bound = server.address()
  return { port: typeof bound === "object" && bound !== null ? bound.port : port }
})

/** Bytes that a caller has yet to read: everything about thousands of services is less. */
const mostWaiting = 64 * 1024 * 1024

/** An error that nobody listens to ends the process; streams and sessions close after it. */
const ignore = (): void => undefined

const take = (
  stream: Http2.ServerHttp2Stream,
  headers: Http2.IncomingHttpHeaders,
  methods: Options["methods"]
): void => {
  stream.on("error", ignore)
  const method = methods[headers[":path"] ?? ""]
  if (headers[":method"] !== "POST" || !String(headers["content-type"] ?? "").startsWith("application/grpc")) {
    stream.respond({ ":status": 415 }, { endStream: true })
    return
  }
  if (method === undefined) return refuse(stream, 12, `unknown method ${headers[":path"]}`)
  let trailers: Http2.OutgoingHttpHeaders | undefined
  const end = (status: number, message: string): void => {
    if (trailers !== undefined || stream.destroyed) return
    trailers = { "grpc-status": String(status), "grpc-message": encodeURIComponent(message) }
    stream.end()
  }
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
  stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? { "grpc-status": "0" }))
  const handler = method({
    metadata: (name) => {
      const value = headers[name]
      return Array.isArray(value) ? value[0] : value
    },
    peer: `${stream.session?.socket.remoteAddress ?? ""}:${stream.session?.socket.remotePort ?? ""}`,
    send: (message) => {
      if (trailers !== undefined || stream.destroyed) return
      stream.write(Frames.frame(message))
      // It may come back, and is told everything anew.
      if (stream.writableLength > mostWaiting) stream.close(Http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
    },
    end
  })
  const reader = Frames.reader()
  stream.on("data", (chunk: Buffer) => {
    const messages = reader.push(chunk)
    if ("why" in messages) return end(messages.status, messages.why)
    for (const message of messages) handler.message(message)
    handler.drained()
  })
  stream.on("end", () => end(0, ""))
  stream.on("close", () => handler.closed())
}

const refuse = (stream: Http2.ServerHttp2Stream, status: number, message: string): void =>
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(status),
      "grpc-message": encodeURIComponent(message)
    },
    { endStream: true }
  )
