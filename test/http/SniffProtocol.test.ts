import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as SniffProtocol from "../../src/http/SniffProtocol.ts"

const sniff = (text: string) => SniffProtocol.sniff(Buffer.from(text, "latin1"))
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

describe("sniff", () => {
  it("knows HTTP/2 by its preface, and waits for as much of it as tells", () =>
    assert.deepStrictEqual(
      Array.from({ length: preface.length + 1 }, (_, length) => sniff(preface.slice(0, length))),
      [...Array(14).fill("undecided"), ...Array(preface.length - 13).fill("h2")]
    ))

  it.each(["G", "P\r", "POST / HTTP/1.1", "PRI * HTTP/1.1", "pri * HTTP/2.0", "\0", "\x16\x03\x01"])(
    "leaves %j to HTTP/1.1",
    (text) => assert.strictEqual(sniff(text), "http/1.1")
  )

  it.prop(
    "keeps to its verdict, whatever follows",
    { begin: Schema.Literals(["", "P", "PRI * HT", "PRI * HTTP/2.0", "PUT ", "GET "]), rest: Schema.String },
    ({ begin, rest }) => {
      const first = sniff(begin)
      if (first !== "undecided") assert.strictEqual(sniff(begin + rest), first)
    }
  )
})

describe("agreed", () => {
  it.each(
    [
      ["h2", ["h2", "http/1.1"], "h2"],
      ["http/1.1", ["h2", "http/1.1"], "http/1.1"],
      [false, ["h2", "http/1.1"], undefined],
      [false, ["h2"], "h2"],
      [false, ["http/1.1"], "http/1.1"],
      ["http/1.1", ["h2"], "h2"],
      ["h2", ["http/1.1"], "h2"]
    ] as const
  )(
    "with ALPN %s and a server of %j is %s",
    (alpn, spoken, protocol) => assert.strictEqual(SniffProtocol.agreed(alpn, spoken), protocol)
  )
})
