/** WebSockets with another implementation on both ends, through two sidecars. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"
import * as WebSockets from "../../support/webSockets.ts"

const setUp = Effect.fnUntraced(function*(options: Pick<SidecarMesh.Options, "drain"> = {}) {
  const app = yield* WebSockets.start
  const mesh = yield* SidecarMesh.make({ apps: [app.port], protocol: "http", ...options })
  const open = Effect.gen(function*() {
    const client = yield* WebSockets.connect(mesh.port, "/socket")
    return { client, server: app.connections.at(-1)! }
  })
  return { app, mesh, open }
})

describe("a WebSocket through two sidecars", () => {
  it.live("carries texts, a megabyte at once, and pings of both sides", () =>
    Effect.gen(function*() {
      const { open } = yield* setUp()
      const { client, server } = yield* open
      client.socket.send("hello")
      const large = Buffer.alloc(1024 * 1024, "0123456789abcdef")
      client.socket.send(large)
      yield* Sockets.eventually(() => client.messages.length === 2)
      assert.strictEqual(client.messages[0]!.toString(), "hello")
      assert.isTrue(client.messages[1]!.equals(large))
      client.socket.ping("from the client")
      server.socket.ping("from the server")
      yield* Sockets.eventually(() => client.pongs.length === 1 && server.pongs.length === 1)
      assert.deepStrictEqual([client.pongs, server.pongs], [["from the client"], ["from the server"]])
    }))

  it.live("is closed by either side, with its code and reason", () =>
    Effect.gen(function*() {
      const { open } = yield* setUp()
      const left = yield* open
      left.client.socket.close(4001, "enough")
      yield* Sockets.eventually(() => left.client.closed() !== undefined && left.server.closed() !== undefined)
      assert.deepStrictEqual(left.server.closed(), { code: 4001, reason: "enough" })
      assert.deepStrictEqual(left.client.closed(), { code: 4001, reason: "enough" })
      const ended = yield* open
      ended.server.socket.close(4002, "too slow")
      yield* Sockets.eventually(() => ended.client.closed() !== undefined && ended.server.closed() !== undefined)
      assert.deepStrictEqual(ended.client.closed(), { code: 4002, reason: "too slow" })
    }))

  it.live("is cut on one side when the other one dies", () =>
    Effect.gen(function*() {
      const { open } = yield* setUp()
      const widow = yield* open
      widow.server.socket.terminate()
      yield* Sockets.eventually(() => widow.client.closed() !== undefined)
      assert.strictEqual(widow.client.closed()!.code, 1006)
      const orphan = yield* open
      orphan.client.socket.terminate()
      yield* Sockets.eventually(() => orphan.server.closed() !== undefined)
      assert.strictEqual(orphan.server.closed()!.code, 1006)
    }))

  it.live("is cut once it would not be allowed any more, and none is opened", () =>
    Effect.gen(function*() {
      const { mesh, open } = yield* setUp()
      const { client, server } = yield* open
      client.socket.send("hello")
      yield* Sockets.eventually(() => client.messages.length === 1)
      yield* mesh.write(SidecarMesh.intention({ Action: "deny" }))
      yield* Sockets.eventually(() => client.closed() !== undefined && server.closed() !== undefined)
      assert.deepStrictEqual([client.closed()!.code, server.closed()!.code], [1006, 1006])
      assert.strictEqual((yield* Effect.flip(open)).why, "403")
    }))

  it.live("is one to the permissions, which hear what the application would", () =>
    Effect.gen(function*() {
      const { mesh, open } = yield* setUp()
      yield* open
      yield* mesh.write(SidecarMesh.intention({
        Permissions: [
          { Action: "deny", HTTP: { Header: [{ Name: "Upgrade", Exact: "websocket" }] } },
          { Action: "allow", HTTP: { PathPrefix: "/" } }
        ]
      }))
      yield* Sockets.eventuallyEffect(Effect.map(Effect.result(open), (opened) => opened._tag === "Failure"))
      assert.strictEqual((yield* Effect.flip(open)).why, "403")
    }))

  it.live("goes on while the sidecar of the application drains, which waits for it", () =>
    Effect.gen(function*() {
      const { mesh, open } = yield* setUp({ drain: "1 minute" })
      const { client } = yield* open
      const bound = mesh.api[0]!.status().listeners[0]!.address
      const stopping = yield* Effect.forkChild(mesh.api[0]!.stop, { startImmediately: true })
      yield* Sockets.eventuallyEffect(
        Effect.scoped(Effect.isFailure(Sockets.connect(Number(bound.split(":").at(-1)))))
      )
      client.socket.send("still here")
      yield* Sockets.eventually(() => client.messages.length === 1)
      assert.isUndefined(stopping.pollUnsafe())
      client.socket.close(1000)
      yield* Fiber.join(stopping)
      yield* Sockets.eventually(() => client.closed() !== undefined)
      assert.strictEqual(client.closed()!.code, 1000)
    }))

  it.live("is cut when the sidecar has drained for long enough", () =>
    Effect.gen(function*() {
      const { mesh, open } = yield* setUp({ drain: "100 millis" })
      const { client } = yield* open
      yield* mesh.api[0]!.stop
      yield* Sockets.eventually(() => client.closed() !== undefined)
      assert.strictEqual(client.closed()!.code, 1006)
    }))
})
