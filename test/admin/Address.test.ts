import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Address from "../../src/admin/Address.ts"

const read = (text: string, anyAddress = false) =>
  Result.match(Address.parse(text, anyAddress), { onSuccess: (bind) => bind, onFailure: (why) => why })

describe("Address", () => {
  it.each([
    ["127.0.0.1:19000", { host: "127.0.0.1", port: 19_000 }],
    ["127.8.9.1:0", { host: "127.8.9.1", port: 0 }],
    ["[::1]:19000", { host: "::1", port: 19_000 }],
    ["localhost:19000", { host: "localhost", port: 19_000 }],
    ["unix:/run/admin.sock", { path: "/run/admin.sock", mode: 0o600 }],
    ["unix:///run/admin.sock", { path: "/run/admin.sock", mode: 0o600 }],
    ["unix:admin.sock", { path: "admin.sock", mode: 0o600 }]
  ])("reads %s", (text, bind) => assert.deepStrictEqual(read(text), bind))

  it.each(["0.0.0.0:19000", "[::]:19000", ":19000", "10.0.0.7:19000", "mesh.example:19000", "[::ffff:10.0.0.7]:1"])(
    "keeps to this machine, and does not listen at %s",
    (text) => {
      assert.match(String(read(text)), /which other machines may reach.*--admin-allow-remote/)
      assert.isObject(read(text, true), "unless it is told to")
    }
  )

  it.each(["", "19000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "http://127.0.0.1:19000", "::1:19000", "unix:"])(
    "says of %j how to write it",
    (text) => assert.match(String(read(text, true)), /write .*unix:\/path\/to\/socket/)
  )
})
