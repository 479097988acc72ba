/** What of a request's fields goes on, and what a client can not talk a proxy into. */
import { assert, describe, it } from "@effect/vitest"
import * as Head from "../../../src/http/h1/Head.ts"
import * as Lines from "../../../src/http/h1/Lines.ts"
import * as RequestFields from "../../../src/http/relay/RequestFields.ts"

const read = (...lines: ReadonlyArray<string>) => {
  const text = `GET / HTTP/1.1\r\nHost: a.test\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`
  const head = Head.request(Buffer.from(text, "latin1"), 100)
  assert(head._tag === "Request")
  return RequestFields.read(head)
}

const taken = (...lines: ReadonlyArray<string>) => {
  const request = read(...lines)
  assert(!("_tag" in request))
  return request
}

/** What goes on, the host aside. */
const sentOn = (...lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const request = taken(...lines)
  return Lines.text({ ...request, more: "" }).split("\r\n").slice(1, -1)
}

describe("RequestFields", () => {
  it("keeps what is between two hops to itself", () => {
    assert.deepStrictEqual(
      sentOn(
        "Connection: keep-alive, X-One",
        "x-one: 1",
        "X-Two: 2",
        "Keep-Alive: 5",
        "Proxy-Connection: a",
        "TE: gzip"
      ),
      ["X-Two: 2"]
    )
    assert.deepStrictEqual(sentOn("Connection: te, X-One", "Connection: x-three", "TE: trailers", "X-Three: 3"), [
      "TE: trailers"
    ])
  })

  it("refuses to leave out what says whose request it is, and how long", () => {
    assert.deepInclude(read("Content-Length: 0", "Connection: close, content-length"), { _tag: "Malformed" })
    assert.deepInclude(read("Connection: close, Host"), { _tag: "Hostless" })
    assert.deepInclude(read("host: b.test"), { _tag: "Malformed" })
  })

  it("adds what the client has had left out", () => {
    assert.strictEqual(taken("Connection: x-request-id", "X-Request-Id: 1").requestId, -1)
  })

  it.each(["x-forwarded-for", "X-Forwarded-Host", "x-forwarded-proto", ":path", ":"])(
    "refuses to hide the client by leaving out %s",
    (name) => assert.deepInclude(read(`Connection: close, ${name}`), { _tag: "Malformed" })
  )

  it("takes nine options of a connection, and no more", () => {
    const options = (count: number) => `Connection: ${Array.from({ length: count }, (_, i) => `x-${i}`).join(", ")}`
    assert.isFalse("_tag" in read(options(9)))
    assert.deepInclude(read(options(10)), { _tag: "Malformed" })
  })

  it.each(
    [
      [["TE: gzip, trailers"], "te: trailers\r\n"],
      [["TE: trailers;q=1, gzip", "TE: deflate ,trailers"], "te: trailers\r\n"],
      [["TE: gzip"], ""],
      [["TE: Trailers"], ""]
    ] as const
  )("says of %j to the application that trailers are taken: %j", (lines, said) => {
    assert.deepStrictEqual(sentOn(...lines), [])
    assert.strictEqual(RequestFields.restatedLines(taken(...lines)), said)
  })

  it.each(["TE: trailers", "TE:"])("leaves %j as it is", (line) => {
    assert.deepStrictEqual(sentOn(line), [line])
    assert.strictEqual(RequestFields.restatedLines(taken(line)), "")
  })

  it("takes settings of HTTP/2 for those of the connection only beside an upgrade to it", () => {
    assert.deepStrictEqual(sentOn("HTTP2-Settings: a"), ["HTTP2-Settings: a"])
    assert.deepStrictEqual(sentOn("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: a"), [])
  })

  it("asks for no other protocol than the one it has judged", () => {
    assert.deepInclude(read("Connection: Upgrade", "Upgrade: other", "Upgrade: websocket"), { _tag: "UpgradeRefused" })
    assert.deepInclude(read("Connection: Upgrade", "Upgrade: websocket, h2c"), { _tag: "UpgradeRefused" })
    assert.deepInclude(read("Connection: Upgrade", "Upgrade: h2c"), { upgrades: false })
    assert.deepInclude(read("Upgrade: websocket"), { upgrades: false })
  })

  it("names no field to the application that it should not look at", () => {
    const request = taken(
      "Connection: keep-alive, X-Forwarded-Client-Cert",
      "Connection: close, Upgrade",
      "Upgrade: WebSocket"
    )
    assert.strictEqual(
      RequestFields.restatedLines(request),
      "connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"
    )
  })

  it.each(
    [
      [["traceparent: 00-a-b-01"], true],
      [["B3: 0"], true],
      [["X-B3-TraceId: a", "X-B3-SpanId: b"], true],
      [["tracestate: a=1", "te: trailers", "b4: 1", "x-b3-spanid: b"], false],
      [[], false]
    ] as const
  )("sees in %j whether a trace may be named: %s", (lines, traced) => {
    assert.strictEqual(taken(...lines).traced, traced)
  })
})
