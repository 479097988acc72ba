/** Requests over HTTP/2 as the proxy takes them, by clients of Node and by frames written by hand. */
import * as Http2 from "node:http2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FiberSet } from "effect"
import type * as Fields from "../../../src/http/h1/Fields.ts"
import * as FieldsOf from "../../../src/http/h1/Fields.ts"
import * as HttpConnections from "../../../src/http/HttpConnections.ts"
import * as HttpExchange from "../../../src/http/HttpExchange.ts"
import * as HttpLimits from "../../../src/http/HttpLimits.ts"
import type * as Exchange from "../../../src/http/relay/Exchange.ts"
import * as Http2Server from "../../../src/http/relay/Http2Server.ts"
import * as Splice from "../../../src/net/Splice.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Sockets from "../../support/sockets.ts"

const fieldsOf = (text: string): Fields.Fields => {
  const fields = FieldsOf.parse(`${text}\r\n`, 0, 1000)
  if (fields._tag === "Fault") throw new Error(fields.why)
  return fields
}

const none = fieldsOf("")

const ok = (more = "", body: Exchange.Body = "streamed"): Exchange.AnswerHead => ({
  status: 200,
  reason: "OK",
  fields: none,
  dropped: [],
  more,
  body
})

/** Hears a request. */
class Client implements Exchange.Client {
  readonly exchange: Exchange.ServerExchange
  body = ""
  bytes = 0
  trailers: ReadonlyArray<string> | undefined
  ended = 0
  lost = 0
  drains = 0
  constructor(exchange: Exchange.ServerExchange) {
    this.exchange = exchange
  }
  data(bytes: Buffer) {
    this.bytes += bytes.length
    if (this.bytes < 10_000) this.body += bytes.toString("latin1")
  }
  end(trailers: Fields.Fields | undefined) {
    this.ended++
    this.trailers = trailers?.toRaw()
  }
  drained() {
    this.drains++
  }
  gone() {
    this.lost++
  }
}

const serve = Effect.fnUntraced(
  function*(handle: (exchange: Http2Server.Http2Exchange) => void, limits: HttpLimits.HttpLimits = {}) {
    const run = yield* FiberSet.makeRuntime()
    const abuses: Array<HttpExchange.Abuse> = []
    const refused: Array<Http2Server.Refused> = []
    const taken: Array<Http2Server.Http2Exchange> = []
    const connections = yield* HttpConnections.make<Splice.Side, unknown>({
      limits: HttpLimits.complete(limits),
      protocols: ["h2"],
      streams: true,
      started: () => {},
      closed: () => {},
      abused: (_, abuse) => void abuses.push(abuse)
    })
    connections.attach({
      request: HttpExchange.unavailable,
      stream: (request, exchange) => {
        const made = Http2Server.take(request, exchange, 100)
        if ("_tag" in made) return void refused.push(made)
        taken.push(made)
        handle(made)
      }
    })
    const { port, sockets } = yield* Sockets.server((socket) => {
      run(connections.serve(Splice.plain(socket)))
    })
    return { port, abuses, refused, taken, sockets, drain: connections.drain }
  }
)

const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const session = Http2.connect(`http://127.0.0.1:${port}`)
      session.on("error", () => {})
      return session
    }),
    (session) => Effect.sync(() => session.destroy())
  )

interface Answer {
  readonly raw: ReadonlyArray<string>
  readonly body: string
  readonly trailers: ReadonlyArray<string>
  readonly provisional: ReadonlyArray<ReadonlyArray<string>>
  readonly code: number
}

/** From now on everything is heard. */
const answerOf = (stream: Http2.ClientHttp2Stream): Effect.Effect<Answer> => {
  let raw: ReadonlyArray<string> = []
  let body = ""
  let trailers: ReadonlyArray<string> = []
  const provisional: Array<ReadonlyArray<string>> = []
  stream.on("response", (_, __, received) => (raw = received))
  stream.on("headers", (_, __, received) => provisional.push(received))
  stream.on("trailers", (_, __, received) => (trailers = received))
  stream.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")))
  stream.on("error", () => {})
  const closed = new Promise<void>((resolve) => stream.once("close", resolve))
  return Effect.map(Effect.promise(() => closed), () => ({ raw, body, trailers, provisional, code: stream.rstCode }))
}

/** Answers with what came. */
const echo = (exchange: Http2Server.Http2Exchange) => {
  const client = new Client(exchange)
  exchange.listen({
    data: (bytes) => {
      client.data(bytes)
      exchange.write(bytes)
    },
    end: (trailers) => {
      client.end(trailers)
      exchange.end(trailers)
    },
    drained: () => {},
    gone: () => client.gone()
  })
  exchange.answer(ok())
}

const respond = (exchange: Http2Server.Http2Exchange) => exchange.answer(ok("", "none"))

describe("a request", () => {
  it.live("is what it would have been over HTTP/1.1", () =>
    Effect.gen(function*() {
      const { port, taken } = yield* serve(respond)
      const session = yield* connect(port)
      yield* answerOf(session.request(
        [
          ...[":method", "GET", ":path", "/a?b=c", ":scheme", "http", ":authority", "api.test:80"],
          ...["cookie", "a=1", "x-a", "1", "cookie", "b=2", "x-a", "caf\xe9", "te", "trailers", "x-empty", ""]
        ] as never
      ))
      const { local, remote, request } = taken[0]!
      assert.strictEqual(
        request.fields.text,
        "GET /a?b=c HTTP/1.1\r\nhost: api.test:80\r\nx-a: 1\r\nx-a: caf\xe9\r\nte: trailers\r\nx-empty: \r\n" +
          "cookie: a=1; b=2\r\n\r\n"
      )
      const read = FieldsOf.parse(request.fields.text, request.fields.text.indexOf("\r\n") + 2, 100)
      assert.deepStrictEqual(read._tag === "Fields" ? read.toRaw() : read, request.fields.toRaw())
      assert.deepStrictEqual([request.method, request.target], ["GET", "/a?b=c"])
      assert.deepStrictEqual(request.framing, { _tag: "Length", bytes: 0 })
      assert.strictEqual(local, `127.0.0.1:${port}`)
      assert.match(remote, /^127\.0\.0\.1:\d+$/)
    }))

  it.live("says how long its body is, or that nobody knows", () =>
    Effect.gen(function*() {
      const { port, taken } = yield* serve(echo)
      const session = yield* connect(port)
      for (const headers of [{}, { "content-length": "5" }]) {
        const stream = session.request({ ":method": "POST", ...headers })
        const answer = answerOf(stream)
        stream.end("hello")
        assert.strictEqual((yield* answer).body, "hello")
      }
      assert.deepStrictEqual(taken.map(({ request }) => request.framing), [
        { _tag: "Chunked" },
        { _tag: "Length", bytes: 5 }
      ])
    }))

  it.live("has trailers, as has its answer", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(echo)
      const session = yield* connect(port)
      const stream = session.request({ ":method": "POST" }, { waitForTrailers: true })
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-t": ["1", "caf\xe9"], "x-u": "2" }))
      const answer = answerOf(stream)
      stream.end("hello")
      const { body, trailers } = yield* answer
      assert.strictEqual(body, "hello")
      assert.deepStrictEqual(trailers, ["x-t", "1", "x-t", "caf\xe9", "x-u", "2"])
    }))

  it.live("of a client that asks first is told to go on", () =>
    Effect.gen(function*() {
      const { port } = yield* serve((exchange) => {
        exchange.inform(100, undefined)
        exchange.inform(103, { fields: fieldsOf("Link: a\r\nlink: b\r\n"), dropped: [], more: "x-more: c\r\n" })
        exchange.inform(101, undefined)
        echo(exchange)
        exchange.inform(103, undefined)
      })
      const session = yield* connect(port)
      const stream = session.request({ ":method": "POST", expect: "100-continue" })
      stream.once("continue", () => stream.end("hello"))
      const { body, provisional } = yield* answerOf(stream)
      assert.strictEqual(body, "hello")
      assert.deepStrictEqual(provisional, [
        [":status", "100"],
        [":status", "103", "link", "a", "link", "b", "x-more", "c"]
      ])
    }))

  it.live("is read as fast as it is taken", () =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen({
          data: (bytes) => {
            client.data(bytes)
            exchange.pause()
          },
          end: () => exchange.answer(ok("", "none")),
          drained: () => {},
          gone: () => {}
        })
      })
      const session = yield* connect(port)
      const stream = session.request({ ":method": "POST" })
      const total = 4 * 1024 * 1024
      let flushed = 0
      const answer = answerOf(stream)
      for (let i = 0; i < total / 65_536; i++) stream.write(Buffer.alloc(65_536), () => (flushed += 65_536))
      stream.end()
      yield* Sockets.eventually(() => clients[0] !== undefined && clients[0].bytes > 0)
      // Another request goes through while this one waits.
      const other = session.request({ ":method": "POST" })
      const answered = answerOf(other)
      other.end("x")
      yield* Sockets.eventually(() => clients[1] !== undefined && clients[1].bytes === 1)
      clients[1]!.exchange.resume()
      assert.strictEqual((yield* answered).raw[1], "200")
      assert.isBelow(flushed, 1024 * 1024)
      const pump = setInterval(() => clients[0]!.exchange.resume(), 0)
      assert.strictEqual((yield* answer).raw[1], "200")
      clearInterval(pump)
      assert.strictEqual(clients[0]!.bytes, total)
    }))

  it.live("of which the rest never comes, as its client leaves: is gone, and never whole", () =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen(client)
      })
      for (const leave of [Frames.rstStream(1, 8), Frames.rstStream(1, 0), undefined]) {
        for (const method of ["POST", "HEAD"]) {
          const socket = yield* Sockets.connect(port).pipe(Effect.orDie)
          socket.resume()
          socket.write(Buffer.concat([Frames.preface(), Frames.frame(1, 4, 1, headers({ ":method": method }))]))
          socket.write(Frames.data(1, Buffer.from("half")))
          const before = clients.length
          yield* Sockets.eventually(() => clients.length > before && clients[before]!.bytes === 4)
          if (leave === undefined) socket.destroy()
          else socket.write(leave)
          yield* Sockets.eventually(() => clients[before]!.lost === 1)
          assert.strictEqual(clients[before]!.ended, 0)
        }
      }
    }))

  it.live("whose client has left before it is heard: tells so once it is", () =>
    Effect.gen(function*() {
      const { port, taken } = yield* serve(() => {})
      const session = yield* connect(port)
      const stream = session.request({ ":method": "POST" })
      yield* Sockets.eventually(() => taken.length === 1)
      stream.close(8)
      yield* Effect.callback<void>((resume) => void stream.once("close", () => resume(Effect.void)))
      yield* answerOf(session.request({ ":path": "" }))
      const client = new Client(taken[0]!)
      taken[0]!.listen(client)
      yield* Sockets.eventually(() => client.lost === 1)
      taken[0]!.answer(ok())
      assert.isTrue(taken[0]!.write(Buffer.from("x")))
      taken[0]!.end(undefined)
      taken[0]!.abort()
    }))

  it.live("by CONNECT is a tunnel once it is answered", () =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen(client)
      })
      const session = yield* connect(port)
      const stream = session.request({ ":method": "CONNECT", ":authority": "api:80" })
      const answer = answerOf(stream)
      stream.write("ahead")
      yield* Sockets.eventually(() => clients.length === 1)
      // What came before an answer to a ping was looked at.
      yield* Effect.callback<void>((resume) => void session.ping(() => resume(Effect.void)))
      const [client] = clients
      assert.deepStrictEqual([client!.exchange.request.target, client!.bytes], ["api:80", 0])
      client!.exchange.answer(ok())
      yield* Sockets.eventually(() => client!.body === "ahead")
      client!.exchange.write(Buffer.from("back"))
      stream.end()
      yield* Sockets.eventually(() => client!.ended === 1)
      client!.exchange.end(undefined)
      assert.strictEqual((yield* answer).body, "back")
    }))
})

describe("an answer", () => {
  it.live("has the fields that came, without those of a connection", () =>
    Effect.gen(function*() {
      const fields = fieldsOf(
        "Set-Cookie: a\r\nset-cookie: b\r\nAge: 1\r\nage: 2\r\nConnection: x\r\nKeep-Alive: timeout=1\r\nUpgrade: x\r\n" +
          "Transfer-Encoding: chunked\r\nHost: x\r\nProxy-Connection: x\r\nHTTP2-Settings: x\r\nTE: gzip\r\nX-Gone: 1\r\n" +
          "X-Latin: caf\xe9\r\n__proto__: 1\r\n"
      )
      const { port } = yield* serve((exchange) => {
        exchange.answer({ ...ok("x-more: 1\r\nx-empty: \r\n"), fields, dropped: [12] })
        exchange.end(fieldsOf("Content-Length: 4\r\nX-T: 1\r\nx-t: 2\r\nConnection: close\r\n__proto__: 1\r\n"))
      })
      const session = yield* connect(port)
      const { raw, trailers } = yield* answerOf(session.request({}))
      assert.deepStrictEqual(raw, [
        ...[":status", "200", "set-cookie", "a", "set-cookie", "b", "age", "1", "age", "2", "x-latin", "caf\xe9"],
        ...["__proto__", "1", "x-more", "1", "x-empty", ""]
      ])
      assert.deepStrictEqual(trailers, ["x-t", "1", "x-t", "2", "__proto__", "1"])
    }))

  for (
    const [title, method, status, body] of [
      ["to HEAD", "HEAD", 200, "length"],
      ["204", "GET", 204, "streamed"],
      ["205", "GET", 205, "streamed"],
      ["304", "GET", 304, "length"],
      ["that says so", "GET", 200, "none"]
    ] as const
  ) {
    it.live(`${title} has no body`, () =>
      Effect.gen(function*() {
        const { port } = yield* serve((exchange) => {
          exchange.listen(new Client(exchange))
          exchange.answer({ ...ok(body === "none" ? "" : "content-length: 5\r\n", body), status })
          assert.isTrue(exchange.write(Buffer.from("hello")))
          exchange.end(fieldsOf("x-t: 1\r\n"))
        })
        const session = yield* connect(port)
        const { code, raw, ...answer } = yield* answerOf(session.request({ ":method": method }))
        assert.deepStrictEqual([code, answer.body, raw[1]], [0, "", String(status)])
        assert.strictEqual(raw.includes("content-length"), body === "length")
      }))
  }

  it.live("waits for a client that does not read it", () =>
    Effect.gen(function*() {
      const chunk = Buffer.alloc(16_384)
      const total = 64 * 1024 * 1024
      let written = 0
      let stops = 0
      const { port } = yield* serve((exchange) => {
        if (exchange.request.method === "HEAD") return respond(exchange)
        const fill = () => {
          while (written < total) {
            written += chunk.length
            if (!exchange.write(chunk)) {
              stops++
              return
            }
          }
          exchange.end(undefined)
        }
        exchange.listen({ data: () => {}, end: () => {}, drained: fill, gone: () => {} })
        exchange.answer(ok())
        fill()
      })
      const session = yield* connect(port)
      const stream = session.request({})
      let bytes = 0
      stream.once("response", () => stream.pause())
      yield* Sockets.eventually(() => stops > 0)
      // Another answer comes meanwhile.
      assert.strictEqual((yield* answerOf(session.request({ ":method": "HEAD" }))).raw[1], "200")
      assert.isBelow(written, 2 * 1024 * 1024)
      stream.on("data", (data: Buffer) => (bytes += data.length))
      stream.resume()
      yield* Effect.callback<void>((resume) => void stream.once("end", () => resume(Effect.void)))
      assert.strictEqual(bytes, total)
    }), 30_000)

  it.live("that can not go on is no whole one, and does not count against the client", () =>
    Effect.gen(function*() {
      const { abuses, port } = yield* serve((exchange) => {
        exchange.listen(new Client(exchange))
        exchange.answer(ok("content-length: 1000\r\n", "length"))
        exchange.write(Buffer.from("half"))
        exchange.abort()
        exchange.abort()
      }, { streamResets: { burst: 1, rate: 0.001 } })
      const session = yield* connect(port)
      for (let i = 0; i < 5; i++) {
        const { body, code } = yield* answerOf(session.request({}))
        assert.deepStrictEqual([code, body], [2, "half"])
      }
      assert.deepStrictEqual(abuses, [])
    }))

  for (const when of ["begun", "data", "end"] as const) {
    it.live(`that is given up at ${when} is none`, () =>
      Effect.gen(function*() {
        const { port } = yield* serve((exchange) => {
          exchange.answer(ok())
          exchange.write(Buffer.from("half"))
          exchange.listen({
            data: () => when === "data" && exchange.abort(),
            end: () => when === "end" && exchange.abort(),
            drained: () => {},
            gone: () => {}
          })
          if (when === "begun") exchange.abort()
        })
        const session = yield* connect(port)
        for (let i = 0; i < 3; i++) {
          const stream = session.request({ ":method": "POST" })
          stream.write("some")
          stream.end("more")
          assert.strictEqual((yield* answerOf(stream)).code, 2)
        }
      }))
  }

  it.live("with a status that HTTP/2 can not say is given up", () =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen(client)
        exchange.answer({ ...ok(), status: exchange.request.target === "/101" ? 101 : 799 })
      })
      const session = yield* connect(port)
      for (const path of ["/101", "/799"]) {
        const { code, raw } = yield* answerOf(session.request({ ":path": path }))
        assert.deepStrictEqual([code, raw], [2, []])
      }
      yield* Sockets.eventually(() => clients.every(({ lost }) => lost > 0))
      assert.deepStrictEqual(clients.map(({ lost }) => lost), [1, 1])
    }))

  it.live("before the end of its request is whole, trailers and all, and the rest is not asked for", () =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen(client)
        exchange.answer(ok("", exchange.request.target === "/none" ? "none" : "streamed"))
        for (let i = 0; i < 20; i++) exchange.write(Buffer.alloc(16_384, "x"))
        exchange.end(fieldsOf("x-t: 1\r\n"))
      })
      const session = yield* connect(port)
      for (const path of ["/none", "/long"]) {
        const stream = session.request({ ":method": "POST", ":path": path })
        stream.write("first")
        const { body, code, raw, trailers } = yield* answerOf(stream)
        assert.deepStrictEqual([code, raw[1]], [0, "200"])
        assert.strictEqual(body.length, path === "/none" ? 0 : 20 * 16_384)
        assert.deepStrictEqual(trailers, path === "/none" ? [] : ["x-t", "1"])
      }
      assert.deepStrictEqual(clients.map(({ lost }) => lost), [0, 0])
    }))

  it.live("of a session that is to end is finished", () =>
    Effect.gen(function*() {
      const { drain, port, taken } = yield* serve((exchange) => {
        exchange.listen(new Client(exchange))
        exchange.answer(ok())
      })
      const session = yield* connect(port)
      const answer = answerOf(session.request({}))
      yield* Sockets.eventually(() => taken.length === 1)
      drain()
      yield* Effect.callback<void>((resume) => void session.once("goaway", () => resume(Effect.void)))
      taken[0]!.write(Buffer.from("late"))
      taken[0]!.end(undefined)
      assert.strictEqual((yield* answer).body, "late")
    }))
})

/** Of HPACK's table. */
const statuses: Readonly<Record<number, string>> = { 0x88: "200", 0x8c: "400" }

const latin = (text: string): Buffer => {
  const bytes = Buffer.from(text, "latin1")
  // Lengths beyond 126 go on in another byte.
  return Buffer.concat([
    bytes.length < 127 ? Buffer.from([bytes.length]) : Buffer.from([127, bytes.length - 127]),
    bytes
  ])
}

const field = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0]), latin(name), latin(value)])

/** Headers of a request that is none to object to, but for what is given. */
const headers = (
  pseudo: Readonly<Record<string, string | undefined>>,
  ...fields: ReadonlyArray<readonly [string, string]>
): Buffer =>
  Buffer.concat([
    ...Object.entries({ ":method": "POST", ":scheme": "http", ":path": "/", ":authority": "api", ...pseudo })
      .flatMap(([name, value]) => value === undefined ? [] : [field(name, value)]),
    ...fields.map(([name, value]) => field(name, value))
  ])

describe("a client by its own bytes", () => {
  /** What came of a request: the code of its reset, its status by HPACK's table or as text; what was made of it. */
  const ask = (bytes: ReadonlyArray<Buffer>) =>
    Effect.gen(function*() {
      const clients: Array<Client> = []
      const { port, refused } = yield* serve((exchange) => {
        const client = new Client(exchange)
        clients.push(client)
        exchange.listen({
          data: (bytes) => client.data(bytes),
          end: (trailers) => {
            client.end(trailers)
            exchange.answer(ok("", "none"))
          },
          drained: () => {},
          gone: () => client.gone()
        })
      })
      const socket = yield* Sockets.connect(port).pipe(Effect.orDie)
      const received: Array<Buffer> = []
      socket.on("data", (chunk: Buffer) => received.push(chunk))
      socket.write(Buffer.concat([Frames.preface(), ...bytes]))
      const frames = () => Frames.parse(Buffer.concat(received))
      /** What becomes of the request, or of the whole connection. */
      const decisive = () =>
        frames().find(({ stream, type }) => type === 7 || (stream === 1 && (type === 1 || type === 3)))
      yield* Sockets.eventually(() => decisive() !== undefined)
      const { payload, type } = decisive()!
      return {
        outcome: type === 7
          ? `reset ${payload.readUInt32BE(4)}`
          : type === 3
          ? `reset ${payload.readUInt32BE(0)}`
          : (statuses[payload.readUInt8(0)] ?? payload.toString("latin1")),
        clients,
        refused
      }
    }).pipe(Effect.scoped)

  const whole = (block: Buffer) => [Frames.frame(1, 5, 1, block)]
  const open = (block: Buffer, ...rest: ReadonlyArray<Buffer>) => [Frames.frame(1, 4, 1, block), ...rest]
  const body = (text: string, last: boolean) => Frames.data(1, Buffer.from(text), last)

  const hostile: ReadonlyArray<readonly [string, ReadonlyArray<Buffer>]> = [
    ["a name in upper case", whole(headers({}, ["X-A", "1"]))],
    ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"].map((name) =>
      [name, whole(headers({}, [name, "x"]))] as const
    ),
    ["TE other than trailers", whole(headers({}, ["te", "gzip"]))],
    ...["", "x", "/a b", "/a#b", "/a\tb", "/a\r\nx: y", "/\x01", "/\xe9", "http://x/", "*"].map((path) =>
      [`the path ${JSON.stringify(path)}`, whole(headers({ ":path": path }))] as const
    ),
    ...["get", "GE T", "", "FOO", "GET / HTTP/1.1\r\nx: y\r\n", "PRI"].map((method) =>
      [`the method ${JSON.stringify(method)}`, whole(headers({ ":method": method }))] as const
    ),
    ...["ftp", "", "http ", "HTTP", "http\r\n"].map((scheme) =>
      [`the scheme ${JSON.stringify(scheme)}`, whole(headers({ ":scheme": scheme }))] as const
    ),
    ...["", "a b", "a/b", "a\r\nx: y"].map((authority) =>
      [`the authority ${JSON.stringify(authority)}`, whole(headers({ ":authority": authority }))] as const
    ),
    ["another host than the authority", whole(headers({}, ["host", "other"]))],
    ["several hosts", whole(headers({ ":authority": undefined }, ["host", "api"], ["host", "other"]))],
    ["no host", whole(headers({ ":authority": undefined }))],
    ["a path twice", whole(headers({}, [":path", "/b"]))],
    ["a path behind a field", whole(headers({ ":path": undefined }, ["x", "1"], [":path", "/"]))],
    ["an unknown pseudo-header", whole(headers({ ":x": "1" }))],
    ["a status", whole(headers({ ":status": "200" }))],
    ["a protocol", whole(headers({ ":method": "CONNECT", ":protocol": "websocket" }))],
    ["CONNECT to a path", whole(headers({ ":method": "CONNECT" }))],
    ["CONNECT to no port", whole(headers({ ":method": "CONNECT", ":path": undefined, ":scheme": undefined }))],
    ...[":method", ":scheme", ":path"].map((name) => [`no ${name}`, whole(headers({ [name]: undefined }))] as const),
    ...["3, 3", "-3", "+3", "0x3", "99999999999999999999", "9999999999999999"].map((length) =>
      [`content-length: ${length}`, open(headers({}, ["content-length", length]), body("abc", true))] as const
    ),
    ["two lengths", open(headers({}, ["content-length", "3"], ["content-length", "3"]), body("abc", true))],
    ["a length without a body", whole(headers({}, ["content-length", "3"]))],
    ["a body shorter than its length", open(headers({}, ["content-length", "3"]), body("ab", true))],
    ["a body longer than its length", open(headers({}, ["content-length", "3"]), body("abcd", true))],
    [
      "a body shorter than its length, and trailers",
      open(headers({}, ["content-length", "3"]), body("ab", false), Frames.frame(1, 5, 1, field("x-t", "1")))
    ],
    ["trailers that are pseudo", open(headers({}), body("ab", false), Frames.frame(1, 5, 1, field(":path", "/b")))],
    [
      "trailers of a connection",
      open(headers({}), body("ab", false), Frames.frame(1, 5, 1, field("transfer-encoding", "chunked")))
    ],
    [
      "another length as a trailer",
      open(headers({}), body("ab", false), Frames.frame(1, 5, 1, field("content-length", "3")))
    ],
    ["trailers without an end", open(headers({}), body("ab", false), Frames.frame(1, 4, 1, field("x-t", "1")))],
    [
      "more fields than Node takes",
      whole(headers({}, ...Array.from({ length: 140 }, (): [string, string] => ["x", "1"])))
    ]
  ]
  for (const [title, bytes] of hostile) {
    it.live(`sends ${title}: it is refused, and is whole to nobody`, () =>
      Effect.gen(function*() {
        const { clients, outcome } = yield* ask(bytes)
        assert.match(outcome, /^reset (1|2|11)$|400/)
        yield* Sockets.eventually(() => clients.every(({ ended, lost }) => ended + lost > 0))
        for (const { ended, lost } of clients) assert.deepStrictEqual([ended, lost], [0, 1])
      }))
  }

  it.live("sends more than 100 fields: 431", () =>
    Effect.gen(function*() {
      const fields = Array.from({ length: 101 }, (_, i): [string, string] => ["x", String(i)])
      const { clients, outcome, refused } = yield* ask(whole(headers({}, ...fields)))
      assert.match(outcome, /431/)
      assert.deepStrictEqual(clients, [])
      assert.strictEqual(refused.length, 1)
      const less = yield* ask(whole(headers({}, ...fields.slice(1))))
      assert.deepStrictEqual([less.outcome, less.clients[0]!.exchange.request.fields.count], ["200", 101])
    }))

  /** nghttp2 leaves them out, so that they reach nobody. */
  for (
    const [name, value] of [
      ["x a", "1"],
      ["x:a", "1"],
      ["x-a", "1\r\nx-b: 2"],
      ["x-a", "1\n2"],
      ["x-a", "1\x002"],
      ["x-a", "1\x012"],
      ["x-a", "1\x7f2"],
      ["x-a", " 1"],
      ["x-a", "1\t"]
    ] as const
  ) {
    it.live(`sends the field ${JSON.stringify(name)} with the value ${JSON.stringify(value)}: nobody sees it`, () =>
      Effect.gen(function*() {
        const { clients, outcome } = yield* ask(whole(headers({}, [name, value], ["x-ok", "1"])))
        if (outcome === "reset 1") return assert.deepStrictEqual(clients, [])
        assert.deepStrictEqual(clients[0]!.exchange.request.fields.toRaw(), ["host", "api", "x-ok", "1"])
      }))
  }

  const good: ReadonlyArray<readonly [string, ReadonlyArray<Buffer>]> = [
    ["only a host", whole(headers({ ":authority": undefined }, ["host", "api"]))],
    ["the authority as host as well", whole(headers({}, ["host", "API"]))],
    ["an asterisk", whole(headers({ ":method": "OPTIONS", ":path": "*" }))],
    ["https", whole(headers({ ":scheme": "https" }))],
    ["a length of its body", open(headers({}, ["content-length", "3"]), body("abc", true))],
    ["a length of no body", whole(headers({}, ["content-length", "0"]))]
  ]
  for (const [title, bytes] of good) {
    it.live(`sends ${title}: there is one host`, () =>
      Effect.gen(function*() {
        const { clients, outcome } = yield* ask(bytes)
        assert.strictEqual(outcome, "200")
        const { fields } = clients[0]!.exchange.request
        assert.deepStrictEqual([fields.indexOf("host"), fields.value(0), fields.indexOf("host", 1)], [0, "api", -1])
      }))
  }
})

describe("a flood", () => {
  /** What ends the connection, while another client is served. */
  const flood = (
    title: string,
    reason: string,
    begin: Buffer,
    next: () => Buffer,
    limits: HttpLimits.HttpLimits = {},
    reads = true
  ) =>
    it.live(`${title}: ${reason}`, () =>
      Effect.gen(function*() {
        const { abuses, port } = yield* serve((exchange) => {
          exchange.listen(new Client(exchange))
          if (exchange.request.target === "/never") return
          exchange.answer(ok())
          if (exchange.request.target !== "/endless") return exchange.end(undefined)
          for (let i = 0; i < 20; i++) exchange.write(Buffer.alloc(16_384))
        }, limits)
        const socket = yield* Sockets.connect(port).pipe(Effect.orDie)
        if (reads) socket.resume()
        socket.on("error", () => {})
        socket.write(begin)
        const timer = setInterval(() => {
          if (socket.writable) socket.write(next())
        }, 1)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))
        yield* Sockets.eventually(() => abuses.length > 0)
        assert.deepStrictEqual(abuses, [reason])
        clearInterval(timer)
        const session = yield* connect(port)
        assert.strictEqual((yield* answerOf(session.request({}))).raw[1], "200")
      }))

  const ids = () => {
    let next = -1
    return () => (next += 2)
  }
  const few = { streamResets: { burst: 50, rate: 1 } }

  const cancelled = ids()
  flood("of requests that are cancelled", "stream_resets", Frames.preface(), () => {
    const id = cancelled()
    return Buffer.concat([Frames.get(id, "/never"), Frames.rstStream(id, 8)])
  }, few)

  const silent = ids()
  flood("of requests that are cancelled without an error", "stream_resets", Frames.preface(), () => {
    const id = silent()
    return Buffer.concat([Frames.get(id, "/never"), Frames.rstStream(id, 0)])
  }, few)

  const wrong = ids()
  flood(
    "of requests that are refused here",
    "stream_resets",
    Frames.preface(),
    () => Buffer.concat([Frames.frame(1, 5, wrong(), headers({}, ["http2-settings", "x"]))]),
    few
  )

  flood(
    "of settings",
    "flood",
    Frames.preface(),
    () => Buffer.concat(Array.from({ length: 5000 }, () => Frames.frame(4, 0, 0))),
    {},
    false
  )

  flood(
    "of pings",
    "flood",
    Frames.preface(),
    () => Buffer.concat(Array.from({ length: 5000 }, () => Frames.ping)),
    {},
    false
  )

  flood(
    "of CONTINUATION frames",
    "headers_too_large",
    Buffer.concat([Frames.preface(), Frames.openHeaders(1, Frames.request("GET", "/"))]),
    () => Frames.continuation(1, Frames.literal("x", "y"))
  )

  flood(
    "of answers that no window is opened for",
    "slow_reader",
    Buffer.concat([Frames.preface({ [Frames.initialWindow]: 0 }), Frames.get(1, "/endless")]),
    () => Frames.ping,
    { stallTimeout: "200 millis" }
  )
})
