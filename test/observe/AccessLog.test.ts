import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as AccessLog from "../../src/observe/AccessLog.ts"
import { factsOf } from "../support/facts.ts"

const request = { ":method": "GET", ":path": "/b?q=1", ":authority": "billing.test", "user-agent": "test/1" }
const answered = factsOf({
  request,
  PROTOCOL: "HTTP/1.1",
  RESPONSE_CODE: 200,
  RESPONSE_FLAGS: "-",
  BYTES_RECEIVED: 0,
  BYTES_SENT: 24,
  UPSTREAM_CLUSTER: "local_app",
  startTime: Date.UTC(2026, 0, 2, 3, 4, 5, 6)
})

const text = (format: string) => Result.map(AccessLog.text(format), (line) => line(answered))

describe("AccessLog", () => {
  it("writes the line that a real sidecar writes", () => {
    const format =
      "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% " +
      "\"%REQ(USER-AGENT)%\" \"%REQ(X-NONE)%\" %REQ(X-NONE?:AUTHORITY)% %UPSTREAM_CLUSTER% %ROUTE_NAME%"
    assert.strictEqual(
      Result.getOrThrow(text(format)),
      "GET /b?q=1 HTTP/1.1 200 - 0 24 \"test/1\" \"-\" billing.test local_app -\n"
    )
  })

  it.each([
    ["100%% sure", "100% sure\n"],
    ["%REQ(:PATH):2%", "/b\n"],
    ["%START_TIME%\n", "2026-01-02T03:04:05.006Z\n"],
    ["%START_TIME(%Y/%m/%d %H.%M.%S.%3f)%", "2026/01/02 03.04.05.006\n"],
    ["%START_TIME(%s)%", "1767323045\n"]
  ])("fills in %j", (format, expected) => assert.strictEqual(Result.getOrThrow(text(format)), expected))

  it.each([
    ["%", /write %NAME%, or %%/],
    ["%MADE_UP%", /the operator %MADE_UP% is not known/],
    ["%PROTOCOL(x)%", /the operator %PROTOCOL\(x\)% is not known/],
    ["%REQ%", /names a header/],
    ["%REQ(A?B?C)%", /names a header/]
  ])("refuses %j", (format, expected) => assert.match(String(Result.getFailure(text(format))), expected))

  it("writes JSON with numbers as numbers and null for what does not apply, as deep as it is", () => {
    const format = AccessLog.json({
      code: "%RESPONSE_CODE%",
      deep: { path: "at %REQ(:PATH)%", list: ["%ROUTE_NAME%", 1] }
    })
    const line = Result.getOrThrow(format)(answered)
    assert.deepStrictEqual(JSON.parse(line), { code: 200, deep: { path: "at /b?q=1", list: [null, 1] } })
    assert.isTrue(line.endsWith("}\n"))
  })

  it("has the fields that Consul's sidecars write where nothing else is said", () => {
    const { authority, bytes_sent, route_name, user_agent, ...others } = JSON.parse(
      Result.getOrThrow(AccessLog.json(AccessLog.standard))(answered)
    )
    assert.deepStrictEqual([authority, bytes_sent, route_name, user_agent], ["billing.test", 24, null, "test/1"])
    assert.strictEqual(Object.keys(others).length, 20)
  })
})
