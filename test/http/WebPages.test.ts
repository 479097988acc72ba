import { assert, describe, it } from "@effect/vitest"
import * as WebPages from "../../src/http/WebPages.ts"

const server = (allowedHosts: ReadonlyArray<string>): WebPages.Server => ({
  name: "this server",
  allowedHosts,
  toAllow: "start it with --allow-host"
})

const judge = (headers: Record<string, string>, ...allowed: ReadonlyArray<string>) =>
  WebPages.refusal({ headers }, server(allowed))?.status ?? "goes on"

describe("WebPages", () => {
  it.each([
    "127.0.0.1:8500",
    "127.0.0.1",
    "[::1]:8500",
    "[::1]",
    "192.168.1.7:8500",
    "localhost:8500",
    "LOCALHOST",
    "localhost.",
    "mesh.localhost:8500"
  ])("lets a request to %s in", (host) => assert.strictEqual(judge({ host }), "goes on"))

  it.each([
    "evil.example",
    "evil.example:8500",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "2130706433",
    "",
    ":8500"
  ])(
    "refuses a request to %j, a name that anybody may lead here",
    (host) => assert.strictEqual(judge({ host }), 400)
  )

  it("lets a request to a name in that was allowed", () => {
    assert.strictEqual(judge({ host: "Consul:8500" }, "consul", "other"), "goes on")
    assert.strictEqual(judge({ host: "consul.evil.example" }, "consul"), 400)
  })

  it("lets a request in that names no host", () => assert.strictEqual(judge({}), "goes on"))

  it.each(["https://evil.example", "null", "http://127.0.0.1:3000", "https://127.0.0.1:8500", "file://"])(
    "refuses a page of %s",
    (origin) => assert.strictEqual(judge({ host: "127.0.0.1:8500", origin }), 403)
  )

  it.each([["cross-site", 403], ["same-site", 403], ["same-origin", "goes on"], ["none", "goes on"]] as const)(
    "believes a browser that says %s: %s",
    (site, expected) => assert.strictEqual(judge({ host: "localhost:8500", "sec-fetch-site": site }), expected)
  )

  it("says which name it was, and how to allow it", () =>
    assert.include(WebPages.refusal({ headers: { host: "consul:8500" } }, server([]))?.body, "--allow-host consul"))
})
