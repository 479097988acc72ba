import { assert, describe, it } from "@effect/vitest"
import * as Servers from "../../../src/xds/client/Servers.ts"

const server = (port: number) => ({ host: "10.0.0.1", port })

describe("Servers", () => {
  it("asks one that has failed after all others", () => {
    const servers = Servers.make()
    servers.named([server(1), server(2), server(3)])
    servers.failed(server(1))
    servers.failed(server(3))
    assert.deepStrictEqual(servers.next(0.99), server(2))
    servers.failed(server(2))
    assert.isFalse(servers.hasFresh())
    assert.deepStrictEqual(servers.next(0), server(1))
  })

  it("keeps those that were named beside those that were found", () => {
    const servers = Servers.make()
    servers.named([server(1)])
    servers.found([server(2), server(1)])
    assert.deepStrictEqual(servers.all(), [server(2), server(1)])
  })

  it("knows none before any was named", () => {
    assert.isUndefined(Servers.make().next(0.5))
  })

  it.each([
    ["consul.example:8502", { host: "consul.example", port: 8502 }],
    ["[::1]:8502", { host: "::1", port: 8502 }],
    ["consul.example", undefined],
    ["consul.example:0", undefined],
    ["consul.example:70000", undefined]
  ])("reads %s", (text, address) => assert.deepStrictEqual(Servers.parse(text), address))
})
