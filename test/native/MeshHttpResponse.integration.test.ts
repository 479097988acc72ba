import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, type Scope, Stream, Tracer } from "effect"
import { Cookies, HttpClient, HttpClientError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { authorityOf, client, instance } from "../support/httpMesh.ts"
import * as Mesh from "../support/mesh.ts"
import { eventually } from "../support/sockets.ts"

const piece = new Uint8Array(16_384).fill(120)

/** A service with answers of every kind. Those which go on wait for the gate in between. */
const answering = Effect.fnUntraced(function*(http2: boolean) {
  const authority = yield* authorityOf
  const gate = yield* Deferred.make<void>()
  let sent = 0
  let left = 0
  const dripping = Stream.make("one ").pipe(
    Stream.concat(Stream.drain(Stream.fromEffect(Deferred.await(gate)))),
    Stream.concat(Stream.make("two")),
    Stream.encodeText
  )
  const endless = Stream.fromEffectRepeat(Effect.sync(() => (sent++, piece)))
  const noticing = (body: Stream.Stream<Uint8Array>) =>
    HttpServerResponse.stream(Stream.ensuring(body, Effect.sync(() => left++)))
  const api = yield* instance(
    yield* Mesh.member("api", authority),
    "api",
    Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
      switch (request.url) {
        case "/json":
          return HttpServerResponse.jsonUnsafe({ item: "lämp" })
        case "/marked":
          return HttpServerResponse.uint8Array(Uint8Array.from([0xEF, 0xBB, 0xBF, 0x7B, 0x7D]))
        case "/form":
          return HttpServerResponse.text("?a=1&b=2&b=3", { contentType: "application/x-www-form-urlencoded" })
        case "/cookies":
          return HttpServerResponse.empty().pipe(HttpServerResponse.setCookieUnsafe("seen", "yes"))
        case "/large":
          return HttpServerResponse.stream(Stream.take(endless, 64))
        case "/drip":
          return noticing(dripping)
        case "/endless":
          return noticing(endless)
        case "/torn":
          return HttpServerResponse.stream(
            Stream.concat(
              Stream.make(piece),
              Stream.drain(Stream.fromEffect(Effect.andThen(Deferred.await(gate), Effect.die("the end of it"))))
            )
          )
        default:
          return HttpServerResponse.empty({ status: 204 })
      }
    })
  )
  const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(api.port)] })
  const { http } = yield* client(authority, discovery.layer, { pool: { http2 } })
  return { get: (path: string) => http.get(`http://api${path}`), http, api, gate, sent: () => sent, left: () => left }
})

const collecting = Effect.provideService(
  Tracer.Tracer,
  Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
)

describe.each(
  [
    ["HTTP/1.1, with spans", false, collecting],
    ["HTTP/1.1, without", false, (self) => self],
    ["HTTP/2, with spans", true, collecting],
    ["HTTP/2, without", true, (self) => self]
  ] satisfies ReadonlyArray<
    readonly [string, boolean, <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>]
  >
)(
  "an answer over %s",
  (_, http2, mode) => {
    const check = (
      name: string,
      test: (mesh: Effect.Success<ReturnType<typeof answering>>) => Effect.Effect<void, unknown, Scope.Scope>
    ) => it.live(name, () => Effect.flatMap(answering(http2), (mesh) => mode(test(mesh))))

    check("is read in every way, more than once", ({ get }) =>
      Effect.gen(function*() {
        const json = yield* get("/json")
        assert.deepStrictEqual(yield* json.json, { item: "lämp" })
        assert.strictEqual(yield* json.text, `{"item":"lämp"}`)
        assert.strictEqual((yield* json.arrayBuffer).byteLength, 16)
        for (let i = 0; i < 2; i++) {
          assert.strictEqual(yield* Stream.mkString(Stream.decodeText(json.stream)), `{"item":"lämp"}`)
        }
        assert.deepStrictEqual(yield* json.json, { item: "lämp" })
        assert.strictEqual(json.headers["content-type"], "application/json")
        assert.strictEqual(json.url, "http://api/json")
        assert.deepStrictEqual(yield* (yield* get("/marked")).json, {})
        assert.deepStrictEqual((yield* (yield* get("/form")).urlParamsBody).params, [["?a", "1"], ["b", "2"], [
          "b",
          "3"
        ]])
        assert.strictEqual((yield* (yield* get("/form")).formData).get("b"), "2")
        assert.deepStrictEqual(Cookies.toRecord((yield* get("/cookies")).cookies), { seen: "yes" })
        const nothing = yield* get("/nothing")
        assert.strictEqual(nothing.status, 204)
        assert.strictEqual(yield* nothing.text, "")
        assert.isNull(yield* nothing.json)
      }))

    check("with a body that is not what it should be says so", ({ get }) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* get("/form")).json)
        assert.strictEqual(error.reason._tag, "DecodeError")
        const upgrade = yield* Effect.flip((yield* get("/form")).upgrade)
        assert.strictEqual(upgrade.reason._tag, "StatusCodeError")
      }))

    check("is read while it comes in", ({ gate, get }) =>
      Effect.gen(function*() {
        const response = yield* get("/drip")
        const pieces: Array<string> = []
        yield* Stream.runForEach(Stream.decodeText(response.stream), (text) => {
          pieces.push(text)
          return Deferred.succeed(gate, undefined)
        })
        assert.strictEqual(pieces.join(""), "one two")
      }))

    check("is waited for where it is read whole", ({ gate, get }) =>
      Effect.gen(function*() {
        const response = yield* get("/drip")
        const text = yield* Effect.forkChild(response.text, { startImmediately: true })
        assert.isUndefined(text.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(text), "one two")
        assert.strictEqual((yield* (yield* get("/large")).arrayBuffer).byteLength, 64 * piece.length)
      }))

    check(
      "can not be read whole once it was read as a stream while it came in",
      ({ gate, get }) =>
        Effect.gen(function*() {
          const response = yield* get("/drip")
          yield* Deferred.succeed(gate, undefined)
          yield* Stream.runDrain(response.stream)
          const error = yield* Effect.flip(response.text)
          assert.include(String(error.reason.cause), "read as a stream")
          assert.deepStrictEqual(yield* Effect.exit(Stream.runCollect(response.stream)), Exit.succeed([]))
        })
    )

    check("that nobody reads holds the other side back", ({ get, left, sent }) =>
      Effect.gen(function*() {
        yield* get("/endless")
        let before = -1
        yield* eventually(() => {
          const stalled = sent() === before
          before = sent()
          return stalled
        })
        assert.isBelow(sent() * piece.length, 16 * 1024 * 1024)
        assert.strictEqual(left(), 0)
      }))

    check("ends with the stream that it is read by", ({ get, left }) =>
      Effect.gen(function*() {
        const response = yield* get("/endless")
        yield* Stream.runDrain(Stream.take(response.stream, 3))
        yield* eventually(() => left() === 1)
      }))

    check("ends with the scope of its request", ({ http, left }) =>
      Effect.gen(function*() {
        const scoped = HttpClient.withScope(http)
        yield* Effect.scoped(scoped.get("http://api/drip"))
        yield* eventually(() => left() === 1)
      }))

    check("ends when who reads it is interrupted", ({ get, left }) =>
      Effect.gen(function*() {
        const response = yield* get("/drip")
        const reading = yield* Effect.forkChild(response.text, { startImmediately: true })
        yield* Fiber.interrupt(reading)
        yield* eventually(() => left() === 1)
      }))

    check("that breaks off is a failure of who reads it", ({ gate, get }) =>
      Effect.gen(function*() {
        const [response, another] = [yield* get("/torn"), yield* get("/torn")]
        yield* Deferred.succeed(gate, undefined)
        const error = yield* Effect.flip(response.text)
        assert.isTrue(HttpClientError.isHttpClientError(error))
        assert.strictEqual(error.reason._tag, "DecodeError")
        const streamed = yield* Effect.flip(Stream.runDrain(another.stream))
        assert.strictEqual(streamed.reason._tag, "DecodeError")
      }))

    check("is not waited for by who is interrupted", ({ api, http }) =>
      Effect.gen(function*() {
        const hanging = yield* Effect.forkChild(http.get("http://api/drip"), { startImmediately: true })
        yield* Fiber.interrupt(hanging)
        yield* eventually(() => api.stats().handling === 0)
      }))
  }
)
