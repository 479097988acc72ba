import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http2 from "node:http2"
import * as GrpcServer from "../../../src/xds/server/GrpcServer.ts"
import * as Sockets from "../../support/sockets.ts"

const path = "/test.Service/Stream"
const mebibyte = new Uint8Array(1024 * 1024)

describe("a caller of gRPC", () => {
  it.live("that does not read is cut before it costs much, and others are served on", () =>
    Effect.gen(function*() {
      const calls: Array<GrpcServer.Call> = []
      let closed = 0
      const { port } = yield* GrpcServer.make({
        host: "127.0.0.1",
        port: 0,
        methods: {
          [path]: (call) => {
            calls.push(call)
            return { message: () => {}, drained: () => {}, closed: () => closed++ }
          }
        }
      })
      const connect = Effect.acquireRelease(
        Effect.sync(() => Http2.connect(`http://127.0.0.1:${port}`)),
        (session) => Effect.sync(() => session.destroy())
      )
      const call = (session: Http2.ClientHttp2Session) => {
        const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" })
        stream.on("error", () => {})
        return stream
      }
      const deaf = call(yield* connect)
      yield* Sockets.eventually(() => calls.length === 1)
      let sent = 0
      const isCut = () => closed > 0
      while (!isCut() && sent < 500) {
        calls[0]!.send(mebibyte)
        sent++
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      assert.isAtLeast(sent, 64)
      assert.isAtMost(sent, 80)
      yield* Sockets.eventually(() => deaf.destroyed)

      const reading = call(yield* connect)
      let received = 0
      reading.on("data", (chunk: Buffer) => received += chunk.length)
      yield* Sockets.eventually(() => calls.length === 2)
      calls[1]!.send(new Uint8Array(3))
      yield* Sockets.eventually(() => received === 8)
    }))
})
