import { assert, describe, it } from "@effect/vitest"
import * as Normalise from "./Normalise.ts"

const names: Normalise.Names = {
  trustDomain: "11111111-2222-3333-4444-555555555555.consul",
  ports: new Map([[12345, "<sidecar:api-v1>"]])
}

describe("a value", () => {
  it.each([
    ["date: Fri, 27 Nov 2026 02:00:00 GMT", "date: <date>"],
    ["x-envoy-upstream-service-time: 12", "x-envoy-upstream-service-time: <ms>"],
    ["x-request-id: 7e1f0f9c-8d4c-4c39-9f3b-1f1f2f3f4f5f", "x-request-id: <uuid>"],
    // Made up by the client of a recording.
    ["x-request-id: 11111111-8d4c-4c39-9f3b-1f1f2f3f4f5f", "x-request-id: 11111111-8d4c-4c39-9f3b-1f1f2f3f4f5f"],
    ["http://127.0.0.1:12345/ from 127.0.0.1:54321", "http://127.0.0.1:<sidecar:api-v1>/ from 127.0.0.1:<port>"],
    [`URI=spiffe://${names.trustDomain}/ns/default`, "URI=spiffe://<trust-domain>/ns/default"],
    [
      `Hash=${"0a".repeat(32)};Cert="x%0Ay";Chain="z"`,
      `Hash=<sha256>;Cert="<url-encoded-pem>";Chain="<url-encoded-pem>"`
    ]
  ])("%s", (text, expected) => {
    assert.deepStrictEqual(Normalise.value({ lines: [text, 1, null] }, names), { lines: [expected, 1, null] })
  })

  it("that is long is cut, with its length", () => {
    assert.strictEqual(
      Normalise.value("x".repeat(3001), names),
      `${"x".repeat(200)}<3001 characters in all>`
    )
    assert.strictEqual(Normalise.value("x".repeat(3000), names), "x".repeat(3000))
  })
})

describe("a line of a log", () => {
  it("has its times replaced where it is JSON, and those that are null left", () => {
    const line = JSON.stringify({ duration: 3, start_time: "now", upstream_service_time: null, bytes_sent: 3 })
    assert.deepStrictEqual(Normalise.logLine(line, names), {
      duration: "<ms>",
      start_time: "<time>",
      upstream_service_time: null,
      bytes_sent: 3
    })
  })

  it("has its times replaced where it is text", () => {
    assert.strictEqual(Normalise.logLine("[2026-11-27T02:00:00.000Z] GET", names), "[<time>] GET")
  })
})
