import { assert, describe, it } from "@effect/vitest"
import { Duration, Result, type Schema } from "effect"
import * as CompileChain from "../../src/agent/chain/CompileChain.ts"
import * as ConfigEntries from "../../src/agent/config/ConfigEntries.ts"
import * as DecodeEntry from "../../src/agent/config/DecodeEntry.ts"
import * as Store from "../../src/agent/Store.ts"
import type * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"

const compile = (
  service: string,
  written: ReadonlyArray<Schema.JsonObject>,
  overrides: DiscoveryChain.Overrides = {}
): DiscoveryChain.Chain => {
  const entries = ConfigEntries.make({ store: Store.make(), datacenter: "dc1" })
  for (const body of written) {
    Result.getOrThrow(entries.write(Result.getOrThrow(DecodeEntry.decode(JSON.stringify(body)))))
  }
  return Result.getOrThrow(
    CompileChain.compile({ service, datacenter: "dc1", trustDomain: "td.consul", entries: entries.all(), overrides })
  )
}

const entry = (Kind: string, Name: string, rest: Schema.JsonObject) => ({ Kind, Name, ...rest })
const http = (name: string) => entry("service-defaults", name, { Protocol: "http" })

const resolverOf = (chain: DiscoveryChain.Chain) => chain.Nodes[chain.StartNode]?.Resolver

// What fixtures of 1.10 do not show. The answers are those of a 1.21 agent.
describe("CompileChain", () => {
  it("follows a redirect into a peer, whose names are its own", () => {
    const chain = compile("old", [entry("service-resolver", "old", { Redirect: { Service: "new", Peer: "east" } })])
    const target = chain.Targets["new.default.default.external.east"]
    assert.strictEqual(resolverOf(chain)?.Target, "new.default.default.external.east")
    assert.deepStrictEqual([target?.Peer, target?.Datacenter, target?.SNI, target?.Name], ["east", "", "", ""])
  })

  it("fails over to targets in their order, without itself and without repetition", () => {
    const chain = compile("web", [
      entry("service-resolver", "web", {
        Subsets: { v2: {} },
        Failover: {
          "*": { Targets: [{ ServiceSubset: "v2" }, { Datacenter: "dc1" }, { Datacenter: "dc2" }, { Peer: "p" }] }
        }
      })
    ])
    assert.deepStrictEqual(resolverOf(chain)?.Failover?.Targets, [
      "v2.web.default.default.dc1",
      "web.default.default.dc2",
      "web.default.default.external.p"
    ])
    assert.sameMembers(Object.keys(chain.Targets), [
      "web.default.default.dc1",
      "v2.web.default.default.dc1",
      "web.default.default.dc2",
      "web.default.default.external.p"
    ])
  })

  it("does not fail over from what is failed over to", () => {
    const chain = compile("a", [
      entry("service-resolver", "a", { Failover: { "*": { Service: "b" } } }),
      entry("service-resolver", "b", { Failover: { "*": { Service: "c" } } })
    ])
    assert.deepStrictEqual(resolverOf(chain)?.Failover?.Targets, ["b.default.default.dc1"])
    assert.deepStrictEqual(Object.keys(chain.Nodes), ["resolver:a.default.default.dc1"])
  })

  it("gives an external service its own name in TLS, and no gateway", () => {
    const chain = compile("ext", [
      entry("proxy-defaults", "global", { MeshGateway: { Mode: "local" } }),
      entry("service-defaults", "ext", { ExternalSNI: "example.com" })
    ])
    const target = chain.Targets["ext.default.default.dc1"]
    assert.deepStrictEqual(
      [target?.External, target?.SNI, target?.Name, target?.MeshGateway.Mode],
      [true, "example.com", "ext.default.dc1.internal.td.consul", ""]
    )
  })

  it("lets the caller override, and says so only if it changes something", () => {
    const entries = [http("web"), entry("service-resolver", "web", { ConnectTimeout: "3s" })]
    assert.strictEqual(compile("web", entries, { OverrideProtocol: "http" }).CustomizationHash, "")
    assert.strictEqual(compile("web", entries, { OverrideConnectTimeout: Duration.seconds(3) }).CustomizationHash, "")
    const chain = compile("web", entries, { OverrideConnectTimeout: Duration.seconds(7) })
    assert.match(chain.CustomizationHash, /^[0-9a-f]{8}$/)
    assert.deepStrictEqual(resolverOf(chain)?.ConnectTimeout, Duration.seconds(7))
    assert.deepStrictEqual(chain.Targets["web.default.default.dc1"]?.ConnectTimeout, Duration.seconds(7))
  })

  it("routes nothing when the caller speaks plain TCP", () => {
    const entries = [
      http("web"),
      http("api"),
      entry("service-splitter", "web", { Splits: [{ Weight: 100, Service: "api" }] })
    ]
    assert.strictEqual(compile("web", entries).StartNode, "splitter:web.default.default")
    const chain = compile("web", entries, { OverrideProtocol: "tcp" })
    assert.strictEqual(chain.StartNode, "resolver:web.default.default.dc1")
    assert.isTrue(chain.Default)
    assert.strictEqual(chain.Protocol, "tcp")
  })

  it("merges the headers of splitters on the way: the inner one decides on requests, the outer one on responses", () => {
    const chain = compile("outer", [
      http("outer"),
      http("inner"),
      entry("service-splitter", "inner", {
        Splits: [{
          Weight: 100,
          RequestHeaders: { Set: { a: "inner", b: "inner" } },
          ResponseHeaders: { Set: { a: "inner", b: "inner" } }
        }]
      }),
      entry("service-splitter", "outer", {
        Splits: [
          { Weight: 75 },
          {
            Weight: 25,
            Service: "inner",
            RequestHeaders: { Set: { a: "outer", c: "outer" } },
            ResponseHeaders: { Set: { a: "outer", c: "outer" } }
          }
        ]
      })
    ])
    const [, leg] = chain.Nodes["splitter:outer.default.default"]?.Splits ?? []
    assert.isDefined(leg)
    assert.strictEqual(leg.Weight, 25)
    assert.deepStrictEqual(leg.Definition as unknown, {
      Weight: 100,
      RequestHeaders: { Set: { a: "inner", b: "inner", c: "outer" } },
      ResponseHeaders: { Set: { a: "outer", b: "inner", c: "outer" } }
    })
  })

  it("gives a splitter the hashing of its legs", () => {
    const chain = compile("web", [
      http("web"),
      entry("service-resolver", "web", {
        Subsets: { v1: {} },
        LoadBalancer: { Policy: "maglev", HashPolicies: [{ SourceIP: true }] }
      }),
      entry("service-splitter", "web", { Splits: [{ Weight: 50 }, { Weight: 50, ServiceSubset: "v1" }] })
    ])
    assert.strictEqual(chain.Nodes[chain.StartNode]?.LoadBalancer?.["Policy"], "maglev")
  })

  it("has no say in the protocol when it only splits", () =>
    assert.strictEqual(
      compile("front", [http("web"), entry("service-splitter", "front", { Splits: [{ Weight: 100, Service: "web" }] })])
        .Protocol,
      "http"
    ))
})
