/**
 * Calls by gRPC to one server, over HTTP/2 of Node's own. A connection is asked every so often whether it is still there, and ends
 * with its scope; so do the calls on it.
 *
 * Trap: nothing that follows from an event of a stream may happen on the stack of that event. A fiber that goes on there may end another
 * stream, and Node's HTTP/2 then writes the end of that one over and over, until there is no memory left.
 */
import * as Http2 from "node:http2"
import type * as Tls from "node:tls"
import { Cause, Effect, Queue, Schema, type Scope, Stream } from "effect"
import * as TransportFailure from "../../consul/TransportFailure.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

export const format = ({ host, port }: Address): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

/** What a server may be asked. */
export interface Connection {
  readonly address: Address
  readonly unary: (call: Call, message: Uint8Array) => Effect.Effect<Uint8Array, GrpcError>
  readonly stream: (call: Call) => Effect.Effect<Streaming, GrpcError, Scope.Scope>
}

export interface Call {
  /** `/package.Service/Method`. */
  readonly path: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface Streaming {
  readonly send: (message: Uint8Array) => void
  /** There is nothing more to send. */
  readonly end: () => void
  /** Fails when the stream ends, whoever ends it. */
  readonly messages: Stream.Stream<Uint8Array, GrpcError>
}

/** The server was not reached, or the connection broke. */
export class NotConnected extends Schema.TaggedError<NotConnected>()("NotConnected", { why: Schema.String }) {
  override readonly message = this.why
}

/** The server refused, in words of its own. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { code: Schema.Finite, why: Schema.String }) {
  override readonly message = `${codes[this.code] ?? `code ${this.code}`}: ${this.why}`
}

/** What came is no gRPC. */
export class Unintelligible extends Schema.TaggedError<Unintelligible>()("Unintelligible", { why: Schema.String }) {
  override readonly message = this.why
}

/** A call that did not come to its end. One type in every signature, the details in `reason`. */
export class GrpcError extends Schema.TaggedError<GrpcError>()("GrpcError", {
  server: Schema.String,
  call: Schema.String,
  reason: Schema.Union([NotConnected, Refused, Unintelligible])
}) {
  override readonly message = `${this.call} at ${this.server}: ${this.reason.message}`
}

const codes: Readonly<Record<number, string>> = {
  1: "cancelled",
  2: "unknown",
  3: "invalid argument",
  4: "deadline exceeded",
  5: "not found",
  7: "permission denied",
  8: "resource exhausted",
  10: "aborted",
  12: "not implemented",
  13: "internal",
  14: "unavailable",
  16: "unauthenticated"
}

/** The server does not know the call. */
export const isUnknownCall = ({ reason }: GrpcError): boolean => reason._tag === "Refused" && reason.code === 12

/** The token is not, or not any more, what it should be. */
export const isAboutToken = ({ reason }: GrpcError): boolean =>
  reason._tag === "Refused" && (reason.code === 7 || reason.code === 16)

export interface Options {
  readonly address: Address
  /** Undefined: in the clear. */
  readonly tls: Tls.ConnectionOptions | undefined
}

const connectMillis = 10_000
const unaryMillis = 20_000
const pingMillis = 30_000
/** All that Consul sends of a kind at once. */
const mostBytes = 256 * 1024 * 1024

/** Ready once the server speaks HTTP/2. */
export const connect = ({ address, tls }: Options): Effect.Effect<Connection, GrpcError, Scope.Scope> => {
  const server = format(address)
  const failed = (call: string, reason: GrpcError["reason"]) => new GrpcError({ server, call, reason })
  return Effect.acquireRelease(
    Effect.callback<Http2.ClientHttp2Session, GrpcError>((resume) => {
      const session = Http2.connect(`${tls === undefined ? "http" : "https"}://${server}`, {
        ...tls,
        settings: { enablePush: false }
      })
      const timer = setTimeout(() => session.destroy(new Error(`no answer within ${connectMillis} ms`)), connectMillis)
      session.on("error", (cause) => {
        clearTimeout(timer)
        const reason = new NotConnected({ why: TransportFailure.reasonOf(cause) })
        setImmediate(() => resume(Effect.fail(failed("connecting", reason))))
      })
      session.once("close", () => {
        clearTimeout(timer)
        const reason = new NotConnected({ why: "the connection was closed" })
        setImmediate(() => resume(Effect.fail(failed("connecting", reason))))
      })
      session.once("remoteSettings", () => {
        clearTimeout(timer)
        setImmediate(() => resume(Effect.succeed(session)))
      })
      return Effect.sync(() => session.destroy())
    }),
    (session) => Effect.sync(() => session.destroy()),
    { interruptible: true }
  ).pipe(
    Effect.tap((session) => Effect.forkScoped(keepAlive(session))),
    Effect.map((session) => ({
      address,
      unary: (call, message) => unary(session, call, message, failed),
      stream: (call) => streaming(session, call, failed)
    }))
  )
}

/** A server that is gone without a word is found out by this. */
const keepAlive = (session: Http2.ClientHttp2Session): Effect.Effect<never> => {
  let answered = true
  return Effect.sync(() => {
    if (session.destroyed) return
    if (!answered) return session.destroy(new Error(`no answer to a ping within ${pingMillis} ms`))
    answered = false
    session.ping(() => {
      answered = true
    })
  }).pipe(Effect.delay(pingMillis), Effect.forever)
}

type Failed = (call: string, reason: GrpcError["reason"]) => GrpcError

/** Ends with the scope. */
const streaming = (session: Http2.ClientHttp2Session, call: Call, failed: Failed) =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<Uint8Array, GrpcError>()
    const stream = yield* Effect.acquireRelease(
      Effect.try({
        try: () => begin(session, call, queue, (reason) => failed(call.path, reason)),
        catch: (cause) => failed(call.path, new NotConnected({ why: TransportFailure.reasonOf(cause) }))
      }),
      (stream) => Effect.sync(() => stream.close(Http2.constants.NGHTTP2_CANCEL))
    )
    const self: Streaming = {
      send: (message) => {
        if (!stream.destroyed) stream.write(frame(message))
      },
      end: () => stream.end(),
      messages: Stream.fromQueue(queue)
    }
    return self
  })

const unary = (session: Http2.ClientHttp2Session, call: Call, message: Uint8Array, failed: Failed) =>
  Effect.scoped(Effect.gen(function*() {
    const stream = yield* streaming(session, call, failed)
    stream.send(message)
    stream.end()
    return yield* Stream.runHead(stream.messages).pipe(
      Effect.flatMap(Effect.fromOption),
      Effect.catchTag(
        "NoSuchElementError",
        () => Effect.fail(failed(call.path, new Unintelligible({ why: "there is no message in the answer" })))
      )
    )
  })).pipe(
    Effect.timeoutOrElse({
      duration: unaryMillis,
      orElse: () => Effect.fail(failed(call.path, new NotConnected({ why: `no answer within ${unaryMillis} ms` })))
    })
  )

const begin = (
  session: Http2.ClientHttp2Session,
  { metadata, path }: Call,
  queue: Queue.Queue<Uint8Array, GrpcError>,
  failed: (reason: GrpcError["reason"]) => GrpcError
): Http2.ClientHttp2Stream => {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "effect-mesh",
    ...metadata
  }, { endStream: false })
  const messages = makeMessages()
  let status: GrpcError["reason"] | undefined
  let error: unknown
  const note = (headers: Http2.IncomingHttpHeaders) => {
    const code = headers["grpc-status"]
    if (code === undefined) return
    status = new Refused({
      code: code === "0" ? 0 : Number(code),
      why: code === "0" ? "the server has ended the stream" : wordsOf(headers["grpc-message"])
    })
  }
  stream.on("response", (headers) => {
    const { ":status": http } = headers
    if (http !== 200) status = new Unintelligible({ why: `the server answers ${http} where gRPC is expected` })
    else note(headers)
  })
  stream.on("trailers", note)
  stream.on("error", (cause) => {
    error = cause
  })
  stream.on("data", (chunk: Uint8Array) => {
    try {
      const whole = messages.push(chunk)
      if (whole.length > 0) setImmediate(() => whole.forEach((message) => Queue.offerUnsafe(queue, message)))
    } catch (cause) {
      status = new Unintelligible({ why: cause instanceof Error ? cause.message : String(cause) })
      setImmediate(() => stream.close(Http2.constants.NGHTTP2_CANCEL))
    }
  })
  // The server has said everything, and does not always end our side as well.
  stream.once("end", () => setImmediate(() => stream.close(Http2.constants.NGHTTP2_CANCEL)))
  stream.once("close", () => {
    const reason = status ?? new NotConnected({
      why: error === undefined ? "the connection was closed" : TransportFailure.reasonOf(error)
    })
    setImmediate(() => Queue.failCauseUnsafe(queue, Cause.fail(failed(reason))))
  })
  return stream
}

/** Percent-encoded, and not to be trusted to be so. */
const wordsOf = (message: string | ReadonlyArray<string> | undefined): string => {
  const text = String(message ?? "").slice(0, 1000)
  try {
    return decodeURIComponent(text) || "no reason is given"
  } catch {
    return text
  }
}

/** A message with its head: not compressed, and its length. */
export const frame = (message: Uint8Array): Buffer => {
  const framed = Buffer.allocUnsafe(5 + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, 5)
  return framed
}

/** Puts messages together that come in pieces. Throws on what is none. */
export const makeMessages = (most = mostBytes) => {
  let pieces: Array<Uint8Array> = []
  let length = 0
  const gathered = (): Buffer => {
    const all = pieces.length === 1 ? Buffer.from(pieces[0]!) : Buffer.concat(pieces)
    pieces = [all]
    return all
  }
  let wanted = 5
  return {
    push: (chunk: Uint8Array): ReadonlyArray<Uint8Array> => {
      pieces.push(chunk)
      length += chunk.length
      const messages: Array<Uint8Array> = []
      while (length >= wanted) {
        const all = gathered()
        const size = all.readUInt32BE(1)
        if (all[0] !== 0) throw new Error("a compressed message, which nobody asked for")
        if (size > most) throw new Error(`a message of ${size} bytes, which is more than ${most}`)
        if (length < 5 + size) {
          wanted = 5 + size
          break
        }
        messages.push(all.subarray(5, 5 + size))
        pieces = [all.subarray(5 + size)]
        length -= 5 + size
        wanted = 5
      }
      return messages
    }
  }
}
