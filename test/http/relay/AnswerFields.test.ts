import { assert, describe, it } from "@effect/vitest"
import * as AnswerFields from "../../../src/http/relay/AnswerFields.ts"
import * as Http2Head from "../../../src/http/relay/Http2Head.ts"
import * as Marks from "../../../src/http/relay/Marks.ts"

/** What becomes of an answer that has ended with its head. */
const passed = (version: "1.1" | "2", ...raw: ReadonlyArray<string>) => {
  const answer = Http2Head.answer([":status", "200", ...raw], "GET", true, 100)
  assert.strictEqual(answer._tag, "Answer")
  if (answer._tag !== "Answer") throw new Error("unreachable")
  return AnswerFields.head(answer, { method: "GET", version, marks: Marks.envoy, tookMillis: undefined })
}

describe("an answer without a body", () => {
  it("ends with its head over HTTP/2, as gRPC has its failures", () => {
    assert.strictEqual(passed("2", "content-type", "application/grpc", "grpc-status", "7").body, "none")
    assert.strictEqual(passed("2", "content-length", "0").body, "none")
  })

  it("says over HTTP/1.1 that there is none, once", () => {
    assert.include(passed("1.1").more, "content-length: 0\r\n")
    assert.notInclude(passed("1.1", "content-length", "0").more, "content-length")
  })
})
