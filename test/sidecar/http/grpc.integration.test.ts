/** gRPC with another implementation on both ends, through two sidecars. */
import * as Grpc from "@grpc/grpc-js"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as GrpcEcho from "../../support/grpcEcho.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"

const setUp = Effect.fnUntraced(function*(protocol: "grpc" | "http2") {
  const app = yield* GrpcEcho.start
  const mesh = yield* SidecarMesh.make({
    apps: [app.port],
    protocol,
    others: ["nobody"],
    entries: [
      SidecarMesh.defaults("nobody", protocol),
      SidecarMesh.intention({
        Permissions: [
          { Action: "deny", HTTP: { PathExact: "/test.Echo/Secret" } },
          { Action: "allow", HTTP: { PathPrefix: "/" } }
        ]
      })
    ]
  })
  return { app, mesh, client: yield* GrpcEcho.client(mesh.port) }
})

const texts = (messages: ReadonlyArray<Buffer>) => messages.map((message) => message.toString())

describe.each(["grpc", "http2"] as const)("gRPC through two sidecars, protocol %s", (protocol) => {
  it.live("calls of all kinds, with metadata and trailers", () =>
    Effect.gen(function*() {
      const { app, client } = yield* setUp(protocol)
      const one = yield* Effect.promise(() =>
        GrpcEcho.unary(client, Buffer.from("hello"), {
          metadata: { "x-team": "red", "x-team-bin": Buffer.from([1, 0, 254]) }
        }).ended
      )
      assert.strictEqual(one.code, Grpc.status.OK)
      assert.deepStrictEqual(texts(one.messages), ["hello"])
      assert.deepStrictEqual(app.metadata().get("x-team"), ["red"])
      assert.deepStrictEqual(app.metadata().get("x-team-bin"), [Buffer.from([1, 0, 254])])
      assert.deepStrictEqual(one.initial?.get("x-initial"), ["first"])
      assert.deepStrictEqual(one.trailers.get("x-last"), ["done"])
      assert.deepStrictEqual(one.trailers.get("x-last-bin"), [Buffer.from([0, 255, 10])])

      const collecting = GrpcEcho.collect(client)
      for (const piece of ["a", "b", "c"]) collecting.call.write(Buffer.from(piece))
      collecting.call.end()
      const collected = yield* Effect.promise(() => collecting.ended)
      assert.deepStrictEqual([collected.code, texts(collected.messages)], [Grpc.status.OK, ["abc"]])

      const counted = yield* Effect.promise(() => GrpcEcho.count(client, 1000).ended)
      assert.strictEqual(counted.code, Grpc.status.OK)
      assert.deepStrictEqual(texts(counted.messages), Array.from({ length: 1000 }, (_, index) => String(index + 1)))
      assert.deepStrictEqual(counted.trailers.get("x-last"), ["done"])

      const chatting = GrpcEcho.chat(client)
      for (const [index, piece] of ["one", "two", "three"].entries()) {
        chatting.call.write(Buffer.from(piece))
        // Each answer comes while the request is still open.
        yield* Sockets.eventually(() => chatting.messages.length === index + 1)
      }
      chatting.call.end()
      const chatted = yield* Effect.promise(() => chatting.ended)
      assert.deepStrictEqual([chatted.code, texts(chatted.messages)], [Grpc.status.OK, ["one", "two", "three"]])
    }))

  it.live("the status of a failed call, with its details and what else is in the trailers", () =>
    Effect.gen(function*() {
      const { client } = yield* setUp(protocol)
      const { code, details, messages, trailers } = yield* Effect.promise(() =>
        GrpcEcho.unary(client, Buffer.from("x"), { metadata: { "x-do": "fail" } }).ended
      )
      assert.strictEqual(code, Grpc.status.FAILED_PRECONDITION)
      assert.strictEqual(details, "the lamp is off: ü 100%")
      assert.deepStrictEqual(trailers.get("x-last-bin"), [Buffer.from([0, 255, 10])])
      assert.strictEqual(messages.length, 0)
      const unknown = yield* Effect.promise(() => GrpcEcho.unary(client, Buffer.from("x"), {}, "Unknown").ended)
      assert.strictEqual(unknown.code, Grpc.status.UNIMPLEMENTED)
    }))

  it.live("deadlines and cancellations, which the application hears of", () =>
    Effect.gen(function*() {
      const { app, client } = yield* setUp(protocol)
      const late = yield* Effect.promise(() =>
        GrpcEcho.unary(client, Buffer.from("x"), { metadata: { "x-do": "hang" }, deadline: Date.now() + 2000 }).ended
      )
      assert.strictEqual(late.code, Grpc.status.DEADLINE_EXCEEDED)
      assert.notStrictEqual(app.deadline(), Infinity, "the application knows how long it has")
      yield* Sockets.eventually(() => app.cancelled.length === 1)

      const hanging = GrpcEcho.unary(client, Buffer.from("x"), { metadata: { "x-do": "hang" } })
      yield* Sockets.eventually(() => app.open() === 1)
      hanging.call.cancel()
      assert.strictEqual((yield* Effect.promise(() => hanging.ended)).code, Grpc.status.CANCELLED)
      yield* Sockets.eventually(() => app.cancelled.length === 2)

      const endless = GrpcEcho.count(client, 0)
      yield* Sockets.eventually(() => endless.messages.length > 1000)
      endless.call.cancel()
      assert.strictEqual((yield* Effect.promise(() => endless.ended)).code, Grpc.status.CANCELLED)
      yield* Sockets.eventually(() => app.cancelled.length === 3)

      const chatting = GrpcEcho.chat(client)
      chatting.call.write(Buffer.from("one"))
      yield* Sockets.eventually(() => chatting.messages.length === 1)
      chatting.call.cancel()
      assert.strictEqual((yield* Effect.promise(() => chatting.ended)).code, Grpc.status.CANCELLED)
      yield* Sockets.eventually(() => app.cancelled.length === 4)
      assert.deepStrictEqual(app.cancelled, ["Unary", "Unary", "Count", "Chat"])
      assert.strictEqual(app.open(), 0)
      const after = yield* Effect.promise(() => GrpcEcho.unary(client, Buffer.from("still here")).ended)
      assert.deepStrictEqual(texts(after.messages), ["still here"])
    }))

  it.live("says in the words of gRPC that a call is not allowed, or reaches nobody", () =>
    Effect.gen(function*() {
      const { app, client, mesh } = yield* setUp(protocol)
      const denied = yield* Effect.promise(() => GrpcEcho.unary(client, Buffer.from("x"), {}, "Secret").ended)
      assert.strictEqual(denied.code, Grpc.status.PERMISSION_DENIED)
      assert.strictEqual(denied.details, "RBAC: access denied")
      assert.strictEqual(app.peak(), 0)
      const nobody = yield* GrpcEcho.client(mesh.portTo("nobody"))
      const lost = yield* Effect.promise(() => GrpcEcho.unary(nobody, Buffer.from("x")).ended)
      assert.strictEqual(lost.code, Grpc.status.UNAVAILABLE)
      assert.strictEqual(lost.details, "no healthy upstream")
      const streamed = yield* Effect.promise(() => GrpcEcho.count(nobody, 1).ended)
      assert.strictEqual(streamed.code, Grpc.status.UNAVAILABLE)
    }))

  it.live("a message of 4 MiB, and a hundred calls at a time", () =>
    Effect.gen(function*() {
      const { app, client } = yield* setUp(protocol)
      const large = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdef")
      const echoed = yield* Effect.promise(() => GrpcEcho.unary(client, large).ended)
      assert.strictEqual(echoed.code, Grpc.status.OK)
      assert.isTrue(echoed.messages[0]!.equals(large))

      const calls = Array.from({ length: 100 }, () => GrpcEcho.chat(client))
      for (const round of ["1", "2", "3"]) {
        for (const [index, { call }] of calls.entries()) call.write(Buffer.from(`${index} ${round}`))
      }
      yield* Sockets.eventually(() => calls.every(({ messages }) => messages.length === 3))
      assert.strictEqual(app.peak(), 100)
      for (const { call } of calls) call.end()
      const ended = yield* Effect.promise(() => Promise.all(calls.map((call) => call.ended)))
      for (const [index, { code, messages }] of ended.entries()) {
        assert.strictEqual(code, Grpc.status.OK)
        assert.deepStrictEqual(texts(messages), ["1", "2", "3"].map((round) => `${index} ${round}`))
      }
      assert.strictEqual(app.open(), 0)
    }))
})
