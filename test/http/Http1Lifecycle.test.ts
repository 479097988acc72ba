import { assert, describe, it } from "@effect/vitest"
import * as Http1Lifecycle from "../../src/http/Http1Lifecycle.ts"
import * as HttpLimits from "../../src/http/HttpLimits.ts"

const make = (limits: HttpLimits.HttpLimits = {}, last = false) =>
  new Http1Lifecycle.Http1Lifecycle(HttpLimits.complete(limits), last)

describe("Http1Lifecycle", () => {
  it("stays open between requests", () => {
    const lifecycle = make()
    for (let i = 0; i < 3; i++) {
      assert.strictEqual(lifecycle.began(), "served")
      assert.strictEqual(lifecycle.ended(), "open")
    }
  })

  it("serves one request where it is to be the last", () => {
    const lifecycle = make({}, true)
    lifecycle.began()
    assert.strictEqual(lifecycle.ended(), "close")
  })

  it("closes at once when it retires without a request, else with the last answer", () => {
    assert.strictEqual(make().retired(), "close")
    const lifecycle = make()
    lifecycle.began()
    lifecycle.began()
    assert.strictEqual(lifecycle.retired(), "open")
    assert.strictEqual(lifecycle.ended(), "open")
    assert.strictEqual(lifecycle.ended(), "close")
  })

  it("takes as many requests at once as allowed", () => {
    const lifecycle = make({ maxPipelined: 2 })
    assert.deepStrictEqual([lifecycle.began(), lifecycle.began()], ["served", "served"])
    assert.strictEqual(lifecycle.began(), "crowded")
    lifecycle.ended()
    lifecycle.ended()
    assert.strictEqual(lifecycle.began(), "served")
  })

  it("reports a fault once", () => {
    const lifecycle = make()
    assert.deepStrictEqual([lifecycle.failed(), lifecycle.failed(), lifecycle.faulty], [true, false, true])
  })

  it("is idle once no byte has arrived for long enough, counted from the first look", () => {
    const lifecycle = make({ idleTimeout: 100 })
    const looks = [[0, 5000], [0, 5100], [1, 5101], [1, 5201], [1, 5202]] as const
    assert.deepStrictEqual(looks.map(([bytes, now]) => lifecycle.isIdle(bytes, now)), [
      false,
      false,
      false,
      false,
      true
    ])
  })
})
