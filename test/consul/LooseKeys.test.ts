import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as AgentService from "../../src/consul/AgentService.ts"
import * as LooseKeys from "../../src/consul/LooseKeys.ts"

const conform = (value: unknown) => LooseKeys.conform(AgentService.ServiceRegistration, value)

describe("LooseKeys", () => {
  it("knows a key in each spelling that Consul accepts", () => {
    const expected = {
      Name: "web",
      Connect: { SidecarService: { Proxy: { Upstreams: [{ DestinationName: "db", LocalBindPort: 1 }] } } }
    }
    for (
      const value of [
        {
          name: "web",
          connect: { sidecar_service: { proxy: { upstreams: [{ destination_name: "db", local_bind_port: 1 }] } } }
        },
        {
          NAME: "web",
          Connect: { sidecarService: { Proxy: { UPSTREAMS: [{ DestinationName: "db", localBindPort: 1 }] } } }
        }
      ]
    ) {
      assert.deepStrictEqual(Result.getOrThrow(conform(value)), expected)
    }
  })

  it("leaves the keys of free maps alone", () => {
    const value = { Meta: { snake_case: "x" }, Proxy: { Config: { connect_timeout_ms: 1, Nested: { some_key: 2 } } } }
    assert.deepStrictEqual(Result.getOrThrow(conform(value)), value)
  })

  it("names each key that no field answers to", () => {
    const result = conform({ name: "web", prot: 1, connect: { sidecar_service: { prozy: {} } } })
    assert.deepStrictEqual(Result.isFailure(result) && result.failure, ["prot", "Connect.SidecarService.prozy"])
  })

  it("lets values of the wrong type through, for the schema to refuse", () => {
    assert.deepStrictEqual(Result.getOrThrow(conform({ connect: 5, checks: "x" })), { Connect: 5, Checks: "x" })
  })
})
