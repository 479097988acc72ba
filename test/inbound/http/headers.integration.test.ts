/** What is judged of a header is what applications get of it: asked of Node, for every header that it knows. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as HttpRequest from "../../../src/intention/HttpRequest.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

interface Got {
  readonly handled: unknown
  readonly raw: ReadonlyArray<string>
}

const known = Object.entries(Http2.constants).flatMap(([name, value]) =>
  name.startsWith("HTTP2_HEADER_") && typeof value === "string" && !value.startsWith(":") ? [value] : []
)
const names = [...new Set([...known, "x-other", "x-forwarded-for", "__proto__", "constructor", "tostring"])]

const started = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) =>
      void server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    ),
    () => Effect.sync(() => server.close())
  )

/** What the application got, or undefined where Node did not let it have the request. */
const told = (port: number, bytes: Buffer, got: () => Got | undefined) =>
  Effect.callback<Got | undefined>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    const done = () => {
      socket.destroy()
      resume(Effect.succeed(got()))
    }
    socket.on("error", done).on("close", done)
    // Whatever is said comes after the request was handed on, or turned away.
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1")
      if (text.startsWith("HTTP/") || Frames.parse(chunk).some(({ stream, type }) => stream === 1 || type === 7)) done()
    })
    socket.write(bytes)
  })

const versions = {
  "HTTP/1.1": Effect.gen(function*() {
    let got: Got | undefined
    let wanted = ""
    const port = yield* started(Http.createServer((request, response) => {
      got = { handled: request.headers[wanted], raw: request.rawHeaders }
      response.end()
    }))
    return (name: string) => {
      got = undefined
      wanted = name
      const lines = [`host: api`, `${name.toUpperCase()}: one`, `${name}: two`]
      return told(port, Buffer.from(`GET / HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`), () => got)
    }
  }),
  "HTTP/2": Effect.gen(function*() {
    let got: Got | undefined
    let wanted = ""
    const port = yield* started(
      Http2.createServer().on("stream", (stream, headers, _, raw) => {
        got = { handled: headers[wanted], raw }
        stream.on("error", () => {})
        stream.respond({ ":status": 200 }, { endStream: true })
      })
    )
    return (name: string) => {
      got = undefined
      wanted = name
      const headers = [Frames.request("GET", "/"), Frames.literal(name, "one"), Frames.literal(name, "two")]
      const bytes = [Frames.preface(), Frames.frame(Frames.type.headers, 5, 1, Buffer.concat(headers))]
      return told(port, Buffer.concat(bytes), () => got)
    }
  })
}

/** Node puts a space after the comma. */
const asJudged = (handled: unknown) => typeof handled === "string" ? handled.replaceAll(", ", ",") : handled

describe.each(Object.entries(versions))("a header with two lines over %s", (_, start) => {
  it.live("is judged as it is handled, or not at all", () =>
    Effect.gen(function*() {
      const ask = yield* start
      const handedOn: Array<string> = []
      for (const name of names) {
        const got = yield* ask(name)
        if (got === undefined) continue
        handedOn.push(name)
        const judged = HttpRequest.fromRaw("GET", "/", got.raw).header(name)
        // All of its lines, which are judged one by one, too.
        const same = name === "set-cookie" ? String(got.handled) === judged : asJudged(got.handled) === judged
        assert.strictEqual(
          HttpRequest.isAmbiguous(got.raw, name),
          !same,
          `${name}: handled ${String(got.handled)}, judged ${judged}`
        )
      }
      assert.isAbove(handedOn.length, 70)
    }))
})

describe("a request with more headers than applications get", () => {
  it.live("is refused, whatever the last of them says", () =>
    Effect.gen(function*() {
      const { api, port, web } = yield* Servers.start(
        Servers.served(HttpRouter.add("*", "/*", HttpServerResponse.empty()))
      )
      const deny = { Action: "deny", HTTP: { Header: [{ Name: "x-role", Present: true }] } } as const
      const allow = { Action: "allow", HTTP: { PathPrefix: "/" } } as const
      yield* SubscriptionRef.set(api.intentions, Servers.policy(Intention.make("web", "api", [deny, allow])))
      const asked = (count: number) =>
        Effect.gen(function*() {
          const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: ["http/1.1"] })
          const answer = Sockets.record(socket)
          const headers = Array.from({ length: count }, (_, i) => `h${i}: v\r\n`).join("")
          socket.write(`GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n${headers}x-role: admin\r\n\r\n`)
          yield* answer.ending
          return answer.text().slice(0, 12)
        })
      assert.strictEqual(yield* asked(900), "HTTP/1.1 403")
      for (const count of [997, 998, 1000, 1020, 1500]) assert.match(yield* asked(count), /400|431/, `${count} headers`)
    }))
})
