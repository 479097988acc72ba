/** An application that closes the connections which it has kept, just as the next request comes. */
import * as Http from "node:http"
import { text } from "node:stream/consumers"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HttpApplication from "../../support/httpApplication.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"

const ask = (port: number, method: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, method, agent: false }, (response) => {
      text(response).then((body) => resume(Effect.succeed(`${response.statusCode} ${body}`)), () => {})
    })
    request.on("error", ({ message }) => resume(Effect.succeed(message)))
    request.end()
    return Effect.sync(() => request.destroy())
  })

describe("an application that ends a kept connection instead of answering", () => {
  it.live("is asked again, unless it may have done what it was asked", () =>
    Effect.gen(function*() {
      const seen = new WeakSet<object>()
      const port = yield* HttpApplication.start(({ socket }, response) => {
        if (seen.has(socket)) return void socket.end()
        seen.add(socket)
        response.end("hello")
      })
      const mesh = yield* SidecarMesh.make({ apps: [port], protocol: "http" })
      for (let turn = 0; turn < 4; turn++) assert.strictEqual(yield* ask(mesh.port, "GET"), "200 hello")
      assert.match(yield* ask(mesh.port, "POST"), /^503 .* connection termination$/)
    }))
})
