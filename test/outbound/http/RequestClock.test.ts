import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as RequestClock from "../../../src/outbound/http/RequestClock.ts"

const start = (times: Partial<Pick<RequestClock.Options, "idleTimeoutMillis" | "requestTimeoutMillis">>) => {
  const lapsed: Array<string> = []
  const program = { isPaused: false }
  const clock = new RequestClock.RequestClock({
    requestTimeoutMillis: undefined,
    idleTimeoutMillis: undefined,
    ...times,
    isPaused: () => program.isPaused,
    lapsed: (limit) => void lapsed.push(limit)
  })
  return { clock, lapsed, program }
}

describe("RequestClock", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("counts the whole from when the request is known, less what was waited before", () => {
    const { clock, lapsed } = start({ requestTimeoutMillis: 100 })
    vi.advanceTimersByTime(1000)
    clock.startWhole(40)
    vi.advanceTimersByTime(59)
    clock.startWhole(0)
    assert.deepStrictEqual(lapsed, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(lapsed, ["request"])
  })

  it("ends what is silent, but not what is not read", () => {
    const { clock, lapsed, program } = start({ idleTimeoutMillis: 100, requestTimeoutMillis: 10_000 })
    clock.startWhole(0)
    vi.advanceTimersByTime(99)
    clock.heard()
    vi.advanceTimersByTime(99)
    assert.deepStrictEqual(lapsed, [])
    program.isPaused = true
    vi.advanceTimersByTime(1000)
    assert.deepStrictEqual(lapsed, [])
    program.isPaused = false
    vi.advanceTimersByTime(100)
    assert.deepStrictEqual(lapsed, ["idle"])
    vi.advanceTimersByTime(100_000)
    assert.deepStrictEqual(lapsed, ["idle"])
  })

  it("says nothing once it is stopped", () => {
    const { clock, lapsed } = start({ idleTimeoutMillis: 100, requestTimeoutMillis: 100 })
    clock.startWhole(0)
    clock.stop()
    vi.advanceTimersByTime(1000)
    assert.deepStrictEqual(lapsed, [])
  })
})
