/** Requests of all kinds between a sidecar of this project and an Envoy, both ways. */
import { randomBytes } from "node:crypto"
import * as Grpc from "@grpc/grpc-js"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as agent from "../support/consul.ts"
import * as Echo from "../support/echoService.ts"
import * as EnvoyMesh from "../support/envoyMesh.ts"
import * as GrpcEcho from "../support/grpcEcho.ts"
import * as Sockets from "../support/sockets.ts"
import * as WebSockets from "../support/webSockets.ts"

const setUp = (kinds: (typeof EnvoyMesh.directions)[number]) =>
  Effect.gen(function*() {
    const api = yield* Echo.start("api", "1.1")
    const new2 = yield* Echo.start("two", "2")
    const grpc = yield* GrpcEcho.start
    const socket = yield* WebSockets.start
    const mesh = yield* EnvoyMesh.make({
      ...kinds,
      services: {
        api: { protocol: "http", instances: [api] },
        two: { protocol: "http2", instances: [new2] },
        rpc: { protocol: "grpc", instances: [grpc] },
        socket: { protocol: "http", instances: [socket] }
      }
    })
    return { mesh, api, two: new2, grpc, socket }
  })

class Cast extends Context.Service<Cast, Effect.Success<ReturnType<typeof setUp>>>()("test/envoy/exchanges/Cast") {}

const large = randomBytes(1024 * 1024)

describe.each(EnvoyMesh.directions)("a caller with $caller, an instance with $callee", (kinds) => {
  layer(Layer.effect(Cast, setUp(kinds)), { timeout: 90_000, excludeTestServices: true })((it) => {
    it.effect("HTTP/1.1: requests one after another on one connection", () =>
      Effect.gen(function*() {
        const { api, mesh } = yield* Cast
        const ask = yield* Echo.client(mesh.portTo("api"))
        const first = yield* agent.eventually(
          Effect.filterOrFail(ask({ path: "/a?b=c" }), ({ status }) => status === 200, ({ status }) => status)
        )
        assert.strictEqual(first.body.toString(), "api")
        assert.deepInclude(api.seen.at(-1), { version: "1.1", method: "GET", target: "/a?b=c" })
        const posted = yield* ask({ method: "POST", body: ["one", " ", "two"] })
        assert.strictEqual(posted.body.toString(), "one two")
        assert.strictEqual(api.seen.at(-1)!.headers["transfer-encoding"], "chunked")
        const head = yield* ask({ method: "HEAD" })
        assert.deepStrictEqual([head.status, head.headers["content-length"], head.body.length], [200, "3", 0])
      }))

    it.effect("HTTP/1.1: a megabyte both ways, and no trailers", () =>
      Effect.gen(function*() {
        const { api, mesh } = yield* Cast
        const ask = yield* Echo.client(mesh.portTo("api"))
        const answer = yield* ask({
          method: "POST",
          body: [large.subarray(0, 70_000), large.subarray(70_000)],
          headers: { trailer: "x-sum" },
          trailers: { "x-sum": "1" }
        })
        assert.isTrue(answer.body.equals(large))
        assert.isTrue(api.seen.at(-1)!.body.equals(large))
        assert.deepStrictEqual([api.seen.at(-1)!.trailers, answer.trailers], [{}, {}])
        const sized = yield* ask({ method: "POST", body: [large], headers: { "content-length": large.length } })
        assert.isTrue(sized.body.equals(large))
        assert.strictEqual(api.seen.at(-1)!.headers["content-length"], String(large.length))
      }))

    it.effect("HTTP/2: many at a time on one connection, with trailers", () =>
      Effect.gen(function*() {
        const { mesh, two } = yield* Cast
        const session = yield* Echo.session(mesh.portTo("two"))
        const got = yield* Echo.ask2(session, { path: "/x" })
        assert.deepStrictEqual([got.status, got.body.toString()], [200, "two"])
        const answers = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => index),
          (index) =>
            Echo.ask2(session, {
              path: `/${index}`,
              method: "POST",
              body: [large],
              trailers: { "x-sum": String(index) }
            }),
          { concurrency: "unbounded" }
        )
        for (const { body, status, trailers } of answers) {
          assert.strictEqual(status, 200)
          assert.isTrue(body.equals(large))
          assert.strictEqual(trailers["x-last"], "done")
        }
        const sums = two.seen.slice(-20).map((
          { target, trailers, version }
        ) => [version, target, `/${trailers["x-sum"]}`])
        assert.isTrue(sums.every(([version, target, sum]) => version === "2.0" && target === sum), JSON.stringify(sums))
      }))

    it.effect("HTTP/2 to a service over HTTP/1.1", () =>
      Effect.gen(function*() {
        const { api, mesh } = yield* Cast
        const session = yield* Echo.session(mesh.portTo("api"))
        const answer = yield* Echo.ask2(session, { method: "POST", body: ["hello"] })
        assert.deepStrictEqual([answer.status, answer.body.toString()], [200, "hello"])
        assert.strictEqual(api.seen.at(-1)!.version, "1.1")
      }))

    it.effect("gRPC: calls of all kinds, with trailers and status", () =>
      Effect.gen(function*() {
        const { grpc, mesh } = yield* Cast
        const client = yield* GrpcEcho.client(mesh.portTo("rpc"))
        const one = yield* Effect.promise(() =>
          GrpcEcho.unary(client, large, { metadata: { "x-team-bin": Buffer.from([1, 0, 254]) } }).ended
        )
        assert.strictEqual(one.code, Grpc.status.OK, one.details)
        assert.isTrue(one.messages[0]!.equals(large))
        assert.deepStrictEqual(grpc.metadata().get("x-team-bin"), [Buffer.from([1, 0, 254])])
        assert.deepStrictEqual(one.trailers.get("x-last-bin"), [Buffer.from([0, 255, 10])])
        const failed = yield* Effect.promise(() =>
          GrpcEcho.unary(client, Buffer.from("x"), { metadata: { "x-do": "fail" } }).ended
        )
        assert.strictEqual(failed.code, Grpc.status.FAILED_PRECONDITION)
        assert.strictEqual(failed.details, "the lamp is off: ü 100%")
        assert.deepStrictEqual(failed.trailers.get("x-last"), ["done"])
        const unknown = yield* Effect.promise(() => GrpcEcho.unary(client, Buffer.from("x"), {}, "Unknown").ended)
        assert.strictEqual(unknown.code, Grpc.status.UNIMPLEMENTED)
        const counted = yield* Effect.promise(() => GrpcEcho.count(client, 1000).ended)
        assert.deepStrictEqual([counted.code, counted.messages.length], [Grpc.status.OK, 1000])
        const chatting = GrpcEcho.chat(client)
        for (const [index, piece] of ["one", "two"].entries()) {
          chatting.call.write(Buffer.from(piece))
          yield* Sockets.eventually(() => chatting.messages.length === index + 1)
        }
        chatting.call.end()
        assert.strictEqual((yield* Effect.promise(() => chatting.ended)).code, Grpc.status.OK)
      }))

    it.effect("gRPC: a call that is cancelled, and one whose time is up", () =>
      Effect.gen(function*() {
        const { grpc, mesh } = yield* Cast
        const client = yield* GrpcEcho.client(mesh.portTo("rpc"))
        const endless = GrpcEcho.count(client, 0)
        yield* Sockets.eventually(() => endless.messages.length > 1000)
        const before = grpc.cancelled.length
        endless.call.cancel()
        assert.strictEqual((yield* Effect.promise(() => endless.ended)).code, Grpc.status.CANCELLED)
        yield* Sockets.eventually(() => grpc.cancelled.length === before + 1)
        const late = yield* Effect.promise(() =>
          GrpcEcho.unary(client, Buffer.from("x"), { metadata: { "x-do": "hang" }, deadline: Date.now() + 2000 }).ended
        )
        assert.strictEqual(late.code, Grpc.status.DEADLINE_EXCEEDED)
        assert.notStrictEqual(grpc.deadline(), Infinity, "the application knows how long it has")
        yield* Sockets.eventually(() => grpc.open() === 0)
      }))

    it.effect("a WebSocket: texts, a megabyte, and its end with code and reason", () =>
      Effect.gen(function*() {
        const { mesh, socket } = yield* Cast
        const client = yield* WebSockets.connect(mesh.portTo("socket"), "/socket")
        client.socket.send("hello")
        client.socket.send(large)
        yield* Sockets.eventually(() => client.messages.length === 2)
        assert.strictEqual(client.messages[0]!.toString(), "hello")
        assert.isTrue(client.messages[1]!.equals(large))
        const server = socket.connections.at(-1)!
        client.socket.close(4001, "enough")
        yield* Sockets.eventually(() => client.closed() !== undefined && server.closed() !== undefined)
        assert.deepStrictEqual([client.closed(), server.closed()], [
          { code: 4001, reason: "enough" },
          { code: 4001, reason: "enough" }
        ])
      }))
  })
})
