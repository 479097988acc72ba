import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Decoder from "../../../src/http/h1/Decoder.ts"
import * as Codec from "../../fuzz/codec.ts"
import * as H1 from "../../support/h1.ts"

const read = (text: string) => H1.ours([Buffer.from(text, "latin1")])
const request = (head: string, body = "") => `POST / HTTP/1.1\r\nhost: a\r\n${head}\r\n${body}`

const messages = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  request("Content-Length: 5\r\n", "hello"),
  request("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"),
  request("transfer-encoding: Chunked\r\n", "0005\r\nhello\r\n0\r\nX-T: 1\r\nx-u:2\r\n\r\n"),
  "\r\nDELETE /a?b HTTP/1.1\r\nX-A: \t b c \t\r\nX-a:\r\n\r\n",
  request("Content-Length: 0\r\n")
]

describe("Decoder", () => {
  it("reads requests one after the other, with their bodies and trailers", () => {
    const { fault, requests } = read(messages.join(""))
    assert.isUndefined(fault)
    assert.deepStrictEqual(requests.map((request) => JSON.parse(request)), [
      ["GET", "/", ["Host", "a"], "", []],
      ["POST", "/", ["host", "a", "Content-Length", "5"], "hello", []],
      ["POST", "/", ["host", "a", "Transfer-Encoding", "chunked"], "hello world", []],
      ["POST", "/", ["host", "a", "transfer-encoding", "Chunked"], "hello", ["X-T", "1", "x-u", "2"]],
      ["DELETE", "/a?b", ["X-A", "b c", "X-a", ""], "", []],
      ["POST", "/", ["host", "a", "Content-Length", "0"], "", []]
    ])
  })

  it.prop(
    "reads the same however the bytes come in pieces",
    { order: Schema.Array(Schema.Literals([0, 1, 2, 3, 4, 5])), cuts: Schema.Array(Schema.Int) },
    ({ cuts, order }) => {
      const bytes = Buffer.from(order.map((i) => messages[i]).join(""), "latin1")
      const places = [...new Set(cuts.map((cut) => Math.abs(cut) % (bytes.length + 1)))].toSorted((a, b) => a - b)
      const pieces = [0, ...places].map((from, i) => bytes.subarray(from, places[i]))
      assert.deepStrictEqual(H1.ours(pieces), H1.ours([bytes]))
      assert.deepStrictEqual(H1.ours(pieces, true), H1.ours([bytes]))
      assert.deepStrictEqual(H1.ours(Array.from(bytes, (byte) => Buffer.of(byte)), true), H1.ours([bytes]))
      assert.deepStrictEqual(H1.ours(Array.from(bytes, (byte) => Buffer.of(byte))), H1.ours([bytes]))
    }
  )

  it.each([
    ["both lengths", request("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400],
    ["two lengths", request("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400],
    ["a list of lengths", request("Content-Length: 5, 5\r\n", "hello"), 400],
    ["a negative length", request("Content-Length: -1\r\n"), 400],
    ["a signed length", request("Content-Length: +5\r\n", "hello"), 400],
    ["a length in hex", request("Content-Length: 0x5\r\n", "hello"), 400],
    ["an empty length", request("Content-Length:\r\n"), 400],
    ["a length beyond counting", request("Content-Length: 99999999999999999999\r\n"), 400],
    ["another coding", request("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501],
    ["a coding that looks like chunked", request("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501],
    ["chunked twice", request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501],
    ["a tab behind a coding", request("Transfer-Encoding: chunked\t\r\n", "0\r\n\r\n"), 400],
    ["a fragment", "GET /a#b HTTP/1.1\r\n\r\n", 400],
    ["a target without a slash", "GET a HTTP/1.1\r\n\r\n", 400],
    ["a query without a path", "GET ?a HTTP/1.1\r\n\r\n", 400],
    ["an asterisk", "GET * HTTP/1.1\r\n\r\n", 400],
    ["a scheme that is none", "GET ht,tp://a/b HTTP/1.1\r\n\r\n", 400],
    ["a place to connect to without a port", "CONNECT a HTTP/1.1\r\n\r\n", 400],
    ["a place to connect to with a port beyond all", "CONNECT a:65536 HTTP/1.1\r\n\r\n", 400],
    ["a port beyond all", "GET http://a:65536/ HTTP/1.1\r\n\r\n", 400],
    ["a vertical tab in a coding", request("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400],
    ["a folded line", request("x-a: 1\r\n folded\r\n"), 400],
    ["a folded coding", request("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400],
    ["a space before a colon", request("Content-Length : 5\r\n", "hello"), 400],
    ["a space within a name", request("x a: 1\r\n"), 400],
    ["no name", request(": 1\r\n"), 400],
    ["no colon", request("x-a\r\n"), 400],
    ["a NUL", request("x-a: 1\0\r\n"), 400],
    ["a DEL", request("x-a: \x7f\r\n"), 400],
    ["a bare LF", request("x-a: 1\nx-b: 2\r\n"), 400],
    ["a bare CR", request("x-a: 1\rx-b: 2\r\n"), 400],
    ["a head with bare LFs", "GET / HTTP/1.1\nhost: a\n\n", 400],
    ["a name beyond ASCII", request("x\xe9: 1\r\n"), 400],
    ["a chunk size with a sign", request("Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n"), 400],
    ["a chunk size with a prefix", request("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"), 400],
    ["a space behind a chunk size", request("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n"), 400],
    ["a chunk size beyond counting", request("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nx"), 400],
    ["chunks with bare LFs", request("Transfer-Encoding: chunked\r\n", "5\nhello\n0\n\n"), 400],
    ["an extension with a bare CR", request("Transfer-Encoding: chunked\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n"), 400],
    ["a chunk that is too long", request("Transfer-Encoding: chunked\r\n", "5\r\nhelloX0\r\n\r\n"), 400],
    ["a folded trailer", request("Transfer-Encoding: chunked\r\n", "0\r\nx: 1\r\n y\r\n\r\n"), 400],
    ["two spaces in the request line", "GET  / HTTP/1.1\r\n\r\n", 400],
    ["a space behind the version", "GET / HTTP/1.1 \r\n\r\n", 400],
    ["a space in the target", "GET /a b HTTP/1.1\r\n\r\n", 400],
    ["a target beyond ASCII", "GET /caf\xe9 HTTP/1.1\r\n\r\n", 400],
    ["a method in lower case", "get / HTTP/1.1\r\n\r\n", 400],
    ["an unknown method", "FOOBAR / HTTP/1.1\r\n\r\n", 400],
    ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 426],
    ["HTTP/2.0", "GET / HTTP/2.0\r\n\r\n", 426],
    ["no version", "GET /\r\n\r\n", 426],
    ["a version in lower case", "GET / http/1.1\r\n\r\n", 400],
    ["garbage", "\x16\x03\x01\x02\0\x01\r\n\r\n", 400],
    ["two empty lines", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400],
    ["too many fields", request("x: 1\r\n".repeat(100)), 431],
    ["a head that is too long", request(`x: ${"y".repeat(61_440)}\r\n`), 431]
  ])("refuses %s", (_, text, status) => {
    const decoder = Decoder.requests(H1.limits)
    decoder.feed(Buffer.from(text, "latin1"))
    const events = []
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
      events.push(event)
      if (event._tag === "Fault") break
    }
    const last = events.at(-1)
    assert.deepStrictEqual(last?._tag === "Fault" ? last.status : undefined, status, JSON.stringify(events))
  })

  it.each([1, 2, 3, 4])("reads no request that Node reads otherwise: seed %i", (seed) => {
    const { alike, differences } = Codec.run(seed, (runs) => runs === 20_000)
    assert.deepStrictEqual(differences, [])
    assert.isAbove(alike, 3000)
  })

  it("does not wait for the end of a head that can not be one", () => {
    assert.include(read("GET / HTTP/1.1\nhost").fault, "without a CR")
    assert.include(read(request("x: 1\r\n".repeat(200)).slice(0, -2)).fault, "more than 100")
    assert.include(read(`GET /${"x".repeat(70_000)}`).fault, "longer than")
    assert.include(read("\x16\x03\x01\x02").fault, "does not begin")
    assert.include(read("GET / HTTP/1.1\r\n\r\n{").fault, "does not begin")
    for (const begun of ["\r", "\r\nG", "GET / HTTP/1.1\r\n\r\n\r\n"]) assert.isUndefined(read(begun).fault)
  })

  it.each(["{}", "SSH-2.0-x", "HTTX", "HTTP/2"])(
    "does not wait for the end of an answer that begins with %s",
    (text) => {
      const decoder = Decoder.answers(H1.limits, () => "GET")
      decoder.feed(Buffer.from(text))
      assert.strictEqual(decoder.next()?._tag, "Fault")
    }
  )

  it("waits for the rest of an answer that has begun", () => {
    const decoder = Decoder.answers(H1.limits, () => "GET")
    for (const piece of ["HT", "TP/1", ".1 200"]) {
      decoder.feed(Buffer.from(piece))
      assert.isUndefined(decoder.next())
    }
  })

  it("hands out bodies as parts of what was fed", () => {
    const decoder = Decoder.requests(H1.limits)
    const bytes = Buffer.from(request("Content-Length: 5\r\n", "hello"))
    decoder.feed(bytes)
    decoder.next()
    const data = decoder.next()
    assert.strictEqual(data?._tag === "Data" && data.bytes.buffer, bytes.buffer)
  })

  it("leaves what follows an upgrade alone", () => {
    const decoder = Decoder.requests(H1.limits)
    decoder.feed(Buffer.from("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\nraw"))
    decoder.feed(Buffer.from(" bytes"))
    decoder.next()
    assert.strictEqual(decoder.left().toString(), "raw bytes")
  })

  describe("answers", () => {
    const answer = (text: string, to = "GET", ended = false) => {
      const decoder = Decoder.answers(H1.limits, () => to)
      decoder.feed(Buffer.from(text, "latin1"))
      const events: Array<string> = []
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        events.push(event._tag === "Data" ? event.bytes.toString() : event._tag)
        if (event._tag === "Fault") break
      }
      if (ended) events.push(decoder.end()?._tag ?? "nothing")
      return events
    }

    it.each([
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", ["Head", "hi", "End"]],
      ["HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "GET", ["Head", "hi", "End"]],
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", ["Head", "End"]],
      ["HTTP/1.1 204 No Content\r\n\r\n", "GET", ["Head", "End"]],
      ["HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", ["Head", "End"]],
      ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "GET", ["Head", "End", "Head", "End"]],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "GET", ["Head", "hi", "End"]],
      ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", ["Fault"]],
      ["HTTP/1.1 abc\r\n\r\n", "GET", ["Fault"]],
      ["garbage\r\n\r\n", "GET", ["Fault"]],
      ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 6\r\n\r\n", "GET", ["Fault"]]
    ])("reads %j to %s", (text, to, expected) => assert.deepStrictEqual(answer(text, to), expected))

    it("ends with the connection where nothing else says it, and is broken where something does", () => {
      assert.deepStrictEqual(answer("HTTP/1.1 200 OK\r\n\r\nuntil", "GET", true), ["Head", "until", "End"])
      assert.deepStrictEqual(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "GET", true), [
        "Head",
        "hi",
        "Fault"
      ])
      assert.deepStrictEqual(answer("HTTP/1.1 200", "GET", true), ["Fault"])
      assert.deepStrictEqual(answer("HTTP/1.1 204 No Content\r\n\r\n", "GET", true), ["Head", "End", "nothing"])
    })
  })
})
