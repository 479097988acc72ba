/** What is counted of requests is what was written to their callers. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import * as Frames from "../../support/h2Frames.ts"
import * as Http from "../../support/http.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

const echo = Effect.gen(function*() {
  const { upgrade } = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* upgrade
  const read = yield* Socket.readerString(socket)
  return yield* Effect.forever(read)
})

const started = Effect.gen(function*() {
  const arrived = yield* Deferred.make<void>()
  const server = yield* Servers.start(
    Servers.served(HttpRouter.addAll([
      HttpRouter.route("*", "/never", Effect.andThen(Deferred.succeed(arrived, undefined), Effect.never)),
      HttpRouter.route("*", "/text", HttpServerResponse.text("hello")),
      HttpRouter.route("GET", "/echo", echo)
    ])),
    { drain: "0 millis" }
  )
  const counted = Effect.fnUntraced(function*(expected: Readonly<Record<string, number>>) {
    const { stats } = server.mesh
    const sum = (counts: Readonly<Record<string, number>>) =>
      Object.values(counts).reduce((all, count) => all + count, 0)
    yield* Sockets.eventually(() => stats().handling === 0 && sum(stats().requests) >= sum(expected))
    assert.deepStrictEqual(stats().requests, expected)
  })
  const open = (alpn: "h2" | "http/1.1") =>
    TlsClients.connect(server.port, server.web.issued, { ALPNProtocols: [alpn] })
  return { ...server, arrived, counted, open }
})

describe("a request", () => {
  it.live.each(["h2", "http/1.1"] as const)(
    "that its caller gave up is no success, over %s",
    (alpn) =>
      Effect.gen(function*() {
        const { arrived, counted, open } = yield* started
        const { reset, socket } = yield* open(alpn)
        socket.write(
          alpn === "h2"
            ? Buffer.concat([Frames.preface(), Frames.get(1, "/never")])
            : "GET /never HTTP/1.1\r\nhost: api\r\n\r\n"
        )
        yield* Deferred.await(arrived)
        reset()
        yield* counted({ "web api reset": 1 })
      })
  )

  it.live("that waits for another one's answer is over with its connection, and no success", () =>
    Effect.gen(function*() {
      const { arrived, counted, mesh, open } = yield* started
      const { reset, socket } = yield* open("http/1.1")
      socket.write(["/never", "/text", "/text"].map((path) => `GET ${path} HTTP/1.1\r\nhost: api\r\n\r\n`).join(""))
      yield* Deferred.await(arrived)
      yield* Sockets.eventually(() => mesh.stats().handling === 3)
      reset()
      yield* counted({ "web api reset": 3 })
    }))

  it.live("that is refused counts as such, also where gRPC calls it 200", () =>
    Effect.gen(function*() {
      const { counted, materialOf, port } = yield* started
      const ops = yield* Http.http2(port, yield* materialOf("ops"))
      yield* ops({ path: "/text", method: "POST", headers: { "content-type": "application/grpc" } })
      yield* counted({ "ops api 403": 1 })
    }))
})

describe("a request for an upgrade", () => {
  const upgrade = (path: string, ...headers: ReadonlyArray<string>) =>
    [`GET ${path} HTTP/1.1`, "host: api", "connection: upgrade", "upgrade: websocket", ...headers, "", ""].join("\r\n")
  const key = ["sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]

  it.live.each(
    [
      ["switches protocols", upgrade("/echo", ...key), 101],
      ["lacks its key", upgrade("/echo"), 400],
      ["is answered as any other", upgrade("/text", ...key), 200],
      ["is about nothing that is there", upgrade("/nothing", ...key), 404]
    ] as const
  )("that %s counts by what was written", ([, bytes, code]) =>
    Effect.gen(function*() {
      const { counted, open } = yield* started
      const { reset, socket } = yield* open("http/1.1")
      const answer = Sockets.record(socket)
      socket.write(bytes)
      yield* Sockets.eventually(() => answer.bytes() > 0)
      assert.include(answer.text(), `HTTP/1.1 ${code}`)
      reset()
      yield* counted({ [`web api ${code}`]: 1 })
    }))

  it.live("that nobody answered is none of them", () =>
    Effect.gen(function*() {
      const { arrived, counted, open } = yield* started
      const { reset, socket } = yield* open("http/1.1")
      socket.write(upgrade("/never", ...key))
      yield* Deferred.await(arrived)
      reset()
      yield* counted({ "web api reset": 1 })
    }))
})
