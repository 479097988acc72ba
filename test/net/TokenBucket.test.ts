import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as TokenBucket from "../../src/net/TokenBucket.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
const Steps = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 })))

describe("TokenBucket", () => {
  it("allows a burst, then refills by its rate", () => {
    const bucket = new TokenBucket.TokenBucket({ burst: 2, rate: 4 }, 0)
    assert.deepStrictEqual([0, 0, 250, 500].map((now) => bucket.take(now)), [true, true, true, true])
    assert.isFalse(bucket.take(749))
  })

  it("holds no more than a burst, however long nothing happens", () => {
    const bucket = new TokenBucket.TokenBucket({ burst: 2, rate: 4 }, 0)
    assert.deepStrictEqual([1e9, 1e9, 1e9].map((now) => bucket.take(now)), [true, true, false])
  })

  it.prop(
    "never allows more than the burst and what the rate has added",
    { burst: Small, rate: Small, steps: Steps },
    ({ burst, rate, steps }) => {
      const bucket = new TokenBucket.TokenBucket({ burst, rate }, 0)
      let now = 0
      let allowed = 0
      for (const step of steps) {
        now += step
        if (bucket.take(now)) allowed++
        else return
        assert.isAtMost(allowed, burst + rate * now / 1000)
      }
    }
  )

  it.prop(
    "refuses nothing to events that keep to the rate",
    { rate: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })), events: Small },
    ({ events, rate }) => {
      const bucket = new TokenBucket.TokenBucket({ burst: 2, rate }, 0)
      for (let i = 1; i <= events; i++) assert.isTrue(bucket.take(i * 1000 / rate))
    }
  )
})
