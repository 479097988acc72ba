import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Proxy from "../../../src/consul/Proxy.ts"
import * as AccessLog from "../../../src/observe/AccessLog.ts"
import * as AccessLogs from "../../../src/watch/registration/AccessLogs.ts"
import * as Parity from "../../support/parity.ts"

const decode = Schema.decodeUnknownSync(Schema.toCodecGoJson(Proxy.AccessLogs))

const parse = (logs: object) => AccessLogs.parse(decode(logs))

const on = (logs: object = {}) => {
  const { accessLogs, ignored } = parse({ Enabled: true, ...logs })
  assert.deepStrictEqual(ignored, [])
  assert.isDefined(accessLogs)
  return accessLogs
}

const standard = { json: AccessLog.standard }

describe("access logs", () => {
  it("are off until they are switched on", () => {
    assert.deepStrictEqual(AccessLogs.parse(undefined), { accessLogs: undefined, ignored: [] })
    assert.deepStrictEqual(parse({ Type: "stderr", TextFormat: "%PROTOCOL%" }), { accessLogs: undefined, ignored: [] })
  })

  it.each([
    [{}, { type: "stdout" }],
    [{ Type: "stdout" }, { type: "stdout" }],
    [{ Type: "stderr", Path: "/left/over" }, { type: "stderr" }],
    [{ Type: "file", Path: "/var/log/mesh" }, { type: "file", path: "/var/log/mesh" }]
  ])("go where %j says", (logs, to) => assert.deepStrictEqual(on(logs).to, to))

  it.each(Parity.scenarios("accesslog").map(({ config, name }) => ({ name, config: config ?? [] })))(
    "have the format that was recorded: $name",
    ({ config, name }) => {
      const logs = config.find(({ Kind }) => Kind === "proxy-defaults")?.["AccessLogs"]
      assert.isTrue(typeof logs === "object" && logs !== null)
      const { format } = on(Object(logs))
      if (name === "text format") assert.isTrue("text" in format && format.text.startsWith("%REQ(:METHOD)% "))
      else assert.deepStrictEqual(format, standard)
    }
  )

  it("have JSON rather than text where there are both, as it is possible by merging", () => {
    assert.deepStrictEqual(on({ JSONFormat: "{\"a\":{\"b\":[\"%PROTOCOL%\",1]}}", TextFormat: "x" }).format, {
      json: { a: { b: ["%PROTOCOL%", 1] } }
    })
  })

  it("say whether connections without a request are in them", () => {
    assert.isTrue(on().listenerLogs)
    assert.isFalse(on({ DisableListenerLogs: true }).listenerLogs)
  })

  it.each([
    [{ TextFormat: "%NO_SUCH_THING%" }, /the format of the access log: .*NO_SUCH_THING/],
    [{ JSONFormat: "{\"a\":\"%NO_SUCH_THING%\"}" }, /the format of the access log: .*NO_SUCH_THING/],
    [{ JSONFormat: "{" }, /JSONFormat is no JSON/],
    [{ JSONFormat: "[1]" }, /JSONFormat is no object/]
  ])("have the standard format, and say why, where theirs is wrong: %j", (logs, said) => {
    const { accessLogs, ignored } = parse({ Enabled: true, ...logs })
    assert.deepStrictEqual(accessLogs?.format, standard)
    assert.match(ignored.join(), said)
  })

  it.each([
    [{ Type: "file" }, /no Path/],
    [{ Type: "syslog" }, /"syslog" is none of stdout, stderr and file/]
  ])("are not written where there is nowhere to: %j", (logs, said) => {
    const { accessLogs, ignored } = parse({ Enabled: true, ...logs })
    assert.isUndefined(accessLogs)
    assert.match(ignored.join(), said)
  })
})
