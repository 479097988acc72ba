/** The client of the player, straight at the applications: what either gets wrong would be taken for a sidecar's doing. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Application from "./Application.ts"
import * as Client from "./Client.ts"
import type * as Recording from "./Recording.ts"
import * as Topology from "./Topology.ts"

class Cast extends Context.Service<Cast, {
  readonly topology: Topology.Topology
  readonly applications: Application.Applications
}>()("test/parity/Cast") {}

const cast = Layer.effect(
  Cast,
  Effect.gen(function*() {
    const topology = yield* Topology.make
    return { topology, applications: yield* Application.make(topology) }
  })
)

/** What came back, and what the application saw. */
const play = (id: string, request: Partial<Recording.Request>, forget = true) =>
  Effect.gen(function*() {
    const { applications, topology } = yield* Cast
    const { app } = topology.instances.find((it) => it.id === id)!
    if (forget) applications.forget()
    const exchange = yield* Effect.promise(() =>
      Client.play(app, { to: "billing", lingerMs: 0, expect: {}, ...request })
    )
    return { ...exchange, seen: applications.seen() }
  })

const script = (text: string) => ({ headers: [`x-script: ${text}`] })

layer(cast)("the client, at an application", (it) => {
  it.effect("hears who it is, and is seen as it asks", () =>
    Effect.gen(function*() {
      const { responses, seen } = yield* play("billing-1", { method: "PUT", target: "/a?b", chunks: ["he", "llo"] })
      assert.deepStrictEqual(responses.map(({ body, status }) => ({ body, status })), [
        { body: `{"instance":"billing-1"}`, status: 200 }
      ])
      assert.deepStrictEqual(seen, [{
        instance: "billing-1",
        version: "1.1",
        method: "PUT",
        target: "/a?b",
        headers: ["Host: billing.test", "Transfer-Encoding: chunked"],
        bodyBytes: 5,
        body: "hello"
      }])
    }))

  it.effect("hears trailers, over both versions", () =>
    Effect.gen(function*() {
      const trailing = script("trailer=x-t%3Aone&body=hi")
      const over1 = yield* play("billing-1", trailing)
      const over2 = yield* play("billing-1", { ...trailing, h2: true, body: "ping", trailers: [["x-u", "two"]] })
      assert.deepStrictEqual(over1.responses.map(({ body, trailers }) => ({ body, trailers })), [
        { body: "hi", trailers: ["x-t: one"] }
      ])
      assert.deepStrictEqual(over2.responses.map(({ body, trailers }) => ({ body, trailers })), [
        { body: "hi", trailers: ["x-t: one"] }
      ])
      assert.deepStrictEqual(over2.seen.map(({ body, trailers }) => ({ body, trailers })), [
        { body: "ping", trailers: ["x-u: two"] }
      ])
    }))

  it.effect("tells a body that was cut, a connection that was reset, and what is no response", () =>
    Effect.gen(function*() {
      const cut = yield* play("billing-1", script("body=abcdef&cut=1"))
      assert.deepStrictEqual(cut.responses.map(({ body, incomplete }) => ({ body, incomplete })), [
        { body: "abc", incomplete: true }
      ])
      const reset = yield* play("billing-1", script("reset=1"))
      assert.deepStrictEqual([reset.responses, reset.closed], [[], true])
      const garbage = yield* play("billing-1", script(`raw=${encodeURIComponent(btoa("garbage"))}&rawend=1`))
      assert.deepStrictEqual([garbage.responses, garbage.unparsed], [[], "garbage"])
    }))

  it.effect("hears its own bytes through a tunnel", () =>
    Effect.gen(function*() {
      const headers = ["Connection: Upgrade", "Upgrade: websocket"]
      const { responses, tunnel } = yield* play("billing-1", { headers, tunnel: "ping" })
      assert.deepStrictEqual([responses.map(({ status }) => status), tunnel], [[101], "ping"])
    }))

  it.effect("is answered as the script says for its first tries, at the instance that it names", () =>
    Effect.gen(function*() {
      const failing = script("instance=pool-1&fail=1&key=k&status=503")
      const statuses: Array<number | undefined> = []
      for (const id of ["pool-2", "pool-1", "pool-1"]) {
        const { responses } = yield* play(id, failing, false)
        statuses.push(responses[0]?.status)
      }
      assert.deepStrictEqual(statuses, [200, 503, 200])
    }))

  it.effect("says bytes as they are given, with pauses, and hears every response", () =>
    Effect.gen(function*() {
      const [first, second] = [
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      ]
      const { responses, seen } = yield* play("billing-1", { raw: [first, 5, second], lingerMs: 20_000 })
      assert.lengthOf(responses, 2)
      assert.deepStrictEqual(seen.map(({ target }) => target), ["/1", "/2"])
    }))
})
