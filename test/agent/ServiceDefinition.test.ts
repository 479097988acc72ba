import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as ServiceDefinition from "../../src/agent/ServiceDefinition.ts"
import type * as AgentService from "../../src/consul/AgentService.ts"

const make = (registration: AgentService.ServiceRegistration) =>
  ServiceDefinition.make(registration, {
    datacenter: "dc1",
    sidecarPort: () => 21_000,
    sidecarPorts: { from: 21_000, to: 21_255 },
    scripts: false
  })

const sidecar = (sidecar: AgentService.SidecarService): AgentService.ServiceRegistration => ({
  Name: "bad",
  Port: 1,
  Connect: { SidecarService: sidecar }
})

const upstreams = (...list: NonNullable<NonNullable<AgentService.SidecarService["Proxy"]>["Upstreams"]>) =>
  sidecar({ Proxy: { Upstreams: list } })

const refusal = (registration: AgentService.ServiceRegistration): string =>
  Result.match(make(registration), { onSuccess: () => "accepted", onFailure: ({ body }) => body })

const one = (context: string, problem: string) => `${context}: 1 error occurred:\n\t* ${problem}\n\n`

describe("ServiceDefinition", () => {
  it("derives the sidecar from its service", () => {
    const [web, proxy] = Result.getOrThrow(make({
      ID: "web-1",
      Name: "web",
      Port: 9090,
      Tags: ["v1"],
      Meta: { version: "v1" },
      Connect: { SidecarService: {} }
    }))
    assert.isDefined(web)
    assert.isDefined(proxy)
    assert.strictEqual(proxy.sidecarOf, "web-1")
    const { service } = proxy
    assert.deepStrictEqual(
      [service.Kind, service.ID, service.Service, service.Port, service.Tags, service.Meta],
      ["connect-proxy", "web-1-sidecar-proxy", "web-sidecar-proxy", 21_000, ["v1"], { version: "v1" }]
    )
    assert.deepStrictEqual(
      [
        service.Proxy?.DestinationServiceName,
        service.Proxy?.DestinationServiceID,
        service.Proxy?.LocalServiceAddress,
        service.Proxy?.LocalServicePort
      ],
      ["web", "web-1", "127.0.0.1", 9090]
    )
    assert.deepStrictEqual(
      proxy.checks.map(({ id, name, run }) => [id, name, run._tag]),
      [
        ["service:web-1-sidecar-proxy:1", "Connect Sidecar Listening", "Tcp"],
        ["service:web-1-sidecar-proxy:2", "Connect Sidecar Aliasing web-1", "Alias"]
      ]
    )
  })

  it("takes the checks that a sidecar brings instead of its own", () => {
    const [, proxy] = Result.getOrThrow(make(sidecar({ Checks: [{ Name: "mine", TTL: "1h", Status: "passing" }] })))
    assert.deepStrictEqual(
      proxy?.checks.map(({ id, name, status }) => [id, name, status]),
      [["service:bad-sidecar-proxy", "mine", "passing"]]
    )
  })

  it("takes an empty check for none, as Go clients send one", () => {
    const [web] = Result.getOrThrow(make({ Name: "web", Check: {} }))
    assert.deepStrictEqual(web?.checks, [])
  })

  it("adds the address in the name of its family", () => {
    const [web] = Result.getOrThrow(make({ Name: "web", Port: 80, Address: "10.0.0.1" }))
    const address = { Address: "10.0.0.1", Port: 80 }
    assert.deepStrictEqual(web?.service.TaggedAddresses, { lan_ipv4: address, wan_ipv4: address })
  })

  // As a real agent answers them.
  it.each<readonly [AgentService.ServiceRegistration, string]>([
    [{ Name: "" }, "Missing service name"],
    [{ Name: "bad", Address: "0.0.0.0" }, "Invalid service address"],
    [{ Name: "bad", Address: "::" }, "Invalid service address"],
    [{ Name: "bad", Weights: { Passing: -1, Warning: 1 } }, "Invalid Weights: Passing must be greater than 0"],
    [
      { Name: "bad", Weights: { Passing: 70_000, Warning: 1 } },
      "Invalid Weights: DNS Weight must be between 0 and 65535"
    ],
    [
      { Name: "bad", Meta: { "a b": "x" } },
      "Invalid Service Meta: Couldn't load metadata pair ('a b', 'x'): Key contains invalid characters"
    ],
    [
      { Name: "bad", Meta: { "consul-x": "x" } },
      "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'x'): Key prefix 'consul-' is reserved for internal use"
    ],
    [{ Name: "bad", Check: { Name: "x" } }, "Invalid check: TTL must be > 0 for TTL checks"],
    [
      { Name: "bad", Check: { HTTP: "http://x" } },
      "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
    ],
    [
      { Name: "bad", Check: { TTL: "1s", HTTP: "http://x", Interval: "1s" } },
      "Invalid check: Interval and TTL cannot both be specified"
    ],
    [{ Name: "bad", Check: { TTL: "-1s" } }, "Invalid check: TTL must be > 0 for TTL checks"],
    [{ Name: "bad", Check: { TTL: "xx" } }, "Request decode failed: time: invalid duration \"xx\""],
    [
      { Name: "bad", Check: { TTL: "5s", Status: "foo" } },
      "Status for checks must 'passing', 'warning', 'critical'"
    ],
    [
      { Name: "bad", Check: { TCP: "x:1", Interval: "1s", FailuresBeforeWarning: 4, FailuresBeforeCritical: 2 } },
      "Invalid check: FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
    ],
    [
      { Name: "bad", Check: { ScriptArgs: ["x"], Interval: "1s" } },
      "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
    ],
    [
      { Name: "bad", Connect: { Native: true } },
      one("Validation failed", "Port or SocketPath must be set for a Connect native service.")
    ],
    [
      { Name: "bad", Kind: "connect-proxy" },
      "Validation failed: 2 errors occurred:\n\t* Port or SocketPath must be set for a connect-proxy\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\n"
    ],
    [
      { Name: "bad", Kind: "connect-proxy", Port: 1, Proxy: { DestinationServiceName: "*" } },
      one("Validation failed", "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")
    ],
    [{ Name: "bad", Locality: { Zone: "x" } }, one("Validation failed", "zone cannot be set without region")],
    [
      { Name: "a b", Port: 1 },
      "Service name a b contains invalid characters. Valid characters include all alpha-numerics and dashes."
    ],
    [
      sidecar({ ID: "x" }),
      one("Validation failed", "A SidecarService cannot specify an ID as this is managed by the agent")
    ],
    [upstreams({ LocalBindPort: 1 }), one("Failed Validation", "upstream destination name cannot be empty")],
    [
      upstreams({ DestinationName: "x" }),
      one("Failed Validation", "upstream local bind port or local socket path must be defined and nonzero")
    ],
    [
      upstreams({ DestinationName: "*", LocalBindPort: 1 }),
      one("Failed Validation", "upstream destination name cannot be a wildcard")
    ],
    [
      upstreams({ DestinationType: "foo", DestinationName: "x", LocalBindPort: 1 }),
      one("Failed Validation", "unknown upstream destination type: \"foo\"")
    ],
    [
      upstreams({ DestinationName: "x", LocalBindPort: 1 }, { DestinationName: "x", LocalBindPort: 2 }),
      one(
        "Failed Validation",
        "upstreams cannot contain duplicates of [type=\"service\", name=\"x\", partition=\"\", namespace=\"\", peer=\"\", datacenter=\"\"]"
      )
    ],
    [
      upstreams({ DestinationName: "x", LocalBindPort: 1 }, { DestinationName: "y", LocalBindPort: 1 }),
      one(
        "Failed Validation",
        "upstreams cannot contain duplicates by local bind address and port or unix path; \"127.0.0.1:1\" is specified twice"
      )
    ]
  ])("refuses %j", (registration, text) => assert.strictEqual(refusal(registration), text))
})
