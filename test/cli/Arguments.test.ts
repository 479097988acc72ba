import { assert, describe, it } from "@effect/vitest"
import * as Arguments from "../../src/cli/Arguments.ts"

describe("Arguments", () => {
  it.each([
    ["proxy -sidecar-for web", "proxy --sidecar-for web"],
    ["proxy -sidecar-for=web -token-file /run/t", "proxy --sidecar-for=web --token-file /run/t"],
    ["proxy --sidecar-for web", "proxy --sidecar-for web"],
    ["policy check -f policy/ web api", "policy check -f policy/ web api"],
    ["policy check -f=policy/ -f - web api", "policy check -f=policy/ -f - web api"],
    ["agent -port -1", "agent --port -1"],
    ["proxy -log-level WARN", "proxy --log-level warn"],
    ["proxy -log-level=ERR", "proxy --log-level=error"],
    ["run -- program -sidecar-for x", "run -- program -sidecar-for x"]
  ])(
    "reads %s as %s",
    (written, expected) => assert.strictEqual(Arguments.normalize(written.split(" ")).join(" "), expected)
  )

  it.each([
    ["proxy --log-json", true],
    ["proxy --log-json=true", true],
    ["proxy --log-json=false", false],
    ["run -- program --log-json", false]
  ])(
    "sees whether %s wants JSON",
    (written, expected) => assert.strictEqual(Arguments.wantsJson(written.split(" ")), expected)
  )
})
