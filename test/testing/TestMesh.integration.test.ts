import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as TestMesh from "../../src/testing/TestMesh.ts"

const greeting = (name: string) =>
  HttpRouter.serve(
    HttpRouter.add(
      "GET",
      "/*",
      Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => HttpServerResponse.text(`${name} greets ${caller.service}`))
    ),
    { disableLogger: true, disableListenLog: true }
  )

layer(TestMesh.layer(), { excludeTestServices: true })("TestMesh", (it) => {
  it.effect("lets one service call another once an intention says so, and no longer", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.serve("orders", greeting("orders"))
      const client = yield* mesh.client("shop")
      assert.strictEqual((yield* client.get("http://orders/")).status, 403)
      yield* mesh.allow("shop", "orders")
      const answer = yield* client.get("http://orders/")
      assert.strictEqual(yield* answer.text, "orders greets shop")
      yield* mesh.allow("shop", "orders", [{ Action: "allow", HTTP: { PathPrefix: "/open" } }])
      assert.strictEqual((yield* client.get("http://orders/open/1")).status, 200)
      assert.strictEqual((yield* client.get("http://orders/")).status, 403)
      yield* mesh.deny("shop", "orders")
      assert.strictEqual((yield* client.get("http://orders/open/1")).status, 403)
    }))

  it.effect("takes instances down, and brings them back", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.allow("shop", "stock")
      const first = yield* mesh.serve("stock", greeting("first"))
      const second = yield* mesh.serve("stock", greeting("second"))
      const client = yield* mesh.client("shop")
      const who = Effect.map(
        Effect.forEach([1, 2, 3, 4], () => Effect.flatMap(client.get("http://stock/"), (answer) => answer.text)),
        (answers) => [...new Set(answers.map((answer) => answer.split(" ")[0]))].sort()
      )
      assert.deepStrictEqual(yield* who, ["first", "second"])
      yield* first.takeDown
      assert.deepStrictEqual(yield* who, ["second"])
      yield* second.takeDown
      const error = yield* Effect.flatMap(Effect.flip(who), (error) => Effect.fromOption(MeshHttpClient.failure(error)))
      assert.strictEqual(error.reason._tag, "NoHealthyInstance")
      yield* first.bringBack
      assert.deepStrictEqual(yield* who, ["first"])
    }))

  it.effect("gives everybody new certificates", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.allow("shop", "bank")
      const bank = yield* mesh.serve("bank", greeting("bank"))
      const client = yield* mesh.client("shop")
      yield* client.get("http://bank/")
      yield* mesh.rotate
      assert.strictEqual((yield* client.get("http://bank/")).status, 200)
      const another = yield* mesh.client("shop")
      assert.strictEqual((yield* another.get("http://bank/")).status, 200)
      assert.strictEqual(bank.stats().connections.accepted, 2)
    }))
})

layer(TestMesh.layer())("TestMesh beside a test clock", (it) => {
  it.effect("lives in real time, and leaves the application that of the test", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      const time = HttpRouter.add(
        "GET",
        "/",
        Effect.map(Clock.currentTimeMillis, (at) => HttpServerResponse.text(`${at}`))
      )
      const { bringBack, takeDown } = yield* mesh.serve(
        "clock",
        HttpRouter.serve(time, { disableLogger: true, disableListenLog: true })
      )
      yield* mesh.allow("shop", "clock")
      const client = yield* mesh.client("shop")
      const told = Effect.flatMap(client.get("http://clock/"), ({ text }) => text)
      assert.strictEqual(yield* told, "0")
      yield* TestClock.adjust("1 minute")
      yield* mesh.rotate
      yield* takeDown
      yield* bringBack
      assert.strictEqual(yield* told, "60000")
    }))

  it.effect("closes what was registered by hand, which waits for its callers to turn away", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      const echo = yield* mesh.join("echo")
      yield* Effect.scoped(Layer.build(
        ServiceRegistration.layer({ name: "echo", port: 9, address: "127.0.0.1", drain: "10 millis" }).pipe(
          Layer.provideMerge(MeshSocketServer.layer({ host: "127.0.0.1", port: 0, drain: "10 millis" })),
          Layer.provide(Layer.succeedContext(echo))
        )
      ))
    }))

  it.effect("serves what speaks no HTTP, RPC for one", () =>
    Effect.gen(function*() {
      const mesh = yield* TestMesh.TestMesh
      yield* mesh.allow("shop", "pricing")
      const { stats } = yield* mesh.serveSockets("pricing", pricing)
      const shop = yield* mesh.join("shop")
      const protocol = yield* Layer.build(
        RpcClient.layerProtocolSocket().pipe(
          Layer.provide(MeshSocket.layer({ service: "pricing" })),
          Layer.provide(RpcSerialization.layerNdjson),
          Layer.provide(Layer.succeedContext(shop))
        )
      )
      const client = yield* RpcClient.make(Pricing).pipe(Effect.provideContext(protocol))
      assert.strictEqual(yield* client.price({ of: "tea" }), "shop pays 3 for tea")
      assert.strictEqual(stats().accepted, 1)
    }))
})

const Pricing = RpcGroup.make(Rpc.make("price", { payload: { of: Schema.String }, success: Schema.String }))

const pricing = RpcServer.layer(Pricing).pipe(
  Layer.provide(Pricing.toLayer({
    price: ({ of }) => Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => `${caller.service} pays 3 for ${of}`)
  })),
  Layer.provide(RpcServer.layerProtocolSocketServer),
  Layer.provide(RpcSerialization.layerNdjson)
)
