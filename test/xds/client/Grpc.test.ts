import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Grpc from "../../../src/xds/client/Grpc.ts"

const texts = Schema.Array(Schema.Literals(["", "a", "hello", "a longer one, so that it comes in pieces"]))
const size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))

describe("makeMessages", () => {
  it.prop("puts messages together however they are cut", { texts, size }, ({ size, texts }) => {
    const bytes = Buffer.concat(texts.map((text) => Grpc.frame(Buffer.from(text))))
    const messages = Grpc.makeMessages()
    const found: Array<string> = []
    for (let at = 0; at < bytes.length; at += size) {
      for (const message of messages.push(bytes.subarray(at, at + size))) found.push(Buffer.from(message).toString())
    }
    assert.deepStrictEqual(found, [...texts])
  })

  it("takes nothing that is compressed, and nothing that is too long", () => {
    const compressed = Grpc.frame(Buffer.from("a"))
    compressed[0] = 1
    assert.throws(() => Grpc.makeMessages().push(compressed), /compressed/)
    assert.throws(() => Grpc.makeMessages(3).push(Grpc.frame(Buffer.from("long"))), /4 bytes/)
  })
})
