/** Spans on both sides of a mesh, as a tracer gets them. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { Context, Effect, Option, Schedule, Tracer } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as Tracing from "../../src/observe/Tracing.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"
import * as http from "../support/http.ts"
import * as scrape from "../support/scrape.ts"
import { closedPort } from "../support/sockets.ts"
import { about, collect, parentOf, type Spans } from "../support/spans.ts"

const routes = (
  handle: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>
) => HttpRouter.serve(HttpRouter.add("GET", "/*", handle), { disableLogger: true, disableListenLog: true })

/** Says which trace headers came. */
const echo = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers: { b3, traceparent, tracestate } }) => HttpServerResponse.jsonUnsafe({ b3, traceparent, tracestate })
)

/** `shop` calls `orders`, which says what it heard. */
const mesh = <A, E, R>(
  f: (
    shop: HttpClient.HttpClient,
    spans: Spans,
    orders: TestMesh.Instance
  ) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const spans = yield* collect
    return yield* Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      const orders = yield* mesh.serve("orders", routes(echo))
      yield* mesh.allow("shop", "orders")
      return yield* f(yield* mesh.client("shop"), spans, orders)
    }).pipe(Effect.provide(TestMesh.layer()), Effect.provideService(Tracer.Tracer, spans.tracer), scrape.fresh)
  })

const trustDomainOf = (context: Context.Context<Mesh.Mesh>) =>
  Context.get(context, SecureContexts.SecureContexts).current().roots.trustDomain

describe("a request between two services", () => {
  it.live("is one trace, with the peer on both sides and the connection that was made for it", () =>
    mesh((shop, spans, orders) =>
      Effect.gen(function*() {
        const trustDomain = trustDomainOf(yield* TestMesh.TestMesh.use((mesh) => mesh.join("shop")))
        const heard = yield* shop.get("http://orders/").pipe(
          Effect.flatMap((response) => response.json),
          Effect.withSpan("checkout")
        )
        const [checkout] = spans.named("internal", "checkout")
        const [client] = spans.named("client", "GET")
        const [served] = spans.named("server", "GET")
        const [dial] = spans.named("client", "mesh.dial")
        assert.isDefined(checkout && client && served && dial)
        assert.deepStrictEqual([client, served, dial].map((span) => span!.traceId), [
          checkout!.traceId,
          checkout!.traceId,
          checkout!.traceId
        ])
        assert.strictEqual(parentOf(client!), checkout!.spanId)
        assert.strictEqual(parentOf(served!), client!.spanId)
        assert.strictEqual(parentOf(dial!), client!.spanId)
        const instance = about(client!)["mesh.instance"]
        assert.match(String(instance), new RegExp(`/${orders.id}$`))
        const where = { "mesh.instance": instance, "mesh.address": `127.0.0.1:${orders.port}` }
        assert.deepStrictEqual(about(client!), { "mesh.source": "shop", "mesh.destination": "orders", ...where })
        assert.deepStrictEqual(about(dial!), { "mesh.destination": "orders", ...where })
        assert.deepStrictEqual(about(served!), {
          "mesh.source": "shop",
          "mesh.destination": "orders",
          "mesh.peer": `spiffe://${trustDomain}/ns/default/dc/dc1/svc/shop`
        })
        assert.deepStrictEqual(heard, {
          b3: `${client!.traceId}-${client!.spanId}-1-${checkout!.spanId}`,
          traceparent: `00-${client!.traceId}-${client!.spanId}-01`
        })

        for (let i = 0; i < 10; i++) yield* shop.get("http://orders/")
        assert.isBelow(spans.named("client", "mesh.dial").length, 5, "kept connections are not dialled again")
      })
    ))

  it.live("stays one trace through a retry, which says what failed before", () =>
    mesh((shop, spans) =>
      Effect.gen(function*() {
        const gone = yield* closedPort
        yield* ServiceRegistration.make({ name: "orders", id: "gone", port: gone, address: "127.0.0.1", drain: 0 })
        const retried = () =>
          spans.named("client", "GET").find((span) => about(span)["http.request.resend_count"] === 1)
        yield* Effect.repeat(Effect.withSpan(shop.get("http://orders/"), "checkout"), {
          schedule: Schedule.spaced("5 millis"),
          until: () => retried() !== undefined
        })
        const second = retried()!
        const first = spans.named("client", "GET").find((span) => parentOf(span) === parentOf(second))!
        assert.notStrictEqual(first, second)
        assert.strictEqual(first.traceId, second.traceId)
        assert.strictEqual(about(first)["mesh.failure"], "ConnectFailed")
        const dial = spans.named("client", "mesh.dial").find((span) => parentOf(span) === first.spanId)!
        assert.strictEqual(about(dial)["mesh.failure"], "ConnectFailed")
        assert.isUndefined(about(second)["mesh.failure"])
        const served = spans.named("server", "GET").filter(({ traceId }) => traceId === second.traceId)
        assert.deepStrictEqual(served.map(parentOf), [second.spanId])
      })
    ))

  it.live("says on both sides why it was refused", () =>
    mesh((_, spans) =>
      Effect.gen(function*() {
        const thief = yield* TestMesh.TestMesh.use((mesh) => mesh.client("thief"))
        const { status } = yield* thief.get("http://orders/")
        assert.strictEqual(status, 403)
        assert.strictEqual(about(spans.named("server", "GET")[0]!)["mesh.refused"], "denied")
        assert.match(String(about(spans.named("client", "GET")[0]!)["mesh.refused"]), /denied by/)
      })
    ))

  it.live("hands on what other tracers say, with their trace alone", () =>
    mesh((_, spans) =>
      Effect.gen(function*() {
        const mesh = yield* TestMesh.TestMesh
        const store = yield* mesh.client("store")
        yield* mesh.allow("store", "orders")
        yield* mesh.allow("shop", "store")
        const { port } = yield* mesh.serve(
          "store",
          routes(
            Effect.gen(function*() {
              const request = yield* HttpServerRequest.HttpServerRequest
              const calling = store.execute(HttpClientRequest.get("http://orders/"))
              const response = yield* request.url === "/apart"
                ? Effect.withSpan(calling, "apart", { root: true })
                : calling
              return HttpServerResponse.jsonUnsafe(yield* response.json)
            }).pipe(Effect.orDie)
          )
        )
        const material = Context.get(yield* mesh.join("shop"), SecureContexts.SecureContexts).current()
        const outside = yield* http.http1(port, material)
        const traceId = "0af7651916cd43dd8448eb211c80319c"
        const ask = (path: string, headers: Readonly<Record<string, string>>) =>
          Effect.map(outside({ path, headers }), ({ body }): Record<string, string> => JSON.parse(body))
        const parent = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }

        const joined = yield* ask("/", { ...parent, tracestate: "vendor=value,other=1" })
        assert.include(joined["traceparent"], traceId)
        assert.strictEqual(joined["tracestate"], "vendor=value,other=1")
        const apart = yield* ask("/apart", { ...parent, tracestate: "vendor=value" })
        assert.notInclude(apart["traceparent"], traceId)
        assert.isUndefined(apart["tracestate"])
        const alone = yield* ask("/", { tracestate: "vendor=value" })
        assert.isUndefined(alone["tracestate"])
        const zipkin = yield* ask("/", { b3: `${traceId}-b7ad6b7169203331-1` })
        assert.include(zipkin["b3"], traceId)
        assert.include(zipkin["traceparent"], traceId)
        const unsampled = yield* ask("/", { traceparent: `00-${traceId}-b7ad6b7169203331-00` })
        assert.match(unsampled["traceparent"]!, new RegExp(`^00-${traceId}-.*-00$`))
        assert.isTrue(Option.isSome(spans.named("server", "GET")[0]!.parent))
      })
    ))

  it.live("leaves no span and no header where the client is told not to trace", () =>
    mesh((shop, spans) =>
      Effect.gen(function*() {
        const heard = yield* shop.get("http://orders/").pipe(
          Effect.flatMap((response) => response.json),
          Effect.withSpan("checkout"),
          Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
        )
        assert.deepStrictEqual(heard, {})
        assert.deepStrictEqual([...spans.named("client", "GET"), ...spans.named("client", "mesh.dial")], [])
        const [checkout] = spans.named("internal", "checkout")
        assert.deepStrictEqual(about(checkout!), {}, "the span around it is not the mesh's")
      })
    ))
})

describe("the attributes of spans", () => {
  it("are those of the documentation", () => {
    const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8").split("## Spans")[1]!
    const documented = page.split("\n").filter((line) => line.startsWith("| `")).flatMap((line) =>
      [...line.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
    )
    assert.deepStrictEqual(
      documented.filter((name) => /^(mesh|http)[.]/.test(name)).toSorted(),
      Object.values(Tracing.attributes).toSorted()
    )
  })
})

describe("a connection between two services", () => {
  it.live("is a span of whoever dials, and none where nobody traces", () =>
    mesh((_, spans) =>
      Effect.gen(function*() {
        const shop = yield* TestMesh.TestMesh.use((mesh) => mesh.join("shop"))
        const dialling = MeshDialer.MeshDialer.use((dialer) => dialer.dial({ service: "orders" })).pipe(
          Effect.provideContext(shop)
        )
        yield* dialling
        assert.lengthOf(spans.named("client", "mesh.dial"), 0)
        yield* Effect.withSpan(dialling, "session")
        const [session] = spans.named("internal", "session")
        assert.deepStrictEqual(spans.named("client", "mesh.dial").map(parentOf), [session!.spanId])
      })
    ))
})
