/** A gRPC application and its clients, by `@grpc/grpc-js`: messages are bytes, so that no schema is needed. */
import * as Grpc from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"

const bytes = (message: Buffer): Buffer => message

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes
})

const service = {
  Unary: method("Unary", false, false),
  Collect: method("Collect", true, false),
  Count: method("Count", false, true),
  Chat: method("Chat", true, true)
}

export interface Application {
  readonly port: number
  /** Calls at hand, and the most that there were. */
  readonly open: () => number
  readonly peak: () => number
  /** Names of the methods of calls that were cancelled. */
  readonly cancelled: ReadonlyArray<string>
  /** What came with the last call. */
  readonly metadata: () => Grpc.Metadata
  readonly deadline: () => Grpc.Deadline
}

/**
 * `Unary` answers with what it gets, or as the metadata `x-do` has it: `fail` or `hang`. `Collect` answers with all pieces as one,
 * `Count` with as many numbers as asked for (0: without end), `Chat` with each piece.
 */
export const start: Effect.Effect<Application, never, Scope.Scope> = Effect.gen(function*() {
  const cancelled: Array<string> = []
  let [open, peak] = [0, 0]
  let metadata = new Grpc.Metadata()
  let deadline: Grpc.Deadline = Infinity
  /** Returns what ends it in order. */
  const begin = (name: string, call: Call): () => void => {
    let isOver = false
    peak = Math.max(peak, ++open)
    metadata = call.metadata
    deadline = call.getDeadline()
    const over = () => {
      if (!isOver) open--
      isOver = true
    }
    // Trap: it comes after each unary call as well.
    call.once("cancelled", () => {
      if (!isOver) cancelled.push(name)
      over()
    })
    const initial = new Grpc.Metadata()
    initial.set("x-initial", "first")
    call.sendMetadata(initial)
    return over
  }
  const server = new Grpc.Server({ "grpc.max_receive_message_length": -1 })
  server.addService(service, {
    Unary: (call: Grpc.ServerUnaryCall<Buffer, Buffer>, answer: Grpc.sendUnaryData<Buffer>) => {
      const over = begin("Unary", call)
      const wanted = call.metadata.get("x-do")[0]
      if (wanted === "hang") return
      over()
      if (wanted === "fail") answer(failure())
      else answer(null, call.request, trailer())
    },
    Collect: (call: Grpc.ServerReadableStream<Buffer, Buffer>, answer: Grpc.sendUnaryData<Buffer>) => {
      const over = begin("Collect", call)
      const pieces: Array<Buffer> = []
      call.on("data", (piece: Buffer) => pieces.push(piece))
      call.on("end", () => {
        over()
        answer(null, Buffer.concat(pieces), trailer())
      })
    },
    Count: (call: Grpc.ServerWritableStream<Buffer, Buffer>) => {
      const over = begin("Count", call)
      const wanted = Number(call.request.toString()) || Infinity
      let at = 0
      const more = () => {
        for (; !call.cancelled && at < wanted;) {
          if (!call.write(Buffer.from(String(++at)))) return void call.once("drain", more)
        }
        if (call.cancelled) return
        over()
        call.end(trailer())
      }
      more()
    },
    Chat: (call: Grpc.ServerDuplexStream<Buffer, Buffer>) => {
      const over = begin("Chat", call)
      call.on("data", (piece: Buffer) => call.write(piece))
      // A cancelled request ends as well, some turns before it is said to be cancelled.
      const end = (turns: number): void => {
        if (call.cancelled) return
        if (turns > 0) return void setImmediate(end, turns - 1)
        over()
        call.end(trailer())
      }
      call.on("end", () => end(100))
    }
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.bindAsync(
        "127.0.0.1:0",
        Grpc.ServerCredentials.createInsecure(),
        (error, bound) => resume(error === null ? Effect.succeed(bound) : Effect.die(error))
      )
    }),
    () => Effect.sync(() => server.forceShutdown())
  )
  return {
    port,
    open: () => open,
    peak: () => peak,
    cancelled,
    metadata: () => metadata,
    deadline: () => deadline
  }
})

/** What all kinds of calls have in common at the server. */
interface Call {
  readonly metadata: Grpc.Metadata
  readonly sendMetadata: (metadata: Grpc.Metadata) => void
  readonly getDeadline: () => Grpc.Deadline
  readonly once: (event: "cancelled", listener: () => void) => unknown
}

const trailer = (): Grpc.Metadata => {
  const last = new Grpc.Metadata()
  last.set("x-last", "done")
  last.set("x-last-bin", Buffer.from([0, 255, 10]))
  return last
}

const failure = (): Partial<Grpc.StatusObject> => ({
  code: Grpc.status.FAILED_PRECONDITION,
  details: "the lamp is off: ü 100%",
  metadata: trailer()
})

export const client = (port: number): Effect.Effect<Grpc.Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure(), {
        "grpc.max_receive_message_length": -1,
        // What a proxy answers is to be seen, not what a client makes of it.
        "grpc.enable_retries": 0
      })
    ),
    (self) => Effect.sync(() => self.close())
  )

export interface Ended {
  readonly code: Grpc.status
  readonly details: string
  /** Of the trailers. */
  readonly trailers: Grpc.Metadata
  /** Of the head of the answer; undefined: there was none. */
  readonly initial: Grpc.Metadata | undefined
  readonly messages: ReadonlyArray<Buffer>
}

export interface Sent {
  readonly metadata?: Readonly<Record<string, string | Buffer>>
  readonly deadline?: Grpc.Deadline
}

const sent = ({ deadline, metadata = {} }: Sent): [Grpc.Metadata, Grpc.CallOptions] => {
  const all = new Grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) all.set(name, value)
  return [all, deadline === undefined ? {} : { deadline }]
}

/** What all kinds of calls have in common at the client. */
interface Asking {
  on(event: "metadata", listener: (metadata: Grpc.Metadata) => void): unknown
  on(event: "error", listener: () => void): unknown
  on(event: "status", listener: (status: Grpc.StatusObject) => void): unknown
}

/** How a call ends. */
const ended = (call: Asking, messages: ReadonlyArray<Buffer>): Promise<Ended> =>
  new Promise((resolve) => {
    let initial: Grpc.Metadata | undefined
    call.on("metadata", (metadata) => {
      initial = metadata
    })
    call.on("error", () => {}) // `status` tells
    call.on("status", ({ code, details, metadata: trailers }) => {
      // It may come before the last message.
      setImmediate(() => resolve({ code, details, trailers, initial, messages }))
    })
  })

export const unary = (
  client: Grpc.Client,
  message: Buffer,
  options: Sent = {},
  name = "Unary"
): { readonly call: Grpc.ClientUnaryCall; readonly ended: Promise<Ended> } => {
  const messages: Array<Buffer> = []
  const call = client.makeUnaryRequest(
    `/test.Echo/${name}`,
    bytes,
    bytes,
    message,
    ...sent(options),
    (_, answer?: Buffer) => {
      if (answer !== undefined) messages.push(answer)
    }
  )
  return { call, ended: ended(call, messages) }
}

export const collect = (client: Grpc.Client, options: Sent = {}) => {
  const messages: Array<Buffer> = []
  const call = client.makeClientStreamRequest(
    "/test.Echo/Collect",
    bytes,
    bytes,
    ...sent(options),
    (_, answer?: Buffer) => {
      if (answer !== undefined) messages.push(answer)
    }
  )
  return { call, ended: ended(call, messages) }
}

export const count = (client: Grpc.Client, wanted: number, options: Sent = {}) => {
  const call = client.makeServerStreamRequest(
    "/test.Echo/Count",
    bytes,
    bytes,
    Buffer.from(String(wanted)),
    ...sent(options)
  )
  return { call, ...heard(call) }
}

export const chat = (client: Grpc.Client, options: Sent = {}) => {
  const call = client.makeBidiStreamRequest("/test.Echo/Chat", bytes, bytes, ...sent(options))
  return { call, ...heard(call) }
}

const heard = (call: Grpc.ClientReadableStream<Buffer> | Grpc.ClientDuplexStream<Buffer, Buffer>) => {
  const messages: Array<Buffer> = []
  call.on("data", (message: Buffer) => messages.push(message))
  return { messages, ended: ended(call, messages) }
}
