/** What the callers of an API or of an RPC hear when policy refuses them. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "effect/rpc"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"

const Orders = HttpApi.make("orders").add(
  HttpApiGroup.make("orders").add(HttpApiEndpoint.get("list", "/orders", { success: Schema.Array(Schema.String) }))
)

const routes = HttpRouter.serve(HttpRouter.add("*", "/*", HttpServerResponse.text("theirs", { status: 403 })), {
  disableLogger: true,
  disableListenLog: true
})

const list = (http: HttpClient.HttpClient) =>
  Effect.flatMap(
    HttpApiClient.makeWith(Orders, { baseUrl: "http://orders", httpClient: http }),
    (client) => Effect.flip(client.orders.list())
  )

layer(TestMesh.layer(), { excludeTestServices: true })("a refusal", (it) => {
  it.effect("is told from an answer of the API, which knows no such status", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.serve("orders", routes)
      const shop = yield* mesh.client("shop")
      const refused = Option.getOrThrow(MeshHttpClient.failure(yield* list(shop)))
      assert.deepStrictEqual([refused.service, refused.reason._tag], ["orders", "Denied"])
      assert.include(refused.message, "the mesh of the other side refused it with 403")
      yield* mesh.allow("shop", "orders")
      assert.isTrue(Option.isNone(MeshHttpClient.failure(yield* list(shop))))
    }))

  it.effect("is a failure of the client that asks for it, and says so in its message", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.serve("orders", routes)
      yield* mesh.deny("shop", "orders")
      const shop = yield* mesh.client("shop", { refusals: "error" })
      const error = yield* list(shop)
      assert.include(error.message, "the mesh of the other side refused it")
      assert.strictEqual(Option.getOrThrow(MeshHttpClient.failure(error)).reason._tag, "Denied")
      yield* mesh.allow("shop", "orders")
      assert.strictEqual((yield* shop.get("http://orders/")).status, 403)
    }))

  it.effect("of an RPC is found in what its client wraps it in", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.serveSockets("pricing", Layer.empty)
      const Prices = RpcGroup.make(Rpc.make("price", { success: Schema.Int }))
      const protocol = yield* Layer.build(
        RpcClient.layerProtocolSocket({ retryTransientErrors: false }).pipe(
          Layer.provide(MeshSocket.layer({ service: "pricing" })),
          Layer.provide(RpcSerialization.layerNdjson),
          Layer.provide(Layer.succeedContext(yield* mesh.join("shop")))
        )
      )
      const client = yield* Effect.provideContext(RpcClient.make(Prices), protocol)
      const error = yield* Effect.flip(client.price())
      assert.include(Option.getOrThrow(MeshSocket.failure(error)).message, "Look for an intention that allows it")
    }))
})
