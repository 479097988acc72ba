import { assert, describe, it } from "@effect/vitest"
import * as ApiGateway from "../../src/consul/config/ApiGateway.ts"
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

describe("ports of an API gateway", () => {
  const planned = (policies: Partial<Pick<ApiGateway.Listener, "Override" | "Default">>) =>
    Ports.plan({
      gateway: ApiGateway.ApiGateway.make({
        Kind: "api-gateway",
        Name: "door",
        Listeners: [ApiGateway.Listener.make({ Name: "front", Port: 8443, Protocol: "http", ...policies })]
      }),
      httpRoutes: [],
      tcpRoutes: [],
      certificates: []
    })

  it.each([
    ["Override", { Override: { JWT: { Providers: [{ Name: "okta" }] } } }],
    ["Default", { Default: { JWT: { Providers: [{ Name: "okta" }] } } }]
  ])("stay closed where a listener requires tokens (%s)", (_, policies) => {
    const { ports, problems } = planned(policies)
    assert.deepStrictEqual(ports, [])
    assert.include(problems[0], "port 8443 stays closed: its listener front has a policy of its own")
  })

  it("are open where its policies are empty", () => {
    assert.deepStrictEqual(planned({ Override: {}, Default: {} }).ports.map(({ port }) => port), [8443])
  })
})
