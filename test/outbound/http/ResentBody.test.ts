import { assert, describe, it } from "@effect/vitest"
import { Readable } from "node:stream"
import { text } from "node:stream/consumers"
import * as Undici from "@effect/platform-node/Undici"
import { Effect } from "effect"
import * as ResentBody from "../../../src/outbound/http/ResentBody.ts"

const readNext = (body: ResentBody.ResentBody) =>
  Effect.promise(() => {
    const given = body.next()
    return given instanceof Readable ? text(given) : Promise.reject(new Error("it is no stream"))
  })

describe("ResentBody", () => {
  it.effect("gives a stream to each attempt from its start, as often as it takes", () =>
    Effect.gen(function*() {
      const body = ResentBody.of(Readable.from([Buffer.alloc(0), Buffer.from("ab"), "c"]))
      assert.deepStrictEqual([yield* readNext(body), yield* readNext(body), body.isThere()], ["abc", "abc", true])
    }))

  it.effect("gives an attempt what the one before had left, and what that one had", () =>
    Effect.gen(function*() {
      const source = new Readable({ read: () => {} })
      const body = ResentBody.of(source)
      source.push("ab")
      const first = body.next()
      assert.instanceOf(first, Readable)
      yield* Effect.callback<void>((resume) => {
        if (first instanceof Readable) first.once("data", () => resume(Effect.void))
      })
      if (first instanceof Readable) first.destroy()
      source.push("c")
      source.push(null)
      assert.strictEqual(yield* readNext(body), "abc")
    }))

  it.effect("keeps nothing once it is released, and ends its source with the request", () =>
    Effect.gen(function*() {
      const source = new Readable({ read: () => {} })
      const body = ResentBody.of(source)
      body.release()
      assert.isFalse(body.isThere())
      body.close()
      assert.isTrue(source.destroyed)
    }))

  it("has what is in memory again, if it is not too large", () => {
    assert.deepStrictEqual(
      ["x".repeat(1_048_576), "x".repeat(1_048_577), null, Buffer.from("x"), new Undici.FormData()].map((body) =>
        ResentBody.of(body).isThere()
      ),
      [true, false, true, true, false]
    )
  })
})
