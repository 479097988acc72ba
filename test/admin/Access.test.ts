import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as Access from "../../src/admin/Access.ts"

const secret = "0123456789abcdef"
const token: Access.Changes = { _tag: "Token", token: Redacted.make(secret) }
const nobody: Access.Changes = { _tag: "Nobody", why: "nobody may" }
const socket: Access.Changes = { _tag: "Socket" }

const judge = (changes: Access.Changes, method: string, headers: Record<string, string> = {}) =>
  Access.refusal({ method, headers: { host: "127.0.0.1:19000", ...headers } }, changes)?.status ?? "goes on"

describe("Access", () => {
  it.each([token, nobody, socket])(
    "lets everybody read, where changes are for a $_tag",
    (changes) => assert.strictEqual(judge(changes, "GET"), "goes on")
  )

  it.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "ANYTHING"])("asks for the token before %s", (method) => {
    assert.strictEqual(judge(token, method), 401)
    assert.strictEqual(judge(token, method, { authorization: `Bearer ${secret}` }), "goes on")
    assert.strictEqual(judge(nobody, method, { authorization: `Bearer ${secret}` }), 403)
    assert.strictEqual(judge(socket, method), "goes on")
  })

  it.each([`${secret}0`, secret.slice(1), secret.toUpperCase(), "x"])(
    "takes no other token, such as %s",
    (other) => assert.strictEqual(judge(token, "POST", { authorization: `Bearer ${other}` }), 403)
  )

  it.each([secret, `Basic ${secret}`, `Bearer${secret}`, "Bearer ", ""])(
    "takes the token in no other way: %j",
    (header) => assert.strictEqual(judge(token, "POST", { authorization: header }), 401)
  )

  it.each(["GET", "POST"])("keeps web pages out of %s, even those that know the token", (method) => {
    const authorization = `Bearer ${secret}`
    assert.strictEqual(judge(token, method, { authorization, host: "evil.example:19000" }), 400, "DNS rebinding")
    assert.strictEqual(judge(token, method, { authorization, origin: "https://evil.example" }), 403)
    assert.strictEqual(judge(token, method, { authorization, "sec-fetch-site": "cross-site" }), 403)
    assert.strictEqual(
      judge(token, method, { authorization, origin: "http://127.0.0.1:19000" }),
      "goes on",
      "its own page"
    )
  })

  it("takes any name over a Unix socket, and no web page", () => {
    assert.strictEqual(judge(socket, "POST", { host: "admin" }), "goes on")
    assert.strictEqual(judge(socket, "POST", { host: "admin", origin: "http://admin" }), 403)
    assert.strictEqual(judge(socket, "GET", { "sec-fetch-site": "same-origin" }), 403)
  })
})
