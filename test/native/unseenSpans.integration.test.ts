/** Spans that nobody would see are not made, and the trace goes on all the same. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Context, Effect, Stream, Tracer } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, HttpMiddleware, HttpRouter, HttpServerRequest } from "effect/http"
import { HttpServerResponse } from "effect/http"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"
import * as Http from "../support/http.ts"
import * as Spans from "../support/spans.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"

const serve = (
  handle: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>
) => HttpRouter.serve(HttpRouter.add("*", "/*", handle), { disableLogger: true, disableListenLog: true })

/** Says which trace headers came. */
const echo = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers: { b3, traceparent, tracestate } }) => HttpServerResponse.jsonUnsafe({ b3, traceparent, tracestate })
)

type Heard = Partial<Record<"b3" | "traceparent" | "tracestate", string>>

/** `shop` calls `store`, which asks `orders` what it hears, as the path says. Ours are `shop`'s headers. */
const chain = Effect.gen(function*() {
  const mesh = yield* TestMesh.TestMesh
  const client = yield* mesh.client("store")
  yield* mesh.serve("orders", serve(echo))
  yield* mesh.allow("store", "orders")
  yield* mesh.allow("shop", "store")
  const ask = Effect.gen(function*() {
    const { url } = yield* HttpServerRequest.HttpServerRequest
    const request = HttpClientRequest.post("http://orders/").pipe(
      HttpClientRequest.setBody(
        url === "/stream" ? HttpBody.stream(Stream.make(new Uint8Array(1))) : HttpBody.text("x")
      )
    )
    const asking = client.execute(
      url === "/own" ? HttpClientRequest.setHeader(request, "tracestate", "own=1") : request
    )
    const response = yield* url === "/span"
      ? Effect.withSpan(asking, "inner")
      : url === "/silent"
      ? Effect.provideService(asking, HttpClient.TracerPropagationEnabled, false)
      : asking
    return HttpServerResponse.jsonUnsafe(yield* response.json)
  }).pipe(Effect.orDie)
  const { port } = yield* mesh.serve("store", serve(ask))
  const shop = yield* mesh.join("shop")
  const outside = yield* Http.http1(port, Context.get(shop, SecureContexts.SecureContexts).current())
  return (path: string, headers: Readonly<Record<string, string>> = {}) =>
    Effect.map(outside({ path, headers }), ({ body }): Heard => JSON.parse(body))
})

/** Spans of servers, and of the requests of `store`, that were made without a tracer. The test's agent is asked otherwise. */
const counted = Effect.acquireRelease(
  Effect.sync(() => vi.spyOn(Tracer.nativeTracer, "span")),
  (spy) => Effect.sync(() => spy.mockRestore())
).pipe(
  Effect.map((spy) => () =>
    spy.mock.calls.filter(([{ kind, name }]) => kind === "server" || (kind === "client" && name === "POST")).length
  )
)

const passed = (flag: "0" | "1"): Heard => ({
  b3: `${traceId}-${spanId}-${flag}`,
  traceparent: `00-${traceId}-${spanId}-0${flag}`
})

describe("where nobody collects spans", () => {
  it.live("none is made, and a trace goes on under the span that was named", () =>
    Effect.gen(function*() {
      const made = yield* counted
      const ask = yield* chain
      const parent = { traceparent: `00-${traceId}-${spanId}-01` }
      assert.deepStrictEqual(yield* ask("/", parent), passed("1"))
      assert.deepStrictEqual(yield* ask("/stream", parent), passed("1"))
      assert.deepStrictEqual(yield* ask("/", { ...parent, tracestate: "vendor=1" }), {
        ...passed("1"),
        tracestate: "vendor=1"
      })
      assert.deepStrictEqual(yield* ask("/own", { ...parent, tracestate: "vendor=1" }), {
        ...passed("1"),
        tracestate: "own=1"
      })
      assert.deepStrictEqual(yield* ask("/", { traceparent: `00-${traceId}-${spanId}-00` }), passed("0"))
      assert.deepStrictEqual(yield* ask("/", { b3: `${traceId}-${spanId}-0` }), passed("0"))
      assert.deepStrictEqual(yield* ask("/", { "x-b3-traceid": traceId, "x-b3-spanid": spanId }), passed("1"))
      assert.deepStrictEqual(yield* ask("/silent", parent), {})
      assert.strictEqual(made(), 0)
      const inner = yield* ask("/span", parent)
      assert.match(String(inner.traceparent), new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
      assert.notInclude(inner.traceparent, spanId)
    }).pipe(Effect.provide(TestMesh.layer())))

  it.live("a request outside of any trace names none, and broken names are not passed on", () =>
    Effect.gen(function*() {
      const made = yield* counted
      const ask = yield* chain
      for (const headers of [{}, { tracestate: "vendor=1" }, { traceparent: "00-x-y-01" }, { b3: "0" }]) {
        assert.deepStrictEqual(yield* ask("/", headers), {})
      }
      assert.strictEqual(made(), 0)
    }).pipe(Effect.provide(TestMesh.layer())))
})

describe("where spans are collected", () => {
  it.live("a trace that is not sampled goes on without any, and others have theirs", () =>
    Effect.gen(function*() {
      const spans = yield* Spans.collect
      const kinds = () => spans.all.filter((span) => span.traceId === traceId).map(({ kind }) => kind).toSorted()
      yield* Effect.gen(function*() {
        const ask = yield* chain
        assert.deepStrictEqual(yield* ask("/", { traceparent: `00-${traceId}-${spanId}-00` }), passed("0"))
        assert.deepStrictEqual(yield* ask("/stream", { b3: `${traceId}-${spanId}-0` }), passed("0"))
        assert.deepStrictEqual(kinds(), [])
        yield* ask("/", { traceparent: `00-${traceId}-${spanId}-01` })
        assert.includeMembers(kinds(), ["client", "server"])
      }).pipe(Effect.provide(TestMesh.layer()), Effect.provideService(Tracer.Tracer, spans.tracer))
    }))

  it.live("a server that is told to make no spans carries on no trace either", () =>
    Effect.gen(function*() {
      const ask = yield* chain
      assert.deepStrictEqual(yield* ask("/", { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "vendor=1" }), {})
    }).pipe(
      Effect.provide(TestMesh.layer()),
      Effect.provideService(HttpMiddleware.TracerDisabledWhen, () => true)
    ))
})
