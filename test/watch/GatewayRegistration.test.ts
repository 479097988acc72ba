import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as AgentService from "../../src/consul/AgentService.ts"
import * as GatewayRegistration from "../../src/watch/GatewayRegistration.ts"

const decode = Schema.decodeUnknownSync(Schema.toCodecGoJson(AgentService.AgentService))

const registered = (fields: object, kind: GatewayRegistration.Kind = "mesh-gateway") =>
  GatewayRegistration.toRegistration(
    decode({ Kind: "mesh-gateway", ID: "gw-1", Service: "gw", Address: "10.0.0.5", Port: 8443, ...fields }),
    kind
  )

const bindsOf = (fields: object) =>
  Result.getOrThrow(registered(fields)).binds.map(({ host, name, port }) => `${name} ${host}:${port}`)

const tagged = { TaggedAddresses: { lan: { Address: "10.0.0.5", Port: 8443 }, wan: { Address: "1.2.3.4", Port: 443 } } }

describe("GatewayRegistration", () => {
  it.each<readonly [string, object, ReadonlyArray<string>]>([
    ["its address", {}, ["default 10.0.0.5:8443"]],
    ["every address where it has none", { Address: "" }, ["default 0.0.0.0:8443"]],
    ["what its settings say", { Proxy: { Config: { bind_address: "127.0.0.1", bind_port: 9 } } }, [
      "default 127.0.0.1:9"
    ]],
    ["tagged addresses, if it is to", { ...tagged, Proxy: { Config: { envoy_gateway_bind_tagged_addresses: true } } }, [
      "default 10.0.0.5:8443",
      "wan 1.2.3.4:443"
    ]],
    ["addresses of its own", {
      Proxy: { Config: { envoy_gateway_bind_addresses: { a: { address: "127.0.0.1", port: "7" } } } }
    }, ["default 10.0.0.5:8443", "a 127.0.0.1:7"]],
    ["only those, if it is to", {
      Proxy: {
        Config: {
          envoy_gateway_no_default_bind: true,
          envoy_gateway_bind_addresses: { a: { address: "127.0.0.1", port: 7 } }
        }
      }
    }, ["a 127.0.0.1:7"]]
  ])("listens at %s", (_, fields, binds) => assert.deepStrictEqual(bindsOf(fields), binds))

  it.each<readonly [string, object]>([
    ["is of another kind", { Kind: "connect-proxy" }],
    ["has no port", { Port: 0 }],
    ["has a port beyond ports", { Port: 70_000 }],
    ["is to listen nowhere", { Proxy: { Config: { envoy_gateway_no_default_bind: true } } }]
  ])("is refused where it %s", (_, fields) => assert.isTrue(Result.isFailure(registered(fields))))

  it("says what it does not understand, and nothing of what it does", () => {
    const { connectTimeoutMillis, ignored } = Result.getOrThrow(registered({
      Proxy: {
        Config: { connect_timeout_ms: 300, max_inbound_connections: 5, envoy_dns_discovery_type: "strict_dns", x: 1 }
      }
    }))
    assert.strictEqual(connectTimeoutMillis, 300)
    assert.deepStrictEqual(ignored, ["the setting x of the gateway"])
  })
})
