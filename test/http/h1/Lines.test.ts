import { assert, describe, it } from "@effect/vitest"
import * as Fields from "../../../src/http/h1/Fields.ts"
import * as Head from "../../../src/http/h1/Head.ts"
import * as Lines from "../../../src/http/h1/Lines.ts"

const head = Head.request(Buffer.from("GET /a HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nx-c:  2 \r\n\r\n"), 100)
const fields = head._tag === "Request" ? head.fields : Fields.none

describe("Lines", () => {
  it.each([
    [[], "", "Host: a\r\nX-B: 1\r\nx-c:  2 \r\n"],
    [[], "x-d: 3\r\n", "Host: a\r\nX-B: 1\r\nx-c:  2 \r\nx-d: 3\r\n"],
    [[0], "", "X-B: 1\r\nx-c:  2 \r\n"],
    [[1], "x-d: 3\r\n", "Host: a\r\nx-c:  2 \r\nx-d: 3\r\n"],
    [[0, 2], "", "X-B: 1\r\n"],
    [[0, 1, 2], "x-d: 3\r\n", "x-d: 3\r\n"]
  ])("without %j and with %j are sent on as the bytes that came", (dropped, more, expected) => {
    assert.strictEqual(Lines.text({ fields, dropped, more }), expected)
  })

  it("are what is read, one by one", () => {
    const read: Array<string> = []
    Lines.forEach({ fields, dropped: [1], more: "x-d: 3\r\n" }, (name, value) => read.push(`${name}=${value}`))
    assert.deepStrictEqual(read, ["Host=a", "x-c=2", "x-d=3"])
  })

  it("of a list are those that HTTP/1.1 can say", () => {
    const made = Fields.ofRaw(["x-a", " 1 ", "x b", "2", "x-c", "3\r\nx-d: 4", "", "5", "x-e", ""])
    assert.strictEqual(Lines.text({ fields: made, dropped: [], more: "" }), "x-a: 1\r\nx-e: \r\n")
    assert.strictEqual(made.value(1), "")
  })

  it.each([
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:80", "::1"],
    ["", ""]
  ])("the host of %j is %j", (address, host) => assert.strictEqual(Lines.host(address), host))
})
