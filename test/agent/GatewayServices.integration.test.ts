import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Gateways from "../support/gateways.ts"

describe("the services of gateways", () => {
  it.live("are those that the entry names, and with * every other one outside of the mesh", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* Gateways.one
      yield* dc1.outside("billing", 1)
      yield* dc1.outside("mail", 2)
      yield* dc1.put({ Name: "web", Port: 3, Connect: { SidecarService: {} } })
      yield* dc1.put({ Name: "native", Port: 4, Connect: { Native: true } })
      const linked = Effect.map(
        dc1.call(
          "services",
          (api) => api.catalog.gatewayServices({ params: { gateway: "terminating-gateway" }, query: {} })
        ),
        ({ body }) => body.map(({ FromWildcard, SNI, Service }) => [Service.Name, SNI, FromWildcard])
      )
      assert.deepStrictEqual(yield* linked, [])
      yield* dc1.link({ Name: "billing", CAFile: "/ca.pem", SNI: "a.b" })
      assert.deepStrictEqual(yield* linked, [["billing", "a.b", false]])
      yield* dc1.link({ Name: "*" }, { Name: "billing", CAFile: "/ca.pem", SNI: "a.b" })
      assert.deepStrictEqual(yield* linked, [["billing", "a.b", false], ["mail", "", true]])
    }))

  it.live("are reached through gateways, which whoever waits for them hears of", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* Gateways.one
      yield* dc1.outside("billing", 1)
      const ask = (index?: bigint) =>
        dc1.call("connect", (api) =>
          api.health.connect({
            params: { service: "billing" },
            query: index === undefined ? {} : { index, wait: "20s" }
          }))
      const before = yield* ask()
      assert.deepStrictEqual(before.body, [])
      yield* dc1.put({ Kind: "terminating-gateway", Name: "terminating-gateway", Port: 8443 })
      const [after] = yield* Effect.all([
        Gateways.eventually(Effect.tap(ask(before.headers["x-consul-index"]), ({ body }) =>
          Effect.sync(() =>
            assert.strictEqual(body.length, 1)
          ))),
        dc1.link({ Name: "billing" })
      ], { concurrency: "unbounded" })
      assert.strictEqual(after.body[0]!.Service.Kind, "terminating-gateway")
      assert.strictEqual(after.body[0]!.Service.Service, "terminating-gateway")
    }))
})
