/** Requests over HTTP/2 to an instance: Node's own server, and one that speaks by frames written by hand. */
import * as Http2 from "node:http2"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FiberSet } from "effect"
import * as Fields from "../../../src/http/h1/Fields.ts"
import type * as Head from "../../../src/http/h1/Head.ts"
import * as Circuit from "../../../src/http/relay/Circuit.ts"
import type * as Exchange from "../../../src/http/relay/Exchange.ts"
import * as Http2Connections from "../../../src/http/relay/Http2Connections.ts"
import type * as Instance from "../../../src/http/relay/Instance.ts"
import * as Splice from "../../../src/net/Splice.ts"
import * as OrderlyEnd from "../../../src/tls/OrderlyEnd.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Sockets from "../../support/sockets.ts"

const fieldsOf = (text: string): Fields.Fields => {
  const fields = Fields.parse(`${text}\r\n`, 0, 1000)
  if (fields._tag === "Fault") throw new Error(fields.why)
  return fields
}

const get = (target = "/", more = ""): Exchange.RequestHead => ({
  method: "GET",
  target,
  fields: fieldsOf("Host: api.test\r\n"),
  dropped: [],
  more,
  body: "none",
  upgrades: false
})

const post = (target = "/", more = ""): Exchange.RequestHead => ({
  ...get(target, more),
  method: "POST",
  body: "streamed"
})

/** Hears an attempt. */
class Call implements Exchange.Attempt {
  readonly head: Exchange.RequestHead
  outbound: Exchange.Outbound | undefined
  answers: Array<Head.Answer> = []
  body = ""
  bytes = 0
  ends = 0
  trailers: Fields.Fields | undefined
  drains = 0
  failures: Array<Exchange.Failure> = []
  constructor(head: Exchange.RequestHead = get()) {
    this.head = head
  }
  connected(outbound: Exchange.Outbound) {
    this.outbound = outbound
    outbound.send(this.head)
  }
  answered(head: Head.Answer) {
    this.answers.push(head)
  }
  data(bytes: Buffer) {
    this.bytes += bytes.length
    if (this.bytes < 10_000) this.body += bytes.toString("latin1")
  }
  end(trailers: Fields.Fields | undefined) {
    this.ends++
    this.trailers = trailers
  }
  drained() {
    this.drains++
  }
  failed(failure: Exchange.Failure) {
    this.failures.push(failure)
  }
  get isOver() {
    return this.ends + this.failures.length > 0
  }
  /** Waits for the end, and says how it went. */
  get outcome() {
    return Effect.map(
      Sockets.eventually(() => this.isOver),
      () =>
        this.ends > 0
          ? "whole"
          : this.failures.map((failure) => `${failure._tag}${"why" in failure ? ` ${failure.why}` : ""}`).join()
    )
  }
}

const dial = (port: number): Effect.Effect<Splice.Side, Instance.Unreachable> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
    socket.on("error", (error) => resume(Effect.fail({ timedOut: false, why: error.message })))
    socket.once("connect", () => resume(Effect.succeed(Splice.plain(socket))))
  })

/** As the mesh connects. */
const dialSecurely = (port: number): Effect.Effect<Splice.Side, Instance.Unreachable> =>
  Effect.callback((resume) => {
    const transport = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
    const socket = Tls.connect({ socket: transport, rejectUnauthorized: false, ALPNProtocols: ["h2"] })
    socket.on("error", (error) => resume(Effect.fail({ timedOut: false, why: error.message })))
    socket.once("secureConnect", () => {
      OrderlyEnd.demand(socket, transport)
      setImmediate(() => resume(Effect.succeed(Splice.tls(socket, transport))))
    })
  })

const connections = Effect.fnUntraced(
  function*(
    port: number,
    options: Partial<Instance.Options> & { readonly limits?: Partial<Circuit.Limits> } = {}
  ) {
    const run = yield* FiberSet.makeRuntime()
    const circuit = Circuit.make(options.limits)
    const made = new Http2Connections.Http2Connections({
      remote: `127.0.0.1:${port}`,
      open: dial(port),
      run,
      circuit,
      idleMillis: 60_000,
      ...options
    })
    yield* Effect.addFinalizer(() => made.destroy)
    return Object.assign(made, { circuit })
  }
)

const start = (made: Exchange.Connections, head?: Exchange.RequestHead) => {
  const call = new Call(head)
  return Object.assign(call, { waiting: made.begin(call) })
}

/** Node's server. */
const serve = Effect.fnUntraced(
  function*(
    handle: (stream: Http2.ServerHttp2Stream, headers: Http2.IncomingHttpHeaders, raw: ReadonlyArray<string>) => void,
    settings: Http2.Settings = {}
  ) {
    const options = { settings, strictSingleValueFields: false }
    const server = Http2.createServer(options)
    const sessions: Array<Http2.ServerHttp2Session> = []
    server.on("session", (session) => sessions.push(session))
    server.on("stream", (stream, headers, _, raw) => {
      stream.on("error", () => {})
      handle(stream, headers, raw)
    })
    server.on("sessionError", () => {})
    const { port, sockets } = yield* Sockets.server((socket) => void server.emit("connection", socket))
    return { port, server, sessions, sockets }
  }
)

/** An instance by frames: `heard` gets each that comes, and what writes back. */
const script = Effect.fnUntraced(
  function*(heard: (frame: Frames.Frame, write: (...frames: ReadonlyArray<Buffer>) => void, nth: number) => void) {
    let nth = 0
    const { port, sockets } = yield* Sockets.server((socket) => {
      const self = nth++
      let received = Buffer.alloc(0)
      let told = 0
      socket.write(Frames.frame(Frames.type.settings, 0, 0))
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const frames = Frames.parse(received.subarray(24))
        for (; told < frames.length; told++) {
          heard(frames[told]!, (...bytes) => void socket.write(Buffer.concat(bytes)), self)
        }
      })
    })
    return { port, sockets, count: () => nth }
  }
)

const ok = Buffer.from([0x88])
const field = Frames.literal
const answer = (stream: number, last: boolean, ...fields: ReadonlyArray<Buffer>) =>
  Frames.frame(Frames.type.headers, last ? 5 : 4, stream, Buffer.concat([ok, ...fields]))

describe("a request", () => {
  it.live("is sent as it is, without what belongs to a connection", () =>
    Effect.gen(function*() {
      const seen: Array<ReadonlyArray<string>> = []
      const { port } = yield* serve((stream, _, raw) => {
        seen.push(raw)
        stream.respond({}, { endStream: true })
      })
      const made = yield* connections(port)
      const fields = fieldsOf(
        "Host: api.test\r\nX-A: 1\r\nx-a: caf\xe9\r\nConnection: x\r\nX-Gone: 1\r\nUpgrade: h2c\r\nTE: trailers\r\nAge: 1\r\nage: 2\r\n"
      )
      const call = start(made, { ...get("/a?b", "x-more: 1\r\n"), fields, dropped: [4] })
      assert.strictEqual(yield* call.outcome, "whole")
      assert.sameMembers([...seen[0]!.filter((_, at) => at % 2 === 0 && at < 8)], [
        ...[":method", ":scheme", ":path", ":authority"]
      ])
      assert.deepStrictEqual(Object.fromEntries([0, 2, 4, 6].map((at) => [seen[0]![at], seen[0]![at + 1]])), {
        ":method": "GET",
        ":scheme": "http",
        ":path": "/a?b",
        ":authority": "api.test"
      })
      assert.deepStrictEqual(seen[0]!.slice(8), [
        ...["x-a", "1", "x-a", "caf\xe9", "te", "trailers", "age", "1", "age", "2", "x-more", "1"]
      ])
      assert.match(call.outbound!.local, /^127\.0\.0\.1:\d+$/)
      assert.deepStrictEqual(made.circuit.connections, 1)
      yield* Sockets.eventually(() => made.circuit.requests === 0)
    }))

  it.live("has a body and trailers, as has its answer", () =>
    Effect.gen(function*() {
      const trailers: Array<ReadonlyArray<string>> = []
      const { port } = yield* serve((stream) => {
        stream.respond({ "x-a": ["1", "2"] }, { waitForTrailers: true, sendDate: false } as never)
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-t": ["1", "caf\xe9"] }))
        stream.on("trailers", (_, __, raw) => trailers.push(raw))
        stream.pipe(stream)
      })
      const call = start(yield* connections(port), post())
      yield* Sockets.eventually(() => call.answers.length === 1)
      call.outbound!.write(Buffer.from("hel"))
      call.outbound!.write(Buffer.from("lo"))
      call.outbound!.end(fieldsOf("X-R: 1\r\nx-r: 2\r\nContent-Length: 3\r\n"))
      assert.strictEqual(yield* call.outcome, "whole")
      assert.deepStrictEqual([call.body, call.trailers?.toRaw()], ["hello", ["x-t", "1", "x-t", "caf\xe9"]])
      assert.deepStrictEqual(trailers, [["x-r", "1", "x-r", "2"]])
      const [head] = call.answers
      assert.strictEqual(head!.fields.text, "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\n\r\n")
      assert.deepStrictEqual([head!.status, head!.reason, head!.framing], [200, "OK", { _tag: "Chunked" }])
    }))

  it.live("by CONNECT is a tunnel", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      const { port } = yield* serve((stream, headers) => {
        seen.push(headers[":authority"], headers[":path"])
        stream.respond()
        stream.pipe(stream)
      })
      const call = start(yield* connections(port), { ...post("api:80"), method: "CONNECT" })
      call.outbound?.write(Buffer.from("x"))
      yield* Sockets.eventually(() => call.answers.length === 1)
      call.outbound!.write(Buffer.from("hello"))
      yield* Sockets.eventually(() => call.body.endsWith("hello"))
      call.outbound!.end(undefined)
      assert.strictEqual(yield* call.outcome, "whole")
      assert.deepStrictEqual(seen, ["api:80", undefined])
    }))

  it.live("waits for an instance that does not read it", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      let received = 0
      const { port } = yield* serve((stream) => {
        streams.push(stream)
        stream.pause()
        stream.respond()
        stream.on("data", (chunk: Buffer) => (received += chunk.length))
        stream.on("end", () => stream.end())
      })
      const made = yield* connections(port)
      const call = start(made, post())
      yield* Sockets.eventually(() => call.answers.length === 1)
      let written = 0
      const fill = () => {
        while (written < 32 * 1024 * 1024) {
          written += 16_384
          if (!call.outbound!.write(Buffer.alloc(16_384))) return
        }
        call.outbound!.end(undefined)
      }
      call.drained = fill
      fill()
      const other = start(made, post())
      yield* Sockets.eventually(() => other.answers.length === 1)
      streams[1]!.resume()
      other.outbound!.end(undefined)
      assert.strictEqual(yield* other.outcome, "whole")
      assert.isBelow(written, 1024 * 1024)
      streams[0]!.resume()
      assert.strictEqual(yield* call.outcome, "whole")
      assert.deepStrictEqual([received, written], [32 * 1024 * 1024, 32 * 1024 * 1024])
    }), 30_000)

  it.live("that is cancelled is reset, and hears nothing more", () =>
    Effect.gen(function*() {
      const codes: Array<number> = []
      const { port } = yield* serve((stream) => {
        stream.respond()
        stream.write("some")
        stream.on("close", () => codes.push(stream.rstCode))
      })
      const made = yield* connections(port)
      const early = start(made)
      early.waiting.cancel()
      early.waiting.cancel()
      assert.strictEqual(made.circuit.pending, 0)
      const call = start(made)
      yield* Sockets.eventually(() => call.body === "some")
      call.waiting.cancel()
      call.outbound!.cancel()
      call.outbound!.cancel()
      yield* Sockets.eventually(() => codes.length === 1 && made.circuit.requests === 0)
      assert.deepStrictEqual([codes, call.isOver, early.isOver, early.outbound], [[8], false, false, undefined])
      const unsent = new Call()
      unsent.connected = (outbound) => outbound.cancel()
      made.begin(unsent)
      assert.strictEqual(made.circuit.requests, 0)
    }))
})

describe("a request that is given up while it is answered", () => {
  for (const when of ["answered", "data", "end"] as const) {
    for (const body of ["none", "streamed"] as const) {
      it.live(`at ${when}, with a body that is ${body}: hears nothing more`, () =>
        Effect.gen(function*() {
          const codes: Array<number> = []
          const { port, sessions } = yield* serve((stream) => {
            stream.on("close", () => codes.push(stream.rstCode))
            stream.respond()
            stream.write("some")
            if (when === "end") stream.end("more")
          })
          const made = yield* connections(port)
          const calls = Array.from({ length: 3 }, () => {
            const call = new Call({ ...post(), body })
            const heard = call[when] as (...args: Array<unknown>) => void
            Object.assign(call, {
              [when]: (...args: Array<unknown>) => {
                heard.apply(call, args)
                call.outbound!.cancel()
              }
            })
            made.begin(call)
            return call
          })
          yield* Sockets.eventually(() => codes.length === 3 && made.circuit.requests === 0)
          assert.deepStrictEqual(codes, Array(3).fill(when === "end" ? 0 : 8))
          for (const call of calls) {
            assert.deepStrictEqual([call.ends, call.failures.length], [when === "end" ? 1 : 0, 0])
          }
          assert.strictEqual(sessions.length, 1)
        }))
    }
  }
})

describe("an answer", () => {
  it.live("says how its body is told from what follows", () =>
    Effect.gen(function*() {
      const { port } = yield* serve((stream, { ":path": path = "" }) => {
        const [, status, length, body] = path.split("/")
        stream.respond({ ":status": Number(status), ...(length === "" ? {} : { "content-length": length }) })
        stream.end(body)
      })
      const made = yield* connections(port)
      const ask = (method: string, target: string) =>
        Effect.gen(function*() {
          const call = start(made, { ...get(target), method })
          assert.strictEqual(yield* call.outcome, "whole")
          return [call.answers[0]!.status, call.answers[0]!.reason, call.answers[0]!.framing, call.body]
        })
      assert.deepStrictEqual(yield* ask("GET", "/200/5/hello"), [200, "OK", { _tag: "Length", bytes: 5 }, "hello"])
      assert.deepStrictEqual(yield* ask("GET", "/404//hello"), [404, "Not Found", { _tag: "Chunked" }, "hello"])
      assert.deepStrictEqual(yield* ask("HEAD", "/200/5/"), [200, "OK", { _tag: "Length", bytes: 0 }, ""])
      assert.deepStrictEqual(yield* ask("GET", "/204//"), [204, "No Content", { _tag: "Length", bytes: 0 }, ""])
      assert.deepStrictEqual(yield* ask("GET", "/304/5/"), [304, "Not Modified", { _tag: "Length", bytes: 0 }, ""])
    }))

  it.live("comes after provisional ones, of which 100 is between us and the instance", () =>
    Effect.gen(function*() {
      const { port } = yield* serve((stream) => {
        stream.additionalHeaders({ ":status": 100 })
        stream.additionalHeaders({ ":status": 103, link: ["a", "b"] })
        stream.respond({ ":status": 200 }, { endStream: true })
      })
      const call = start(yield* connections(port))
      assert.strictEqual(yield* call.outcome, "whole")
      assert.deepStrictEqual(call.answers.map(({ status }) => status), [103, 200])
      assert.deepStrictEqual(call.answers[0]!.fields.toRaw(), ["link", "a", "link", "b"])
    }))

  it.live("is read as fast as it is taken", () =>
    Effect.gen(function*() {
      let written = 0
      const { port } = yield* serve((stream, headers) => {
        stream.respond()
        if (headers[":path"] === "/short") return void stream.end("short")
        const fill = () => {
          while (written < 16 * 1024 * 1024) {
            written += 16_384
            if (!stream.write(Buffer.alloc(16_384))) return
          }
          stream.end()
        }
        stream.on("drain", fill)
        fill()
      })
      const made = yield* connections(port)
      const call = start(made)
      const { data } = call
      call.data = (bytes) => {
        data.call(call, bytes)
        call.outbound!.pause()
      }
      yield* Sockets.eventually(() => call.bytes > 0)
      const other = start(made, get("/short"))
      assert.strictEqual(yield* other.outcome, "whole")
      assert.isBelow(written, 1024 * 1024)
      call.data = data
      call.outbound!.resume()
      assert.strictEqual(yield* call.outcome, "whole")
      assert.strictEqual(call.bytes, 16 * 1024 * 1024)
    }))

  it.live("before the end of its request ends that as well", () =>
    Effect.gen(function*() {
      const codes: Array<number> = []
      const { port } = yield* serve((stream) => {
        stream.respond()
        stream.end("early")
        stream.resume()
        stream.on("close", () => codes.push(stream.rstCode))
      })
      const made = yield* connections(port)
      const call = start(made, post())
      assert.strictEqual(yield* call.outcome, "whole")
      assert.strictEqual(call.body, "early")
      assert.isTrue(call.outbound!.write(Buffer.from("late")))
      call.outbound!.end(undefined)
      yield* Sockets.eventually(() => codes.length === 1 && made.circuit.requests === 0)
      assert.deepStrictEqual(codes, [8])
    }))

  /** What an instance does to the first stream, and what comes of it. */
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<Buffer>, string]> = [
    ["a reset before the head", [Frames.rstStream(1, 2)], "Reset stream"],
    [
      "a reset within the body",
      [answer(1, false), Frames.data(1, Buffer.from("x")), Frames.rstStream(1, 2)],
      "Reset stream"
    ],
    ["a reset within the body, for calm", [answer(1, false), Frames.rstStream(1, 11)], "Reset stream"],
    ["a reset within the body, cancelled", [answer(1, false), Frames.rstStream(1, 8)], "Reset stream"],
    [
      "a reset within the body without an error",
      [answer(1, false), Frames.data(1, Buffer.from("x")), Frames.rstStream(1, 0)],
      "Reset stream"
    ],
    ["a reset before the head without an error", [Frames.rstStream(1, 0)], "Reset stream"],
    ["a refusal", [Frames.rstStream(1, 7)], "Refused"],
    ["a GOAWAY that leaves it out", [Frames.goAway(0, 0)], "Refused"],
    ["a GOAWAY that leaves it out, for calm", [Frames.goAway(0, 11)], "Refused"],
    ["a GOAWAY for calm that has it", [Frames.goAway(1, 11)], "Reset connection"],
    [
      "a body shorter than its length",
      [answer(1, false, field("content-length", "3")), Frames.data(1, Buffer.from("ab"), true)],
      "Reset stream"
    ],
    [
      "a body longer than its length",
      [answer(1, false, field("content-length", "3")), Frames.data(1, Buffer.from("abcd"), true)],
      "Reset connection"
    ],
    ["a connection field", [answer(1, true, field("connection", "close"))], "Reset stream"],
    ["a transfer coding", [answer(1, false, field("transfer-encoding", "chunked"))], "Reset stream"],
    ["a name in upper case", [answer(1, true, field("X-A", "1"))], "Reset stream"],
    ["two lengths", [answer(1, false, field("content-length", "3"), field("content-length", "3"))], "Reset stream"],
    [
      "settings for upgrades",
      [answer(1, true, field("http2-settings", "x"))],
      "Malformed http2-settings has no place in HTTP/2"
    ],
    ["no status", [Frames.frame(1, 5, 1, field("x-a", "1"))], "Reset stream"],
    ["an odd status", [Frames.frame(1, 5, 1, field(":status", "2000"))], "Reset stream"],
    ["101", [Frames.frame(1, 4, 1, field(":status", "101"))], "Reset stream"],
    [
      "too many fields",
      [answer(1, true, ...Array.from({ length: 101 }, () => field("x", "1")))],
      "Malformed there are more than 100 fields"
    ],
    [
      "provisional answers without an end",
      Array.from({ length: 33 }, () => Frames.frame(1, 4, 1, field(":status", "103"))),
      "Malformed there are more than 32 provisional answers"
    ],
    ["trailers that are pseudo", [answer(1, false), Frames.frame(1, 5, 1, field(":status", "200"))], "Reset stream"],
    [
      "a push, and a refusal",
      [
        Frames.frame(5, 4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), Frames.request("GET", "/")])),
        Frames.frame(1, 4, 2, ok),
        Frames.data(2, Buffer.from("pushed")),
        Frames.rstStream(1, 7)
      ],
      "Refused"
    ],
    ["no frames", [Buffer.alloc(100, 5)], "Reset connection"],
    ["data before a head", [Frames.data(1, Buffer.from("x"), true)], "Reset connection"]
  ]
  for (const [title, frames, expected, head] of cases.flatMap((one) => [[...one, get()], [...one, post()]] as const)) {
    it.live(`to ${head.method} of ${title}: ${expected}`, () =>
      Effect.gen(function*() {
        const { port } = yield* script((frame, write) => {
          if (frame.type === Frames.type.headers && frame.stream === 1) write(...frames)
        })
        const made = yield* connections(port)
        const call = start(made, head)
        assert.strictEqual(yield* call.outcome, expected)
        yield* Sockets.eventually(() => made.circuit.requests === 0)
        assert.deepStrictEqual([call.ends, call.failures.length], [0, 1])
      }))
  }

  for (
    const [name, value] of [["x a", "1"], ["x-a", "1\r\nx-b: 2"], ["x-a", "1\x002"], ["x-a", " 1"]] as const
  ) {
    it.live(`with the field ${JSON.stringify(name)}: ${JSON.stringify(value)}, comes without it`, () =>
      Effect.gen(function*() {
        const { port } = yield* script((frame, write) => {
          if (frame.type === Frames.type.headers) write(answer(1, true, field(name, value), field("x-ok", "1")))
        })
        const call = start(yield* connections(port))
        assert.strictEqual(yield* call.outcome, "whole")
        assert.deepStrictEqual(call.answers[0]!.fields.toRaw(), ["x-ok", "1"])
      }))
  }
})

describe("connections", () => {
  const hold = (streams: Array<Http2.ServerHttp2Stream>) => (stream: Http2.ServerHttp2Stream) => {
    streams.push(stream)
    stream.respond()
  }

  it.live("carry many requests each, as many as the instance allows", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port, sockets } = yield* serve(hold(streams), { maxConcurrentStreams: 2 })
      const made = yield* connections(port, { limits: { maxConnections: 2 } })
      const first = start(made)
      yield* Sockets.eventually(() => streams.length === 1)
      const calls = [first, ...Array.from({ length: 4 }, () => start(made))]
      yield* Sockets.eventually(() => streams.length === 4)
      assert.deepStrictEqual([sockets.length, { ...made.circuit, limits: 0 }], [
        2,
        { limits: 0, connections: 2, pending: 1, requests: 4 }
      ])
      streams[0]!.end("x")
      yield* Sockets.eventually(() => streams.length === 5)
      assert.deepStrictEqual(made.circuit.pending, 0)
      streams.forEach((stream) => stream.end())
      for (const call of calls) assert.strictEqual(yield* call.outcome, "whole")
      yield* Sockets.eventually(() => made.circuit.requests === 0)
      assert.strictEqual(sockets.length, 2)
    }))

  it.live("are limited for all instances of a service", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port } = yield* serve(hold(streams))
      const made = yield* connections(port, { limits: { maxPendingRequests: 1, maxConcurrentRequests: 2 } })
      const first = start(made)
      const second = start(made)
      assert.deepStrictEqual(second.failures, [{ _tag: "Overflow" }])
      yield* Sockets.eventually(() => streams.length === 1)
      const third = start(made)
      const fourth = start(made)
      assert.deepStrictEqual(fourth.failures, [{ _tag: "Overflow" }])
      yield* Sockets.eventually(() => streams.length === 2)
      streams.forEach((stream) => stream.end())
      for (const call of [first, third]) assert.strictEqual(yield* call.outcome, "whole")
      assert.deepStrictEqual([made.circuit.pending, made.circuit.connections], [0, 1])
    }))

  it.live("that can not be made fail who waits for them", () =>
    Effect.gen(function*() {
      const made = yield* connections(1, {
        open: Effect.delay(Effect.fail({ timedOut: true, why: "late" }), "1 millis")
      })
      const calls = [start(made), start(made)]
      for (const call of calls) yield* call.outcome
      for (const { failures } of calls) {
        assert.deepStrictEqual(failures, [{ _tag: "NotConnected", timedOut: true, why: "late" }])
      }
      assert.deepStrictEqual({ ...made.circuit, limits: 0 }, { limits: 0, connections: 0, pending: 0, requests: 0 })
    }))

  it.live("of the mesh are like others", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const authority = yield* Effect.promise(() => Certificates.root("root"))
      const issued = yield* Effect.promise(() => Certificates.issue(authority))
      const { server, sessions } = yield* serve(hold(streams))
      const secure = Tls.createServer(
        { cert: issued.chainPem, key: issued.keyPem, ALPNProtocols: ["h2"] },
        (socket) => {
          socket.on("error", () => {})
          server.emit("connection", socket)
        }
      )
      const { port, sockets } = yield* Sockets.server((socket) => void secure.emit("connection", socket))
      const open = dialSecurely(port)
      const made = yield* connections(port, { open })
      const first = start(made)
      yield* Sockets.eventually(() => first.answers.length === 1)
      streams[0]!.end("done")
      assert.deepStrictEqual([yield* first.outcome, first.body], ["whole", "done"])
      for (const cut of ["destroy", "resetAndDestroy"] as const) {
        const call = start(made)
        yield* Sockets.eventually(() => call.answers.length === 1)
        sockets.at(-1)![cut]()
        assert.strictEqual(yield* call.outcome, "Reset connection")
        yield* Sockets.eventually(() => made.circuit.connections === 0)
      }
      const last = start(made)
      yield* Sockets.eventually(() => last.answers.length === 1)
      yield* made.destroy
      assert.strictEqual(yield* last.outcome, "Reset connection")
      const orderly = yield* connections(port, { open })
      const call = start(orderly)
      yield* Sockets.eventually(() => call.answers.length === 1)
      streams.at(-1)!.end("done")
      assert.strictEqual(yield* call.outcome, "whole")
      yield* orderly.close
      yield* Sockets.eventually(() => sessions.every(({ destroyed }) => destroyed))
    }))

  it.live("that are cut fail what is at hand, and the next request has another one", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port, sockets } = yield* serve(hold(streams))
      const made = yield* connections(port)
      for (const cut of ["destroy", "resetAndDestroy"] as const) {
        const calls = [start(made), start(made)]
        yield* Sockets.eventually(() => calls.every(({ answers }) => answers.length === 1))
        sockets.at(-1)![cut]()
        for (const call of calls) assert.strictEqual(yield* call.outcome, "Reset connection")
        yield* Sockets.eventually(() => made.circuit.connections === 0)
      }
      const last = start(made)
      yield* Sockets.eventually(() => last.answers.length === 1)
      assert.strictEqual(sockets.length, 3)
    }))

  it.live("that the instance ends finish what is at hand, and the next request has another one", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port, sessions } = yield* serve(hold(streams))
      const made = yield* connections(port)
      const first = start(made)
      yield* Sockets.eventually(() => first.answers.length === 1)
      sessions[0]!.close()
      yield* Sockets.eventually(() => {
        if (sessions.length === 1) start(made).waiting.cancel()
        return sessions.length > 1
      })
      const second = start(made)
      yield* Sockets.eventually(() => second.answers.length === 1)
      streams.forEach((stream) => stream.end("done"))
      assert.deepStrictEqual([yield* first.outcome, first.body, yield* second.outcome], ["whole", "done", "whole"])
    }))

  it.live("end when they were not used for long, or are old", () =>
    Effect.gen(function*() {
      const { port, sessions } = yield* serve((stream) => stream.respond({}, { endStream: true }))
      const made = yield* connections(port, { idleMillis: 60_000 })
      assert.strictEqual(yield* start(made).outcome, "whole")
      yield* Sockets.eventually(() => made.circuit.requests === 0)
      made.sweep(performance.now() + 30_000)
      assert.strictEqual(yield* start(made).outcome, "whole")
      yield* Sockets.eventually(() => made.circuit.requests === 0)
      assert.strictEqual(sessions.length, 1)
      made.sweep(performance.now() + 61_000)
      yield* Sockets.eventually(() => made.circuit.connections === 0)
      const aged = yield* connections(port, { maxAgeMillis: 0 })
      for (const made of [2, 3]) {
        assert.strictEqual(yield* start(aged).outcome, "whole")
        yield* Sockets.eventually(() => aged.circuit.requests === 0)
        assert.strictEqual(sessions.length, made)
      }
    }))

  it.live("that close finish what is at hand, and take nothing more", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port } = yield* serve(hold(streams))
      const made = yield* connections(port)
      const first = start(made)
      let closed = false
      yield* Effect.forkChild(Effect.tap(made.close, () => Effect.sync(() => (closed = true))), {
        startImmediately: true
      })
      yield* Sockets.eventually(() => first.answers.length === 1)
      const second = start(made)
      assert.deepStrictEqual(second.failures, [{ _tag: "NotConnected", timedOut: false, why: "the proxy closes" }])
      assert.isFalse(closed)
      streams[0]!.end("done")
      assert.deepStrictEqual([yield* first.outcome, first.body], ["whole", "done"])
      yield* Sockets.eventually(() => closed)
      assert.strictEqual(made.circuit.connections, 0)
    }))

  it.live("that are cut off fail what is at hand, and who waits", () =>
    Effect.gen(function*() {
      const streams: Array<Http2.ServerHttp2Stream> = []
      const { port } = yield* serve(hold(streams), { maxConcurrentStreams: 1 })
      const made = yield* connections(port, { limits: { maxConnections: 1 } })
      const first = start(made)
      yield* Sockets.eventually(() => first.answers.length === 1)
      const second = start(made)
      yield* made.destroy
      assert.deepStrictEqual([yield* first.outcome, yield* second.outcome], [
        "Reset connection",
        "NotConnected the proxy closes"
      ])
      yield* Sockets.eventually(() => made.circuit.connections === 0)
      assert.deepStrictEqual({ ...made.circuit, limits: 0 }, { limits: 0, connections: 0, pending: 0, requests: 0 })
    }))
})
