/** What many streams of an HTTP/2 connection hold at a time. */
import * as Http from "node:http"
import * as Http2 from "node:http2"
import type { AddressInfo, Socket } from "node:net"
import { text } from "node:stream/consumers"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Echo from "../../support/echoService.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"

/** Reads no body before `read`, and answers with the size of each. */
const reluctant = Effect.gen(function*() {
  const held: Array<() => void> = []
  const port = yield* Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = Http2.createServer((request, response) => {
        let size = 0
        held.push(() => request.on("data", (chunk: Buffer) => size += chunk.length))
        request.on("end", () => response.end(String(size)))
      })
      server.on("connection", (socket: Socket) => sockets.add(socket))
      const close = () => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }
      server.listen(0, "127.0.0.1", () => {
        resume(Effect.succeed({ port: (server.address() as AddressInfo).port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )
  return { port: port.port, held: () => held.length, read: () => held.splice(0).forEach((begin) => begin()) }
})

const post = (port: number, body: Buffer): Promise<string> =>
  new Promise((resolve) => {
    const request = Http.request({ port, host: "127.0.0.1", method: "POST", agent: false }, (response) => {
      text(response).then((answer) => resolve(`${response.statusCode} ${answer}`), (error) => resolve(String(error)))
    })
    request.on("error", (error) => resolve(error.message))
    request.end(body)
  })

describe("many uploads at a time over HTTP/2", () => {
  it.live("are all answered, however much of them waits to be sent", () =>
    Effect.gen(function*() {
      const app = yield* reluctant
      const mesh = yield* SidecarMesh.make({ apps: [app.port], protocol: "http2" })
      const body = Buffer.alloc(256 * 1024, "x")
      const answers = Array.from({ length: 250 }, () => post(mesh.port, body))
      yield* Sockets.eventually(() => app.held() === answers.length)
      app.read()
      const different = new Set(yield* Effect.promise(() => Promise.all(answers)))
      assert.deepStrictEqual([...different], [`200 ${body.length}`])
    }))
})

describe("an HTTP/2 connection of a sidecar", () => {
  it.live("takes what its streams take by themselves, from the application and from the instance", () =>
    Effect.gen(function*() {
      const windows: Array<number | undefined> = []
      const app = yield* Echo.start("api", "2", (session) => windows.push(session.state.remoteWindowSize))
      const mesh = yield* SidecarMesh.make({ apps: [app.port], protocol: "http2" })
      const session = yield* Echo.session(mesh.portTo("api"))
      const body = Buffer.alloc(65_535, "x")
      for (let more = 0; more < 3; more++) yield* Echo.ask2(session, { method: "POST", body: [body] })
      // Without a word of the sidecar these would be 65,535 at most.
      assert.isAbove(windows.at(-1)!, 1_000_000)
      assert.isAbove(session.state.remoteWindowSize!, 1_000_000)
    }))
})
