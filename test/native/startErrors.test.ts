/** What a program prints that can not start, by Effect's own reporter. */
import { assert, describe, it } from "@effect/vitest"
import { Cause } from "effect"
import * as ConsulError from "../../src/consul/ConsulError.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as Listening from "../../src/net/Listening.ts"
import * as Watched from "../../src/watch/Watched.ts"

describe("an error at the start", () => {
  it.each([
    new Watched.NotReady({ what: "the CA roots", waited: "30s" }),
    new ConsulError.ConsulError({ request: "GET /", reason: new ConsulError.Unreachable({ why: "no" }) }),
    new Listening.ListenError({ address: "127.0.0.1:80", code: "EACCES" }),
    new Settings.InvalidSettings({ setting: "CONSUL_CACERT", why: "is not there" })
  ])("is a sentence without a stack: $_tag", (error) => {
    assert.strictEqual(Cause.pretty(Cause.fail(error)), `${error._tag}: ${error.message}`)
  })
})
