/** An instance whose sidecar is gone while the agent still takes it for healthy: requests go to the other one, without a route's word. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SidecarMesh from "../../support/sidecarMesh.ts"

/** What came of a request, in words. */
const ask = (port: number, method: string, body = ""): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, method, agent: false }, (response) => {
      text(response).then((body) => resume(Effect.succeed(`${response.statusCode} ${body}`)), () => {})
    })
    request.on("error", ({ message }) => resume(Effect.succeed(message)))
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

/** The port of an application that tells what it was asked. */
const application = (protocol: "http" | "http2") =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Http.Server | Http2.Http2Server>((resume) => {
        const answer = (
          request: Http.IncomingMessage | Http2.Http2ServerRequest,
          response: Http.ServerResponse | Http2.Http2ServerResponse
        ) => void text(request).then((body) => response.end(`${request.method} ${body}`))
        const server = protocol === "http" ? Http.createServer(answer) : Http2.createServer(answer)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as AddressInfo).port
  )

describe.each(["http", "http2"] as const)("over %s", (protocol) => {
  it.live("requests go to the instance that is left", () =>
    Effect.gen(function*() {
      const apps = [yield* application(protocol), yield* application(protocol)]
      const mesh = yield* SidecarMesh.make({ apps, protocol, drain: 0 })
      yield* mesh.api[0]!.stop
      for (let turn = 0; turn < 4; turn++) {
        assert.strictEqual(yield* ask(mesh.port, "GET"), "200 GET ")
        assert.strictEqual(yield* ask(mesh.port, "POST", "a body"), "200 POST a body")
      }
      yield* mesh.api[1]!.stop
      assert.match(
        yield* ask(mesh.port, "GET"),
        /^503 upstream connect error .* reset reason: remote connection failure$/
      )
    }))
})
