/** What callers try once they have been refused, or before they are: nobody crashes, and nothing stays behind. */
import * as Http1 from "node:http"
import * as Http2 from "node:http2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Intention from "../../../src/intention/Intention.ts"
import * as JwtProviders from "../../../src/watch/JwtProviders.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Plain from "../../support/plain.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"
import * as Tokens from "../../support/tokens.ts"

const routes = HttpRouter.addAll([HttpRouter.route("*", "/*", HttpServerResponse.text("hello"))])

const upgrade = (protocol: string) =>
  ["GET /a HTTP/1.1", "host: api", "connection: upgrade", `upgrade: ${protocol}`, "", ""].join("\r\n")

const denyA = Servers.policy(Intention.make("web", "api", [
  { Action: "deny", HTTP: { PathPrefix: "/a" } },
  { Action: "allow", HTTP: { PathPrefix: "/" } }
]))

/** Looks for what stays behind several times a second. */
const watchful = { stallTimeout: "200 millis" } as const

describe.concurrent("MeshHttpServer", () => {
  it.live.each(
    [["websocket", "denied"], ["h2c", "denied"], ["websocket", "answered"], ["h2c", "answered"]] as const
  )(
    "keeps no connection whose upgrade to %s was %s, though its client does",
    ([protocol, how]) =>
      Effect.gen(function*() {
        const { api, mesh, port, web } = yield* Servers.start(Servers.served(routes), {
          limits: { idleTimeout: "500 millis" },
          drain: "0 millis"
        })
        if (how === "denied") yield* SubscriptionRef.set(api.intentions, denyA)
        const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: ["http/1.1"] })
        socket.allowHalfOpen = true
        const answer = Sockets.record(socket)
        socket.write(upgrade(protocol))
        yield* answer.ending
        assert.match(answer.text(), how === "denied" ? /^HTTP\/1.1 403/ : /^HTTP\/1.1 200/)
        yield* Sockets.eventually(() => mesh.stats().connections.open === 0)
        assert.strictEqual(mesh.stats().handling, 0)
      })
  )

  it.live("keeps no stream that its client has ended without an error", () =>
    Effect.gen(function*() {
      const { mesh, port, web } = yield* Servers.start(Servers.served(routes), {
        limits: watchful,
        drain: "0 millis"
      })
      const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: ["h2"] })
      const answer = Sockets.record(socket)
      socket.write(Frames.preface())
      for (let stream = 1; stream < 400; stream += 2) {
        socket.write(Frames.get(stream, "/"))
        socket.write(Frames.rstStream(stream, 0))
      }
      // The connection ends once no stream is left.
      socket.write(Frames.goAway(0, 0))
      yield* answer.ending
      yield* Sockets.eventually(() => mesh.stats().handling === 0)
    }))
})

describe("a server of node:http2", () => {
  const start = Effect.fnUntraced(function*(server: Http2.Http2Server) {
    const { api, materialOf, serve } = yield* Plain.pair()
    const { issued } = yield* materialOf("web")
    const { port } = yield* serve(server, { limits: watchful, drain: "0 millis" })
    return { api, issued, port }
  })

  it.live("outlives refused requests that end at once", () =>
    Effect.gen(function*() {
      const server = Http2.createServer((_, response) => response.end("hello"))
      const { api, issued, port } = yield* start(server)
      yield* SubscriptionRef.set(api.intentions, denyA)
      for (const code of [0, 8]) {
        const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: ["h2"] })
        const answer = Sockets.record(socket)
        const frames = Array.from({ length: 200 }, (_, i) => [
          Frames.get(2 * i + 1, "/a"),
          Frames.rstStream(2 * i + 1, code)
        ]).flat()
        socket.write(Buffer.concat([Frames.preface(), ...frames, Frames.goAway(0, 0)]))
        yield* answer.ending
      }
    }))

  it.live("outlives requests that end while their tokens are verified, and keeps none", () =>
    Effect.gen(function*() {
      const server = Http2.createServer((_, response) => response.end("hello"))
      const { api, issued, port } = yield* start(server)
      const pair = yield* Tokens.keyPair("a")
      yield* SubscriptionRef.set(api.providers, JwtProviders.fromList([Tokens.provider(Tokens.entry([pair.jwk]))]))
      yield* SubscriptionRef.set(
        api.intentions,
        Servers.policy(Intention.make("web", "api", [
          { Action: "allow", HTTP: { PathPrefix: "/" }, JWT: { Providers: [{ Name: "okta" }] } }
        ]))
      )
      for (const code of [0, 8]) {
        for (const token of ["e30.e30.AAAA", "none"]) {
          const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: ["h2"] })
          const answer = Sockets.record(socket)
          const frames = Array.from({ length: 200 }, (_, i) => [
            Frames.get(2 * i + 1, `/?access_token=${token}`),
            Frames.rstStream(2 * i + 1, code)
          ]).flat()
          socket.write(Frames.preface())
          for (const frame of frames) socket.write(frame)
          // The connection ends once no stream is left.
          socket.write(Frames.goAway(0, 0))
          yield* answer.ending
        }
      }
    }))

  it.live("shows listeners of its sessions no request that was refused", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const server = Http2.createServer((_, response) => response.end("hello"))
      server.on("session", (session) => session.on("stream", (_, headers) => void heard.push(String(headers[":path"]))))
      const { api, issued, port } = yield* start(server)
      yield* SubscriptionRef.set(api.intentions, denyA)
      const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: ["h2"] })
      const answer = Sockets.record(socket)
      socket.write(
        Buffer.concat([Frames.preface(), Frames.get(1, "/a"), Frames.get(3, "/b/../c"), Frames.goAway(0, 0)])
      )
      yield* answer.ending
      assert.deepStrictEqual(heard, ["/c"])
    }))
})

describe("a server that listens itself", () => {
  it.live("is not followed once it does", () =>
    Effect.gen(function*() {
      const { api } = yield* Plain.pair()
      const server = Http1.createServer()
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      assert.throws(() => api.mesh.follow(server), /listens already/)
    }))
})
