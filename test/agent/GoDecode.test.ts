import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as GoDecode from "../../src/agent/GoDecode.ts"
import { ServiceIntentions } from "../../src/consul/config/ServiceIntentions.ts"
import { ServiceResolver } from "../../src/consul/config/ServiceResolver.ts"
import * as AgentService from "../../src/consul/AgentService.ts"

const strict = { snakeCase: true, weak: false }
const weak = { snakeCase: true, weak: true }

const registration = (document: Schema.Json) => GoDecode.conform(AgentService.ServiceRegistration, document, strict)
const firstProblem = (document: Schema.Json) =>
  Result.match(registration(document), {
    onSuccess: () => "accepted",
    onFailure: ([problem]) => problem === undefined ? "" : GoDecode.describe(problem)
  })

describe("GoDecode", () => {
  it("accepts keys in any case and in snake_case", () => {
    const written = registration({
      name: "web",
      PORT: 80,
      connect: { sidecar_service: { proxy: { upstreams: [{ destination_name: "db", local_bind_port: 1 }] } } }
    })
    assert.deepStrictEqual(
      written,
      Result.succeed({
        Name: "web",
        Port: 80,
        Connect: { SidecarService: { Proxy: { Upstreams: [{ DestinationName: "db", LocalBindPort: 1 }] } } }
      })
    )
  })

  it("leaves the keys of free maps alone, and ignores null", () => {
    assert.deepStrictEqual(
      registration({ Name: "web", Meta: { some_Key: "x" }, Tags: null, Proxy: { Config: { bind_Port: [1, null] } } }),
      Result.succeed({ Name: "web", Meta: { some_Key: "x" }, Proxy: { Config: { bind_Port: [1, null] } } })
    )
  })

  it("turns a number of nanoseconds into the text of a duration", () =>
    assert.deepStrictEqual(
      registration({ Name: "web", Check: { TTL: 5_000_000_000 } }),
      Result.succeed({ Name: "web", Check: { TTL: "5s" } })
    ))

  it.each([
    [{ Name: "bad", Foo: 1 }, `json: unknown field "Foo"`],
    [{ Name: "bad", Namespace: "x" }, `json: unknown field "Namespace"`],
    [{ Name: "bad", Connect: { SidecarService: { Foo: 1 } } }, `json: unknown field "Foo"`],
    [{ Name: "bad", Port: "12" }, "json: cannot unmarshal string into Go struct field .Port of type int"]
  ])("refuses %j", (document, text) => assert.strictEqual(firstProblem(document), text))

  it("converts between types in config entries", () =>
    assert.deepStrictEqual(
      GoDecode.conform(ServiceResolver, {
        kind: "service-resolver",
        name: "web",
        subsets: { v1: { only_passing: "true" } },
        load_balancer: { ring_hash_config: { minimum_ring_size: "10" } }
      }, weak),
      Result.succeed({
        Kind: "service-resolver",
        Name: "web",
        Subsets: { v1: { OnlyPassing: true } },
        LoadBalancer: { RingHashConfig: { MinimumRingSize: 10 } }
      })
    ))

  it("takes a list of one for its item in config entries, and an item for a list of one", () => {
    assert.deepStrictEqual(
      GoDecode.conform(ServiceIntentions, {
        Kind: "service-intentions",
        Name: ["api"],
        Sources: {
          Name: "web",
          Permissions: [{ Action: "allow", HTTP: [{ PathPrefix: "/", Header: {}, Methods: "GET" }] }]
        }
      }, weak),
      Result.succeed({
        Kind: "service-intentions",
        Name: "api",
        Sources: [{
          Name: "web",
          Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/", Header: [], Methods: ["GET"] } }]
        }]
      })
    )
    const two = { Kind: "service-intentions", Name: "api", Sources: [{ Permissions: [{ HTTP: [{}, {}] }] }] }
    assert.isTrue(Result.isFailure(GoDecode.conform(ServiceIntentions, two, weak)))
    assert.deepStrictEqual(
      GoDecode.conform(ServiceResolver, {
        Kind: "service-resolver",
        Name: "web",
        Subsets: [{ v1: [{ Filter: "a" }] }, { v2: { Filter: "b" } }]
      }, weak),
      Result.succeed({
        Kind: "service-resolver",
        Name: "web",
        Subsets: { v1: { Filter: "a" }, v2: { Filter: "b" } }
      })
    )
  })

  it("takes lists of one for objects in registrations too, where they come from HCL", () => {
    const document = { name: "web", tags: ["a"], meta: [{ a: "1" }], connect: [{ sidecar_service: [{ port: 1 }] }] }
    assert.deepStrictEqual(
      GoDecode.conform(AgentService.ServiceRegistration, document, { ...strict, unwrap: true }),
      Result.succeed({ Name: "web", Tags: ["a"], Meta: { a: "1" }, Connect: { SidecarService: { Port: 1 } } })
    )
    assert.strictEqual(
      firstProblem({ Name: ["web"] }),
      "json: cannot unmarshal array into Go struct field .Name of type string"
    )
  })

  it.each([
    ["", "EOF"],
    ["{", "unexpected EOF"],
    ["x", "invalid character 'x' looking for beginning of value"],
    [`{"a": x}`, "invalid character 'x' looking for beginning of value"]
  ])(
    "says where %j stops being JSON",
    (text, expected) => assert.deepStrictEqual(GoDecode.parse(text), Result.fail(expected))
  )

  it.prop("parses or refuses any text", { text: Schema.String }, ({ text }) => {
    GoDecode.parse(text)
  })
})
