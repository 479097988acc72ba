/** Peers that are slow or mean harm, by their own bytes: each is ended and counted, and everybody else is served. */
import type * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as HttpLimits from "../../../src/http/HttpLimits.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Http from "../../support/http.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

const chunk = new Uint8Array(16_384)

const routes = HttpRouter.addAll([
  HttpRouter.route("GET", "/who", HttpServerResponse.text("hello")),
  HttpRouter.route("GET", "/never", Effect.never),
  HttpRouter.route("GET", "/endless", HttpServerResponse.stream(Stream.forever(Stream.make(chunk)))),
  HttpRouter.route(
    "POST",
    "/repeat",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) => HttpServerResponse.stream(stream))
  )
])

/** Of a client: what it writes, and what it has been told. */
interface Peer {
  readonly socket: Tls.TLSSocket
  readonly answer: Sockets.Recorder
}

/** Writes again and again, until the connection is over. */
const flood = (socket: Tls.TLSSocket, next: () => string | Buffer) =>
  Effect.callback<void>((resume) => {
    const timer = setInterval(() => {
      if (socket.writable) socket.write(next())
    }, 1)
    const done = () => {
      clearInterval(timer)
      resume(Effect.void)
    }
    socket.once("close", done)
    socket.once("end", done)
    if (socket.destroyed) done()
    return Effect.sync(() => clearInterval(timer))
  })

const start = (limits: HttpLimits.HttpLimits = {}) =>
  Servers.start(Servers.served(routes), { limits, drain: "0 millis" })

/** One attack, which ends the connection and is counted under `reason`. */
const attack = (
  alpn: "h2" | "http/1.1",
  title: string,
  reason: string | undefined,
  act: (peer: Peer) => Effect.Effect<unknown>,
  limits?: HttpLimits.HttpLimits
) =>
  it.live(`${title}: ${reason ?? "no fault"}`, () =>
    Effect.gen(function*() {
      const { mesh, port, web } = yield* start(limits)
      const answered = Effect.scoped(Effect.gen(function*() {
        const ask = yield* Http.http2(port, web)
        assert.strictEqual((yield* ask({ path: "/who" })).body, "hello")
      }))
      yield* answered
      yield* Sockets.eventually(() => mesh.stats().connections.open === 0)
      const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: [alpn] })
      yield* Sockets.eventually(() => mesh.stats().connections.open === 1)
      const attacking = yield* Effect.forkChild(act({ socket, answer: Sockets.record(socket) }))
      yield* answered
      yield* Sockets.eventually(() => mesh.stats().connections.open === 0)
      yield* Fiber.join(attacking)
      assert.deepStrictEqual(mesh.stats().aborted, reason === undefined ? {} : { [reason]: 1 })
      yield* answered
    }))

const head = (method: string, path: string, ...headers: ReadonlyArray<string>) =>
  [`${method} ${path} HTTP/1.1`, "host: api", ...headers, ""].join("\r\n")

describe("over HTTP/1.1", () => {
  const http1 = attack.bind(undefined, "http/1.1")

  http1("headers that never end, a few bytes at a time", "slow_headers", ({ socket }) => {
    socket.write(head("GET", "/who"))
    return flood(socket, () => "x: y\r\n")
  }, { headersTimeout: "500 millis" })

  http1("a body that never ends, a few bytes at a time", "slow_body", ({ socket }) => {
    socket.write(head("POST", "/repeat", "content-length: 1000000", ""))
    return flood(socket, () => "x")
  }, { headersTimeout: "500 millis", bodyTimeout: "100 millis" })

  http1("headers without an end", "headers_too_large", ({ answer, socket }) => {
    socket.write(head("GET", "/who", `x: ${"x".repeat(100_000)}`))
    return Effect.map(answer.ending, () => assert.match(answer.text(), /^HTTP\/1.1 431/))
  })

  http1("chunk extensions without an end", "headers_too_large", ({ socket }) => {
    socket.write(head("POST", "/repeat", "transfer-encoding: chunked", "") + "1;")
    return flood(socket, () => "x".repeat(5000))
  })

  http1("trailers without an end", "headers_too_large", ({ socket }) => {
    socket.write(head("POST", "/repeat", "transfer-encoding: chunked", "") + "1\r\nx\r\n0\r\n")
    return flood(socket, () => `x: ${"x".repeat(5000)}\r\n`)
  })

  http1(
    "requests that do not wait for answers",
    "pipelining",
    ({ socket }) => flood(socket, () => head("GET", "/never", "").repeat(10))
  )

  it.live("a burst of requests of a caller that may do nothing: ends its connection, and nothing else", () =>
    Effect.gen(function*() {
      const { materialOf, mesh, port, web } = yield* start()
      const { issued } = yield* materialOf("ops")
      const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: ["http/1.1"] })
      const answer = Sockets.record(socket)
      // In one write, so that the parser has more of them when the connection is given up.
      socket.write(head("GET", "/who", "").repeat(2000))
      assert.notStrictEqual(yield* answer.ending, "ended")
      yield* Sockets.eventually(() => mesh.stats().handling === 0)
      assert.deepStrictEqual(mesh.stats().aborted, { pipelining: 1 })
      const ask = yield* Http.http1(port, web)
      assert.strictEqual((yield* ask({ path: "/who" })).body, "hello")
    }))

  http1("an answer that is not read", "slow_reader", ({ socket }) => {
    socket.write(head("GET", "/endless", ""))
    socket.pause()
    return Effect.void
  }, { stallTimeout: "200 millis" })

  http1("what is no request", "malformed", ({ socket }) => flood(socket, () => "\0garbage\r\n"))

  http1(
    "a request of which the rest never comes",
    "malformed",
    ({ socket }) => Effect.sync(() => socket.end(head("GET", "/who")))
  )

  http1("a client that ends its side after its request", undefined, ({ answer, socket }) => {
    socket.end(head("GET", "/who", ""))
    return Effect.map(answer.ending, () => assert.match(answer.text(), /hello$/))
  })
})

describe("over HTTP/2", () => {
  const http2 = attack.bind(undefined, "h2")
  let next = 1
  const streams = () => {
    next = 1
    return () => (next += 2) - 2
  }

  http2("a beginning that never ends", "slow_headers", ({ socket }) => {
    socket.write(Frames.preface().subarray(0, 10))
    return Effect.void
  }, { headersTimeout: "500 millis" })

  http2("CONTINUATION frames without an end", "headers_too_large", ({ socket }) => {
    socket.write(Buffer.concat([Frames.preface(), Frames.openHeaders(1, Frames.request("GET", "/who"))]))
    return flood(socket, () => Frames.continuation(1, Frames.literal("x", "y")))
  })

  http2("more headers than announced, again and again", "headers_too_large", ({ socket }) => {
    socket.write(Frames.preface())
    const id = streams()
    const many = Buffer.concat(Array.from({ length: 120 }, () => Frames.literal("x".repeat(60), "y".repeat(60))))
    return flood(socket, () => {
      const stream = id()
      return Buffer.concat([
        Frames.openHeaders(stream, Frames.request("GET", "/who")),
        ...Array.from({ length: 6 }, (_, i) => Frames.continuation(stream, many, i === 5))
      ])
    })
  }, { streamResets: { burst: 50, rate: 1 }, stallTimeout: "200 millis" })

  http2("requests that are cancelled (CVE-2023-44487)", "stream_resets", ({ socket }) => {
    socket.write(Frames.preface())
    const id = streams()
    return flood(socket, () => {
      const stream = id()
      return Buffer.concat([Frames.get(stream, "/who"), Frames.rstStream(stream, 8)])
    })
  }, { streamResets: { burst: 50, rate: 1 } })

  http2("the same without an error code", "stream_resets", ({ socket }) => {
    socket.write(Frames.preface())
    const id = streams()
    return flood(socket, () => {
      const stream = id()
      return Buffer.concat([Frames.get(stream, "/never"), Frames.rstStream(stream, 0)])
    })
  }, { streamResets: { burst: 50, rate: 1 } })

  for (
    const [what, frame] of [
      ["a window update of nothing", (stream: number) => Frames.windowUpdate(stream, 0)],
      ["a window that overflows", (stream: number) => Frames.windowUpdate(stream, 0x7fffffff)],
      ["data after the end", (stream: number) => Frames.data(stream, Buffer.from("x"))]
    ] as const
  ) {
    http2(`requests that make us cancel, by ${what} (CVE-2025-8671)`, "protocol_error", ({ socket }) => {
      socket.write(Frames.preface())
      const id = streams()
      return flood(socket, () => {
        const stream = id()
        return Buffer.concat([Frames.get(stream, "/never"), frame(stream)])
      })
    })
  }

  http2("the same by more data than announced", "protocol_error", ({ socket }) => {
    socket.write(Frames.preface())
    const id = streams()
    const block = Buffer.concat([Frames.request("POST", "/never"), Frames.literal("content-length", "1")])
    return flood(socket, () => {
      const stream = id()
      return Buffer.concat([
        Frames.frame(Frames.type.headers, 4, stream, block),
        Frames.data(stream, Buffer.from("xy"))
      ])
    })
  })

  http2("the same by headers that are none", "flood", ({ socket }) => {
    socket.write(Frames.preface())
    const id = streams()
    const block = Buffer.concat([Frames.request("GET", "/never"), Frames.literal("X-Capital", "x")])
    return flood(socket, () => Frames.frame(Frames.type.headers, 5, id(), block))
  })

  http2("PING frames whose answers are not read", "flood", ({ socket }) => {
    socket.write(Frames.preface())
    socket.pause()
    return flood(socket, () => Buffer.concat(Array.from({ length: 5000 }, () => Frames.ping)))
  })

  http2("SETTINGS frames whose answers are not read", "flood", ({ socket }) => {
    socket.write(Frames.preface())
    socket.pause()
    return flood(socket, () => Buffer.concat(Array.from({ length: 5000 }, () => Frames.frame(4, 0, 0))))
  })

  http2("DATA frames without data", "flood", ({ socket }) => {
    socket.write(Buffer.concat([Frames.preface(), Frames.post(1, "/repeat")]))
    return flood(socket, () => Frames.data(1, Buffer.alloc(0)).subarray())
  })

  http2("a window that overflows", "protocol_error", ({ socket }) => {
    socket.write(Frames.preface())
    return flood(socket, () => Frames.windowUpdate(0, 0x7fffffff))
  })

  http2("a frame that is larger than allowed", "protocol_error", ({ socket }) => {
    socket.write(Buffer.concat([Frames.preface(), Frames.frame(Frames.type.headers, 4, 1, Buffer.alloc(0), 1_000_000)]))
    return flood(socket, () => Buffer.alloc(10_000))
  })

  http2("what is no frame", "protocol_error", ({ socket }) => {
    socket.write(Frames.preface())
    return flood(socket, () => Buffer.alloc(1000, 0x05))
  })

  /** Each takes as long as a client has to leave that was told to. */
  describe.concurrent("by clients that do not leave", () => {
    http2("headers of which the rest never comes", undefined, ({ socket }) => {
      socket.write(Buffer.concat([Frames.preface(), Frames.openHeaders(1, Frames.request("GET", "/who"))]))
      return Effect.void
    }, { idleTimeout: "500 millis" })

    http2("an answer whose client opens no window", "slow_reader", ({ socket }) => {
      socket.write(Buffer.concat([Frames.preface({ [Frames.initialWindow]: 0 }), Frames.get(1, "/endless")]))
      return Effect.void
    }, { stallTimeout: "200 millis", idleTimeout: "500 millis" })

    http2("a body that never ends, a few bytes at a time", "slow_body", ({ socket }) => {
      socket.write(Buffer.concat([Frames.preface(), Frames.post(1, "/repeat")]))
      return flood(socket, () => Frames.data(1, Buffer.from("x")))
    }, { bodyTimeout: "200 millis", idleTimeout: "500 millis" })
  })
})
