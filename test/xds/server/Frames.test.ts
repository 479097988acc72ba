import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Frames from "../../../src/xds/server/Frames.ts"

describe("Frames", () => {
  it.prop("come out whole, however the bytes arrive", {
    messages: Schema.Array(Schema.Uint8Array),
    cuts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))
  }, ({ cuts, messages }) => {
    const bytes = Buffer.concat(messages.map(Frames.frame))
    const reader = Frames.reader()
    const read: Array<Uint8Array> = []
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const length = cuts[turn % Math.max(1, cuts.length)] ?? 7
      const got = reader.push(bytes.subarray(at, at + length))
      if ("why" in got) return assert.fail(got.why)
      read.push(...got.map((message) => Uint8Array.from(message)))
      at += length
    }
    assert.deepStrictEqual(read.map((it) => [...it]), messages.map((it) => [...it]))
  })

  it("end where a message is compressed", () => {
    assert.deepStrictEqual(Frames.reader().push(Uint8Array.from([1, 0, 0, 0, 0])), {
      status: 12,
      why: "compressed messages are not understood: send them as they are"
    })
  })

  it("end where a message is longer than anybody may say, before it is there", () => {
    assert.deepStrictEqual(Frames.reader(10).push(Uint8Array.from([0, 0, 0, 0, 11])), {
      status: 8,
      why: "a message of 11 bytes: up to 10 are taken"
    })
  })
})
