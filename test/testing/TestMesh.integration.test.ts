import { assert, layer } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
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
})
