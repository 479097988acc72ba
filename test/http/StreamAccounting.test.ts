import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as HttpLimits from "../../src/http/HttpLimits.ts"
import * as StreamAccounting from "../../src/http/StreamAccounting.ts"

const limits: HttpLimits.HttpLimits = {
  headersTimeout: 100,
  bodyTimeout: 200,
  stallTimeout: 300,
  idleTimeout: 400,
  streamResets: { burst: 3, rate: 1 }
}

type Verdict = StreamAccounting.Verdict<string>

const make = (options: HttpLimits.HttpLimits = limits) =>
  new StreamAccounting.StreamAccounting<string>(HttpLimits.complete(options), 0)

/** A stream that nothing holds up, but for `odd`. */
const state = (odd: Partial<StreamAccounting.StreamState> = {}) => (): StreamAccounting.StreamState => ({
  unfinished: false,
  stalledMillis: 0,
  bodyArrived: () => true,
  ...odd
})

const notAsked = (): never => assert.fail("asked for a stream")

const print = (verdicts: ReadonlyArray<Verdict>): ReadonlyArray<string> =>
  verdicts.map((verdict) =>
    verdict._tag === "EndSession"
      ? `end ${verdict.abuse} ${verdict.code}`
      : verdict._tag === "CancelStream"
      ? `cancel ${verdict.stream} ${verdict.abuse}`
      : `discard ${verdict.stream}`
  )

describe("a session", () => {
  it("is to begin in time", () => {
    const accounting = make()
    assert.deepStrictEqual(accounting.sweep(100, 0, notAsked), [])
    assert.deepStrictEqual(print(accounting.sweep(101, 0, notAsked)), ["end slow_headers 0"])
  })

  it("has begun with the settings of the client, or with a stream", () => {
    const greeted = make()
    greeted.greet()
    assert.deepStrictEqual(greeted.sweep(101, 0, notAsked), [])
    const busy = make()
    busy.began("a", true, 50)
    assert.deepStrictEqual(busy.sweep(101, 1, state()), [])
  })

  it("is idle once it has been without a stream for long enough", () => {
    const accounting = make()
    assert.deepStrictEqual([accounting.isIdle(400), accounting.isIdle(401)], [false, true])
    accounting.began("a", true, 401)
    assert.isFalse(accounting.isIdle(9000))
    accounting.ended("a", false, 9000)
    assert.deepStrictEqual([accounting.isIdle(9400), accounting.isIdle(9401)], [false, true])
  })

  it("ends when more streams than a burst are refused unseen", () => {
    const accounting = make()
    accounting.began("a", true, 0)
    assert.deepStrictEqual(accounting.sweep(1, 7, state()), [])
    assert.deepStrictEqual(print(accounting.sweep(2, 9, state())), ["end headers_too_large 11"])
  })

  it("ends at the first stream that the client ends beyond the burst", () => {
    const accounting = make()
    const end = (stream: string) => {
      accounting.began(stream, true, 0)
      return print(accounting.ended(stream, true, 0))
    }
    assert.deepStrictEqual(["a", "b", "c", "d", "e"].map(end), [[], [], [], ["end stream_resets 11"], []])
  })

  it("hears nothing more once it is to end", () => {
    const accounting = make({ ...limits, streamResets: { burst: 0, rate: 0 } })
    for (const stream of ["a", "b", "c"]) accounting.began(stream, true, 0)
    const closed = state({ unfinished: true, stalledMillis: 301 })
    assert.deepStrictEqual(accounting.sweep(1, 5, closed), [])
    assert.deepStrictEqual(print(accounting.sweep(2, 5, closed)), ["discard a", "end stream_resets 11"])
    assert.deepStrictEqual(accounting.sweep(3, 99, closed), [])
    assert.deepStrictEqual(accounting.reset("b", 4), [])
    assert.deepStrictEqual(accounting.ended("c", true, 5), [])
  })

  it("goes on when the client ends streams no faster than the rate", () => {
    const accounting = make()
    for (let second = 1; second <= 100; second++) {
      accounting.began(`${second}`, true, second * 1000)
      assert.deepStrictEqual(accounting.ended(`${second}`, true, second * 1000), [])
    }
  })

  it("counts no stream that ends by itself", () => {
    const accounting = make()
    for (let i = 0; i < 100; i++) {
      accounting.began(`${i}`, true, 0)
      assert.deepStrictEqual(accounting.ended(`${i}`, false, 0), [])
    }
  })
})

describe("a stream", () => {
  it("is cancelled when its body is late, once", () => {
    const accounting = make()
    accounting.began("a", false, 50)
    const missing = state({ bodyArrived: () => false })
    assert.deepStrictEqual(accounting.sweep(250, 1, missing), [])
    assert.deepStrictEqual(print(accounting.sweep(251, 1, missing)), ["cancel a slow_body"])
    assert.deepStrictEqual(accounting.sweep(9000, 1, missing), [])
  })

  it("has any time for its body without a limit, or once it has arrived", () => {
    const missing = state({ bodyArrived: () => false })
    const unlimited = make({ ...limits, bodyTimeout: 0 })
    unlimited.began("a", false, 0)
    assert.deepStrictEqual(unlimited.sweep(1e9, 1, missing), [])
    const bodyless = make()
    bodyless.began("a", true, 0)
    assert.deepStrictEqual(bodyless.sweep(1e9, 1, missing), [])
    const arrived = make()
    arrived.began("a", false, 0)
    assert.deepStrictEqual(arrived.sweep(201, 1, state()), [])
    assert.deepStrictEqual(arrived.sweep(1e9, 1, missing), [])
  })

  it("is cancelled when its answer is not read", () => {
    const accounting = make()
    accounting.began("a", true, 0)
    assert.deepStrictEqual(accounting.sweep(1000, 1, state({ stalledMillis: 300 })), [])
    assert.deepStrictEqual(print(accounting.sweep(1001, 1, state({ stalledMillis: 301 }))), ["cancel a slow_reader"])
  })

  it("that is closed with something left to send is discarded at the second look, and counted once", () => {
    const accounting = make({ ...limits, streamResets: { burst: 1, rate: 0 } })
    accounting.began("a", true, 0)
    const closed = state({ unfinished: true })
    assert.deepStrictEqual(accounting.sweep(1, 1, closed), [])
    assert.deepStrictEqual(print(accounting.sweep(2, 1, closed)), ["discard a"])
    assert.deepStrictEqual(accounting.sweep(3, 1, closed), [])
    assert.deepStrictEqual(accounting.ended("a", true, 4), [])
  })

  it("that the client resets without an error is discarded at once, and counted once", () => {
    const accounting = make({ ...limits, streamResets: { burst: 1, rate: 0 } })
    accounting.began("a", true, 0)
    assert.deepStrictEqual(print(accounting.reset("a", 1)), ["discard a"])
    assert.deepStrictEqual(accounting.ended("a", true, 2), [])
    accounting.began("b", true, 3)
    assert.deepStrictEqual(print(accounting.reset("b", 3)), ["discard b", "end stream_resets 11"])
  })
})

describe("any client", () => {
  const Stream = Schema.Literals(["a", "b", "c"])
  const Event = Schema.Union([
    Schema.Struct({ what: Schema.Literals(["begin", "reset", "end", "close"]), stream: Stream }),
    Schema.Struct({
      what: Schema.Literal("sweep"),
      unfinished: Schema.Boolean,
      stalledMillis: Schema.Literals([0, 299, 301]),
      bodyArrived: Schema.Boolean
    })
  ])
  const Step = Schema.Struct({ after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120 })), event: Event })
  type Step = typeof Step.Type

  /** What happens to streams `a1`, `b1`, `a2`, …: each begins once. */
  const play = (steps: ReadonlyArray<Step>, options: HttpLimits.HttpLimits) => {
    const accounting = make(options)
    accounting.greet()
    const open = new Map<string, string>()
    const said: Array<string> = []
    let now = 0
    let begun = 0
    for (const { after, event } of steps) {
      now += after
      if (event.what === "sweep") {
        const looked = state({ ...event, bodyArrived: () => event.bodyArrived })
        said.push(...print(accounting.sweep(now, Math.max(0, begun * 2 - 1), looked)))
        continue
      }
      const stream = open.get(event.stream)
      if (event.what === "begin" && stream === undefined) {
        open.set(event.stream, `${event.stream}${++begun}`)
        accounting.began(`${event.stream}${begun}`, false, now)
      } else if (stream !== undefined && event.what === "reset") {
        said.push(...print(accounting.reset(stream, now)))
      } else if (stream !== undefined && event.what !== "begin") {
        open.delete(event.stream)
        said.push(...print(accounting.ended(stream, event.what === "end", now)))
      }
    }
    return { said, begun }
  }

  it.prop(
    "has each stream cancelled once and discarded once, and hears nothing after the end of its session",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const { said } = play(steps, limits)
      assert.strictEqual(new Set(said).size, said.length)
      const end = said.findIndex((line) => line.startsWith("end "))
      assert.isTrue(end === -1 || end === said.length - 1)
    }
  )

  it.prop("within the limits hears no verdict", { steps: Schema.Array(Step) }, ({ steps }) => {
    const patient = { ...limits, bodyTimeout: 0, stallTimeout: 1000, streamResets: { burst: 1000, rate: 0 } }
    const { said } = play(steps, patient)
    assert.deepStrictEqual(said.filter((line) => !line.startsWith("discard ")), [])
  })

  it.prop("keeps its session for as many resets as allowed", { steps: Schema.Array(Step) }, ({ steps }) => {
    const { begun, said } = play(steps, { ...limits, streamResets: { burst: 2, rate: 0 } })
    if (begun <= 2) assert.deepStrictEqual(said.filter((line) => line.startsWith("end ")), [])
  })
})
