/** What many peers that mean harm make this process hold, their own side included. */
import type * as Tls from "node:tls"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type * as HttpLimits from "../../../src/http/HttpLimits.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Http from "../../support/http.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

const peers = 50

/** For all of them together. */
const boundMegabytes = 32

const limits: HttpLimits.HttpLimits = { maxPipelined: 5, maxConcurrentStreams: 5 }

const routes = HttpRouter.addAll([
  HttpRouter.route("GET", "/who", HttpServerResponse.text("hello")),
  HttpRouter.route("*", "/never", Effect.never),
  HttpRouter.route(
    "GET",
    "/endless",
    HttpServerResponse.stream(Stream.forever(Stream.fromEffect(Effect.sync(() => new Uint8Array(16_384)))))
  )
])

V8.setFlagsFromString("--expose-gc")
const collect: () => void = Vm.runInNewContext("gc")

const heldMegabytes = Effect.gen(function*() {
  // What is freed in one turn lets go of more in the next.
  for (let turn = 0; turn < 5; turn++) {
    collect()
    yield* Effect.sleep("10 millis")
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { js: (external + heapUsed) / 1e6, rss: rss / 1e6 }
})

/** What each peer writes once connected. */
const holds = (
  title: string,
  alpn: "h2" | "http/1.1",
  act: (socket: Tls.TLSSocket) => void,
  /** Requests at hand in the end. */
  handling = 0
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const { mesh, port, web } = yield* Servers.start(Servers.served(routes), { drain: "0 millis", limits })
      const ask = yield* Http.http2(port, web)
      yield* ask({ path: "/who" })
      const before = yield* heldMegabytes
      yield* Effect.forEach(Array.from({ length: peers }), () =>
        Effect.map(TlsClients.connect(port, web.issued, { ALPNProtocols: [alpn] }), ({ socket }) => {
          socket.pause()
          act(socket)
        }), { concurrency: 10 })
      yield* Sockets.eventually(() => mesh.stats().connections.accepted === peers + 1)
      yield* Sockets.eventually(() =>
        mesh.stats().handling === handling
      )
      const after = yield* heldMegabytes
      assert.isBelow(after.js - before.js, boundMegabytes)
      assert.strictEqual((yield* ask({ path: "/who" })).body, "hello")
    }), 60_000)

const kilobytes = (count: number) => Buffer.alloc(count * 1024, "x")

const head = (method: string, path: string, ...headers: ReadonlyArray<string>) =>
  [`${method} ${path} HTTP/1.1`, "host: api", ...headers, "", ""].join("\r\n")

describe("fifty peers", () => {
  holds("that send headers without an end over HTTP/1.1", "http/1.1", (socket) => {
    socket.write("GET /who HTTP/1.1\r\n")
    for (let i = 0; i < 50; i++) socket.write(`x-${i}: ${"x".repeat(1000)}\r\n`)
  })

  holds("that read no answer over HTTP/1.1", "http/1.1", (socket) => {
    socket.write(head("GET", "/endless"))
  }, peers)

  holds("that ask without waiting over HTTP/1.1", "http/1.1", (socket) => {
    socket.write(head("GET", "/endless").repeat(50))
  })

  holds("that send bodies nobody reads over HTTP/1.1", "http/1.1", (socket) => {
    socket.write(head("POST", "/never", "content-length: 100000000"))
    socket.write(kilobytes(512))
  }, peers)

  holds("that send headers without an end over HTTP/2", "h2", (socket) => {
    socket.write(Frames.preface())
    socket.write(Frames.openHeaders(1, Frames.request("GET", "/who")))
    for (let i = 0; i < 3; i++) {
      socket.write(
        Frames.continuation(
          1,
          Buffer.concat(Array.from({ length: 120 }, () => Frames.literal("x".repeat(60), "y".repeat(60))))
        )
      )
    }
  })

  holds("that open no window over HTTP/2", "h2", (socket) => {
    socket.write(Frames.preface({ [Frames.initialWindow]: 0 }))
    for (let i = 0; i < 20; i++) socket.write(Frames.get(2 * i + 1, "/endless"))
  }, 5 * peers)

  holds("that read no answer over HTTP/2", "h2", (socket) => {
    socket.write(
      Buffer.concat([Frames.preface({ [Frames.initialWindow]: 0x7fffffff }), Frames.windowUpdate(0, 0x7fff0000)])
    )
    for (let i = 0; i < 20; i++) socket.write(Frames.get(2 * i + 1, "/endless"))
  }, 5 * peers)

  holds("that send bodies nobody reads over HTTP/2", "h2", (socket) => {
    socket.write(Frames.preface())
    for (let i = 0; i < 4; i++) {
      socket.write(Frames.post(2 * i + 1, "/never"))
      socket.write(Frames.data(2 * i + 1, kilobytes(15)))
    }
  }, 4 * peers)

  holds("that ask for PING answers they do not read", "h2", (socket) => {
    socket.write(Frames.preface())
    socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => Frames.ping)))
  })
})
