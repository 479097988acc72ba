import { assert, describe, it } from "@effect/vitest"
import * as Ports from "../../src/gateway/api/Ports.ts"

describe("hosts of a route", () => {
  it.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["*", [], ["*"]],
    ["a.example", [], ["a.example"]],
    ["*", ["A.example"], ["a.example"]],
    ["*.example", ["a.example", "b.test"], ["a.example"]],
    ["*.example", ["example"], []],
    ["a.example", ["*.example"], ["a.example"]],
    ["a.example", ["b.example"], []],
    ["*.example", ["*.a.example"], ["*.a.example"]],
    ["*.a.example", ["*.example"], ["*.a.example"]]
  ])("are, at the listener for %s, of %j: %j", (listener, hosts, both) => {
    assert.deepStrictEqual(Ports.hostsOf(listener, hosts), both)
  })
})
