import { assert, describe, it } from "@effect/vitest"
import * as AccessLog from "../../../src/observe/AccessLog.ts"
import * as Choice from "../../../src/sidecar/log/Choice.ts"
import { factsOf } from "../../support/facts.ts"

const registered = { to: { type: "stderr" }, format: { text: "%PROTOCOL%" }, listenerLogs: false } as const
const file = { type: "file", path: "/var/log/access.log" } as const

describe("what is chosen of an access log", () => {
  it("leaves what is registered as it is, where nothing is chosen", () => {
    assert.deepStrictEqual(Choice.apply({}, registered, "web"), registered)
    assert.isUndefined(Choice.apply({ format: { text: "x" } }, undefined, "web"))
  })

  it("wins over what is registered, each for itself", () => {
    assert.deepStrictEqual(Choice.apply({ to: file }, registered, "web"), { ...registered, to: file })
    const format = { text: "%RESPONSE_CODE%" }
    assert.deepStrictEqual(Choice.apply({ format }, registered, "web"), { ...registered, format })
    assert.isUndefined(Choice.apply({ to: "off" }, registered, "web"))
  })

  it("names the service where nothing says what lines look like", () => {
    assert.deepStrictEqual(Choice.apply({ to: file }, undefined, "10%"), {
      to: file,
      format: { json: { service: "10%%", ...AccessLog.standard } },
      listenerLogs: true
    })
  })

  it.each(
    [
      ["an answer", { RESPONSE_CODE: 200, RESPONSE_FLAGS: "-" }, false],
      ["a connection that was relayed", { RESPONSE_CODE: 0, RESPONSE_FLAGS: "-" }, false],
      ["what is not there", { RESPONSE_CODE: 404 }, false],
      ["a refusal", { RESPONSE_CODE: 403 }, true],
      ["a missing token", { RESPONSE_CODE: 401 }, true],
      ["a failure of the application", { RESPONSE_CODE: 500 }, true],
      ["an instance that was not reached", { RESPONSE_CODE: 0, RESPONSE_FLAGS: "UF,URX" }, true],
      ["a caller that was refused", { CONNECTION_TERMINATION_DETAILS: "rbac_access_denied_matched_policy[none]" }, true]
    ] as const
  )("keeps of %s what it should", (_, operators, always) => {
    const facts = factsOf(operators)
    assert.strictEqual(Choice.isKept({ sample: 0 }, facts, 0), always)
    assert.strictEqual(Choice.isKept({ sample: 0.1 }, facts, 0.05), true)
    assert.strictEqual(Choice.isKept({ sample: 0.1 }, facts, 0.5), always)
    assert.strictEqual(Choice.isKept({}, facts, 0.999), true)
  })
})
