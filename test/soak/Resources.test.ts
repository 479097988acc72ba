import { assert, describe, it } from "@effect/vitest"
import * as Chart from "./Chart.ts"
import * as Resources from "./Resources.ts"

const start: Resources.Resources = { sockets: 20, servers: 6, timers: 60, fibers: 370, heap: 57, resident: 270 }

describe("what a soaked process holds", () => {
  it("may grow a little, and no more", () => {
    assert.deepStrictEqual(Resources.leaks(start, start), [])
    assert.deepStrictEqual(Resources.leaks(start, { ...start, sockets: 28, fibers: 390, resident: 320 }), [])
  })

  it.each(Resources.kinds)("is said where more %s are left", (kind) => {
    const [leak, ...others] = Resources.leaks(start, { ...start, [kind]: start[kind] * 2 })
    assert.match(leak!, new RegExp(`^${kind}: .* at the start$`))
    assert.deepStrictEqual(others, [])
  })

  it("is drawn as a curve for each", () => {
    const svg = Chart.svg([{ ...start, seconds: 0 }, { ...start, heap: 60, seconds: 60 }], 50, "a minute")
    assert.strictEqual(svg.match(/<polyline/g)?.length, 5)
    assert.notInclude(svg, "NaN")
    assert.match(svg, /<title>a minute<\/title>/)
  })
})
