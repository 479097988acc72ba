import { assert, describe, it } from "@effect/vitest"
import * as Fields from "../../../src/http/h1/Fields.ts"
import * as Head from "../../../src/http/h1/Head.ts"
import * as AnswerFields from "../../../src/http/relay/AnswerFields.ts"
import * as HeaderList from "../../../src/http/relay/HeaderList.ts"
import * as Http2Head from "../../../src/http/relay/Http2Head.ts"
import * as Marks from "../../../src/http/relay/Marks.ts"

/** What becomes of an answer that has ended with its head. */
const passed = (version: "1.1" | "2", ...raw: ReadonlyArray<string>) => {
  const answer = Http2Head.answer([":status", "200", ...raw], "GET", true, 100)
  assert.strictEqual(answer._tag, "Answer")
  if (answer._tag !== "Answer") throw new Error("unreachable")
  return AnswerFields.head(answer, { method: "GET", version, marks: Marks.envoy, tookMillis: undefined })
}

describe("an answer over HTTP/2", () => {
  it("has nothing that was said to the proxy alone", () => {
    const head = Head.answer(
      Buffer.from(
        "HTTP/1.1 200 OK\r\nTE: Trailers\r\nConnection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n\r\n"
      ),
      "GET",
      100
    )
    assert(head._tag === "Answer")
    const about = { method: "GET", version: "2", marks: Marks.envoy, tookMillis: undefined } as const
    const sent = Object.keys(HeaderList.toObject(AnswerFields.head(head, about)))
    for (const name of ["te", "connection", "x-a", "x-b"]) assert.notInclude(sent, name)
    assert.include(sent, "x-c")
  })
})

describe("a request over HTTP/2", () => {
  it("takes trailers in the one way that Node sends", () => {
    const fields = Fields.parse("TE: Trailers\r\ntE: trailers\r\n\r\n", 0, 100)
    assert(fields._tag !== "Fault")
    const list: Array<string> = []
    HeaderList.add(list, { fields, dropped: [], more: "" })
    assert.deepStrictEqual(list, ["te", "trailers"])
  })
})

describe("an answer without a body", () => {
  it("ends with its head over HTTP/2, as gRPC has its failures", () => {
    assert.strictEqual(passed("2", "content-type", "application/grpc", "grpc-status", "7").body, "none")
    assert.strictEqual(passed("2", "content-length", "0").body, "none")
  })

  it("says over HTTP/1.1 that there is none, once", () => {
    assert.include(passed("1.1").more, "content-length: 0\r\n")
    assert.notInclude(passed("1.1", "content-length", "0").more, "content-length")
  })

  it("says nothing of a body that its status rules out", () => {
    const answer = (status: number) =>
      Head.answer(Buffer.from(`HTTP/1.1 ${status} X\r\ntransfer-encoding: chunked\r\n\r\n`), "HEAD", 100)
    const sent = (status: number) => {
      const head = answer(status)
      assert(head._tag === "Answer")
      return AnswerFields.head(head, { method: "HEAD", version: "1.1", marks: Marks.envoy, tookMillis: undefined }).more
    }
    assert.include(sent(200), "transfer-encoding: chunked")
    assert.notInclude(sent(304), "transfer-encoding")
  })
})
