/** The frames of a tunnel: what is written is read as it was, however it arrives, and nothing else is. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Frame from "../../../src/net/tunnel/Frame.ts"

/** Everything that a reader says, with pieces of data put together. */
const read = (pieces: ReadonlyArray<Buffer>): ReadonlyArray<string> => {
  const said: Array<string> = []
  let data: { readonly stream: number; left: number; text: string } | undefined
  const told = (line: string) => void said.push(line)
  const finish = () => {
    if (data !== undefined && data.left === 0) {
      told(`data ${data.stream} ${data.text}`)
      data = undefined
    }
  }
  const reader = new Frame.Reader({
    begins: (stream, length) => {
      data = { stream, left: length, text: "" }
      finish()
    },
    data: (stream, bytes) => {
      assert.strictEqual(data?.stream, stream)
      if (data === undefined) return
      data.left -= bytes.length
      data.text += bytes.toString("latin1")
      assert.isAtLeast(data.left, 0)
      finish()
    },
    open: (stream, protocol) => told(`open ${stream} ${protocol}`),
    end: (stream) => told(`end ${stream}`),
    reset: (stream, reason) => told(`reset ${stream} ${reason}`),
    credit: (stream, bytes) => told(`credit ${stream} ${bytes}`),
    ping: (token) => told(`ping ${token.toString("hex")}`),
    pong: () => told("pong"),
    goAway: () => told("go away"),
    hello: ({ maxStreams }) => told(`hello ${maxStreams}`),
    fault: (why) => told(`fault ${why}`)
  })
  for (const piece of pieces) reader.feed(piece)
  return said
}

const data = (stream: number, text: string): Buffer => {
  const bytes = Buffer.alloc(Frame.headerBytes + text.length)
  Frame.writeHeader(bytes, 0, Frame.types.data, text.length, stream)
  bytes.write(text, Frame.headerBytes, "latin1")
  return bytes
}

const token = Buffer.from("01234567")

const written: ReadonlyArray<readonly [Buffer, string]> = [
  [Frame.hello({ maxStreams: 70_000 }), "hello 70000"],
  [Frame.open(1, "http/1.1"), "open 1 http/1.1"],
  [Frame.open(2 ** 32 - 1, ""), "open 4294967295 "],
  [data(1, "some bytes"), "data 1 some bytes"],
  [data(1, ""), "data 1 "],
  [Frame.credit(1, 2 ** 32 - 1), "credit 1 4294967295"],
  [Frame.reset(1, "denied"), "reset 1 denied"],
  [Frame.end(2), "end 2"],
  [Frame.ping(token), `ping ${token.toString("hex")}`],
  [Frame.pong(token), "pong"],
  [Frame.goAway(), "go away"]
]

/** A frame as it is not made here. */
const raw = (type: number, stream: number, payload: Buffer, length = payload.length): Buffer => {
  const header = Buffer.alloc(Frame.headerBytes)
  Frame.writeHeader(header, 0, type, length, stream)
  return Buffer.concat([header, payload])
}

const Small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("Frame", () => {
  it.prop(
    "is read as it was written, in whatever pieces it arrives",
    { frames: Schema.Array(Small(written.length - 1)), cuts: Schema.Array(Small(40)) },
    ({ cuts, frames }) => {
      const bytes = Buffer.concat(frames.map((frame) => written[frame]![0]))
      const pieces: Array<Buffer> = []
      let at = 0
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut))
        at += cut
      }
      pieces.push(bytes.subarray(at))
      assert.deepStrictEqual(read(pieces), frames.map((frame) => written[frame]![1]))
    }
  )

  it.prop("never throws, whatever arrives", { bytes: Schema.Array(Small(255)) }, ({ bytes }) => {
    const whole = Buffer.from(bytes)
    const said = read([whole])
    assert.deepStrictEqual(read(Array.from(whole, (_, i) => whole.subarray(i, i + 1))), said)
    assert.isAtMost(said.filter((line) => line.startsWith("fault")).length, 1)
  })

  it.each([
    ["data of no stream", raw(0, 0, Buffer.from("a"))],
    ["a frame of data that is too long", raw(0, 1, Buffer.alloc(0), Frame.maxDataBytes + 1)],
    ["an end with a payload", raw(2, 1, Buffer.from("a"))],
    ["a credit that is too short", raw(4, 1, Buffer.alloc(3))],
    ["the name of a protocol that is too long", raw(1, 1, Buffer.alloc(257))],
    ["a stream that is opened without a number", Frame.open(0, "")],
    ["a ping of a stream", raw(5, 1, token)],
    ["a long frame of an unknown type", raw(99, 1, Buffer.alloc(257))]
  ])("refuses %s, and reads on no more", (_, bytes) => {
    const said = read([bytes, Frame.end(1)])
    assert.lengthOf(said, 1)
    assert.match(said[0]!, /^fault /)
  })

  it("reads over short frames of types that later versions have", () => {
    assert.deepStrictEqual(read([raw(99, 7, Buffer.from("later")), Frame.end(1)]), ["end 1"])
  })

  // Whoever has an older version of this relies on it: new bytes are a new number in ALPN.
  it.each([
    ["hello", Frame.hello({ maxStreams: 16_384 }), "0800000400000000_00004000"],
    ["open", Frame.open(1, "http/1.1"), "0100000800000001_687474702f312e31"],
    ["open, of any bytes", Frame.open(258, ""), "0100000000000102"],
    ["data", data(1, "abc"), "0000000300000001_616263"],
    ["end", Frame.end(1), "0200000000000001"],
    ["reset, failed", Frame.reset(1, "failed"), "0300000100000001_00"],
    ["reset, denied", Frame.reset(1, "denied"), "0300000100000001_01"],
    ["reset, too many", Frame.reset(1, "limit"), "0300000100000001_02"],
    ["reset, refused", Frame.reset(1, "refused"), "0300000100000001_03"],
    ["reset, draining", Frame.reset(1, "draining"), "0300000100000001_04"],
    ["credit", Frame.credit(1, 65_536), "0400000400000001_00010000"],
    ["ping", Frame.ping(token), "0500000800000000_3031323334353637"],
    ["pong", Frame.pong(token), "0600000800000000_3031323334353637"],
    ["go away", Frame.goAway(), "0700000000000000"]
  ])("is on the wire what it was in the first version: %s", (_, frame, bytes) => {
    assert.strictEqual(frame.toString("hex"), bytes.replace("_", ""))
  })

  it("reads over what later versions may add to a greeting and to a farewell", () => {
    const greeting = raw(8, 0, Buffer.from("000000640000ffff", "hex"))
    assert.deepStrictEqual(read([greeting, raw(7, 0, Buffer.from("why"))]), ["hello 100", "go away"])
  })

  it("takes a reason that it does not know for a failure", () => {
    assert.deepStrictEqual(read([raw(3, 1, Buffer.from([200]))]), ["reset 1 failed"])
  })
})
