/** Peers of the mesh that mean harm over HTTP/2, by frames of their own, with a real application behind the sidecar. */
import type * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import * as Certificates from "../../support/certificates.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Others from "../../support/otherServers.ts"
import * as Sidecars from "../../support/sidecars.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

/** Opens connections of `web` to the sidecar of an application. */
const sidecar = Effect.fnUntraced(function*(applicationPort: number) {
  const { api, apiSidecar, ca } = yield* Sidecars.pair(applicationPort, { api: { protocol: "http" } })
  yield* SubscriptionRef.set(api.intentions, Servers.policy(Servers.web))
  const issued = yield* Effect.promise(() => Certificates.issue(ca, { uris: [Servers.uriOf("web")] }))
  return (protocol: "h2" | "http/1.1") =>
    Effect.map(
      TlsClients.connect(apiSidecar.port("public"), issued, { ALPNProtocols: [protocol] }),
      ({ socket }) => ({ socket, answer: Sockets.record(socket) })
    )
})

/** Writes again and again, until the connection is over. */
const flood = (socket: Tls.TLSSocket, next: () => Buffer): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setInterval(() => {
      if (socket.writable && socket.writableLength < 1_048_576) socket.write(next())
    }, 1)
    const done = () => {
      clearInterval(timer)
      resume(Effect.void)
    }
    socket.once("close", done)
    socket.once("end", done)
    return Effect.sync(() => clearInterval(timer))
  })

/** An application that answers what ends with `/who`, and counts its connections. */
const counting = Effect.gen(function*() {
  let open = 0
  let most = 0
  const server = yield* Sockets.server((socket) => {
    most = Math.max(most, ++open)
    socket.once("close", () => open--)
    socket.on("end", () => socket.end())
    socket.on("data", (bytes: Buffer) => {
      if (bytes.includes(" /who ")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
      if (bytes.includes(" /large ")) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n`)
      if (bytes.includes(" /large ")) socket.write(Buffer.alloc(1_000_000))
    })
  })
  return { port: server.port, open: () => open, most: () => most }
})

/** More than this many requests are not at hand at a time, whatever a peer does. */
const bound = 300

describe("a flood over HTTP/2", () => {
  const floods: ReadonlyArray<readonly [title: string, next: () => () => Buffer]> = [
    ["of resets", () => {
      let stream = -1
      return () =>
        Buffer.concat(Array.from({ length: 50 }, () => {
          stream += 2
          return Buffer.concat([Frames.get(stream, "/never"), Frames.rstStream(stream, 8)])
        }))
    }],
    ["of resets before the request is whole", () => {
      let stream = -1
      return () =>
        Buffer.concat(Array.from({ length: 50 }, () => {
          stream += 2
          return Buffer.concat([
            Frames.post(stream, "/never"),
            Frames.data(stream, Buffer.from("x")),
            Frames.rstStream(stream, 8)
          ])
        }))
    }],
    ["of continuations", () => {
      let isFirst = true
      return () => {
        const block = Frames.literal("x", "y".repeat(100))
        const first = isFirst ? [Frames.openHeaders(1, Frames.request("GET", "/never"))] : []
        isFirst = false
        return Buffer.concat([...first, ...Array.from({ length: 50 }, () => Frames.continuation(1, block))])
      }
    }]
  ]

  it.live.each(floods)("%s is cut, and costs the application nothing", ([, next]) =>
    Effect.gen(function*() {
      const application = yield* counting
      const connect = yield* sidecar(application.port)
      const { socket } = yield* connect("h2")
      socket.write(Frames.preface())
      yield* Effect.timeout(flood(socket, next()), "20 seconds")
      assert.isBelow(application.most(), bound)
      const other = yield* connect("http/1.1")
      other.socket.write("GET /who HTTP/1.1\r\nhost: api\r\n\r\n")
      yield* other.answer.until("hello")
      // The one just used.
      yield* Sockets.eventually(() => application.open() <= 1)
    }), 30_000)

  it.live("by a peer that takes no answers: is held back by its own window", () =>
    Effect.gen(function*() {
      const application = yield* counting
      const connect = yield* sidecar(application.port)
      const { answer, socket } = yield* connect("h2")
      socket.write(Buffer.concat([
        Frames.preface({ [Frames.initialWindow]: 0 }),
        ...Array.from({ length: 200 }, (_, i) => Frames.get(i * 2 + 1, "/large"))
      ]))
      yield* Sockets.eventually(() => application.open() > 0)
      const other = yield* connect("http/1.1")
      other.socket.write("GET /who HTTP/1.1\r\nhost: api\r\n\r\n")
      yield* other.answer.until("hello")
      assert.isBelow(application.most(), bound)
      assert.isBelow(answer.bytes(), 1_000_000)
      socket.destroy()
      yield* Sockets.eventually(() => application.open() <= 1)
    }), 30_000)
})

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: api\r\n\r\n"

type Header = readonly [name: string, value: string]

/** Of a request to this path, with others among its headers. */
const headers = (path: string, ...others: ReadonlyArray<Header>): ReadonlyArray<Header> => {
  const own: ReadonlyArray<Header> = [[":method", "POST"], [":scheme", "https"], [":path", path], [":authority", "api"]]
  const pseudo = own.map((one): Header => others.find(([name]) => name === one[0]) ?? one)
  return [...pseudo, ...others.filter((one) => !pseudo.includes(one))]
}

const downgrades: ReadonlyArray<ReadonlyArray<Header>> = [
  [["x", `y\r\n\r\n${smuggled}`]],
  [["x", "y\r\ntransfer-encoding: chunked"]],
  [["x", "y\ntransfer-encoding: chunked"]],
  [["x", "y\rtransfer-encoding: chunked"]],
  [["x", "y\0z"]],
  [["x: y\r\ntransfer-encoding", "chunked"]],
  [["transfer-encoding: chunked\r\nx", "y"]],
  [["x y", "z"]],
  [["X", "y"]],
  [["", "y"]],
  [["transfer-encoding", "chunked"]],
  [["transfer-encoding", "identity"]],
  [["connection", "transfer-encoding"]],
  [["connection", "content-length"]],
  [["upgrade", "h2c"]],
  [["te", "chunked"]],
  [["content-length", "0"]],
  [["content-length", "1"]],
  [["content-length", "1000"]],
  [["content-length", "+40"]],
  [["content-length", "0"], ["content-length", String(smuggled.length)]],
  [["content-length", String(smuggled.length)], ["content-length", String(smuggled.length)]],
  [["content-length", `${smuggled.length}, ${smuggled.length}`]],
  [["content-length", String(smuggled.length)]],
  [["host", "other"]],
  [["host", "api"], ["host", "api"]],
  [[":path", `/ HTTP/1.1\r\nHost: api\r\n\r\n${smuggled}`]],
  [[":path", "/ HTTP/1.1"]],
  [[":path", "/a b"]],
  [[":path", "/a\tb"]],
  [[":path", ""]],
  [[":path", "a"]],
  [[":path", "http://other/"]],
  [[":path", "*"]],
  [[":authority", "api/smuggled"]],
  [[":authority", "api\r\nx: y"]],
  [[":authority", "user@api"]],
  [[":authority", "api api"]],
  [[":authority", ""]],
  [[":method", "GET / HTTP/1.1\r\nHost: api\r\n\r\nGET"]],
  [[":method", "GET /smuggled"]],
  [[":method", "get"]],
  [[":method", "CONNECT"]],
  [[":scheme", "https://api/smuggled?"]],
  [[":protocol", "websocket"], [":method", "CONNECT"]],
  [["x", "y"], [":path", "/smuggled"], [":path", "/smuggled"]],
  [["expect", "100-continue"]]
]

describe("over HTTP/2, and on over HTTP/1.1", () => {
  it.live.each([false, true])(
    "no request is made of headers or of a body; a lenient application: %s",
    (lenient) =>
      Effect.gen(function*() {
        const { port, seen } = yield* Others.node(lenient)
        const connect = yield* sidecar(port)
        for (const [i, others] of downgrades.entries()) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { answer, socket } = yield* connect("h2")
            const block = Buffer.concat(headers(`/${i}`, ...others).map(([name, value]) => Frames.literal(name, value)))
            socket.write(Buffer.concat([
              Frames.preface(),
              Frames.frame(Frames.type.headers, 4, 1, block),
              Frames.data(1, Buffer.from(smuggled), true),
              Frames.goAway(0, 0)
            ]))
            yield* answer.ending
          }))
          const other = yield* connect("http/1.1")
          other.socket.write(`GET /bystander-${i} HTTP/1.1\r\nhost: api\r\n\r\n`)
          yield* other.answer.until(`/bystander-${i}`)
          other.socket.destroy()
        }
        for (const { body, method, target } of seen) {
          if (target.startsWith("/bystander-")) assert.deepStrictEqual([method, body], ["GET", ""])
          else assert.deepStrictEqual([method, /^\/\d+$/.test(target), body], ["POST", true, smuggled])
        }
        // An ordinary one among them.
        assert.isTrue(seen.some(({ target }) => target === `/${downgrades.length - 1}`))
      }),
    30_000
  )
})
