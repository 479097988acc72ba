import { assert, describe, it } from "@effect/vitest"
import { Result, type Schema } from "effect"
import * as ConfigEntries from "../../src/agent/config/ConfigEntries.ts"
import * as DecodeEntry from "../../src/agent/config/DecodeEntry.ts"
import * as Store from "../../src/agent/Store.ts"

const fresh = () => ConfigEntries.make({ store: Store.make(), datacenter: "dc1" })

const write = (entries: ConfigEntries.ConfigEntries, body: Schema.Json, cas?: bigint): string | boolean =>
  Result.match(DecodeEntry.decode(typeof body === "string" ? body : JSON.stringify(body)), {
    onFailure: (error) => error.body,
    onSuccess: (entry) =>
      Result.match(entries.write(entry, cas), { onFailure: (text) => text, onSuccess: (done) => done })
  })

/** What a real agent says about these, each written after `before`. */
const refusals = (
  name: string,
  cases: ReadonlyArray<readonly [Schema.Json, string | true]>,
  before: ReadonlyArray<Schema.Json> = []
) =>
  describe(name, () => {
    it.each(cases)("%j", (body, expected) => {
      const entries = fresh()
      for (const entry of before) assert.isTrue(write(entries, entry))
      assert.strictEqual(write(entries, body), expected)
    })
  })

const one = (problem: string) => `1 error occurred:\n\t* ${problem}\n\n`
const defaults = (name: string, rest: Schema.JsonObject = { Protocol: "http" }) => ({
  Kind: "service-defaults",
  Name: name,
  ...rest
})
const resolver = (rest: Schema.JsonObject) => ({ Kind: "service-resolver", Name: "web", ...rest })
const balancer = (rest: Schema.JsonObject) => resolver({ LoadBalancer: rest })
const hashed = (policy: Schema.JsonObject) => balancer({ Policy: "maglev", HashPolicies: [policy] })
const failover = (rest: Schema.JsonObject) => resolver({ Failover: { "*": rest } })
const router = (route: Schema.JsonObject) => ({ Kind: "service-router", Name: "s", Routes: [route] })
const splitter = (...splits: ReadonlyArray<Schema.JsonObject>) => ({
  Kind: "service-splitter",
  Name: "s",
  Splits: splits
})
const intentions = (...sources: ReadonlyArray<Schema.JsonObject>) => ({
  Kind: "service-intentions",
  Name: "db",
  Sources: sources
})
const permission = (http: Schema.JsonObject, rest: Schema.JsonObject = {}) =>
  intentions({ Name: "a", Permissions: [{ Action: "allow", HTTP: http, ...rest }] })

describe("ConfigEntries", () => {
  it("stores what was written, with indexes, and shows it as Consul does", () => {
    const entries = fresh()
    assert.isTrue(
      write(entries, { kind: "service-defaults", name: "x", protocol: "HTTP", max_inbound_connections: "10" })
    )
    const stored = entries.get("service-defaults", "x")
    assert.isDefined(stored)
    assert.deepStrictEqual(DecodeEntry.encode(stored) as unknown, {
      Kind: "service-defaults",
      Name: "x",
      Protocol: "http",
      TransparentProxy: {},
      MeshGateway: {},
      Expose: {},
      MaxInboundConnections: 10,
      CreateIndex: 2,
      ModifyIndex: 2
    })
  })

  it("changes nothing when the same is written again", () => {
    const entries = fresh()
    write(entries, defaults("x"))
    const before = entries.get("service-defaults", "x")
    assert.isTrue(write(entries, { ...defaults("x"), CreateIndex: 77, ModifyIndex: 78, Hash: 9 }, 5n))
    assert.strictEqual(entries.get("service-defaults", "x"), before)
  })

  it("compares and sets", () => {
    const entries = fresh()
    assert.isTrue(write(entries, defaults("x"), 0n))
    assert.isFalse(write(entries, defaults("x", { Protocol: "tcp" }), 0n))
    assert.isTrue(write(entries, defaults("x", { Protocol: "tcp" }), 2n))
    assert.deepStrictEqual(entries.remove("service-defaults", "x", 2n), Result.succeed(false))
    assert.deepStrictEqual(entries.remove("service-defaults", "x", 3n), Result.succeed(true))
    assert.deepStrictEqual(entries.remove("service-defaults", "x", 3n), Result.succeed(true))
  })

  it("keeps sources in the order of precedence", () => {
    const entries = fresh()
    write(
      entries,
      intentions({ Name: "*", Action: "deny" }, { Name: "b", Action: "allow" }, { Name: "a", Action: "allow" })
    )
    const stored = entries.get("service-intentions", "db")
    assert.isDefined(stored)
    assert.deepStrictEqual(DecodeEntry.encode(stored)["Sources"] as unknown, [
      { Name: "a", Action: "allow", Precedence: 9, Type: "consul" },
      { Name: "b", Action: "allow", Precedence: 9, Type: "consul" },
      { Name: "*", Action: "deny", Precedence: 8, Type: "consul" }
    ])
  })

  it("does not take away what another entry rests on", () => {
    const entries = fresh()
    write(entries, defaults("db"))
    assert.isTrue(write(entries, permission({ PathExact: "/" })))
    const expected = `service "db" has protocol "tcp", which is incompatible with L7 intentions permissions`
    assert.deepStrictEqual(entries.remove("service-defaults", "db"), Result.fail(expected))
    assert.strictEqual(write(entries, defaults("db", { Protocol: "tcp" })), expected)
  })

  refusals("what is no entry", [
    ["", "Request decoding failed: EOF"],
    ["x", "Request decoding failed: invalid character 'x' looking for beginning of value"],
    [[], "Request decoding failed: '' expected a map, got 'slice'"],
    ["\"x\"", "Request decoding failed: '' expected a map, got 'string'"],
    [{}, "Request decoding failed: Payload does not contain a kind/Kind key at the top level"],
    [{ Kind: "nonsense", Name: "x" }, "Request decoding failed: invalid config entry kind: nonsense"],
    [defaults("x", { Foo: 1 }), `Request decoding failed: ${one(`invalid config key "Foo"`)}`],
    [
      defaults("x", { Namespace: "foo" }),
      `Request decoding failed: ${one(`invalid config key "Namespace", namespaces are a consul enterprise feature`)}`
    ],
    [
      intentions({ Name: "a", Action: "allow", Foo: 3 }),
      `Request decoding failed: ${one(`invalid config key "Sources[0].Foo"`)}`
    ],
    [
      resolver({ ConnectTimeout: "x" }),
      "Request decoding failed: 1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': time: invalid duration \"x\""
    ]
  ])

  refusals("service-defaults", [
    [{ Kind: "service-defaults" }, "Name is required"],
    [defaults("*"), "service-defaults name must be the name of a service, and not a wildcard"],
    [defaults("x", { Protocol: 1 }), one("invalid value for protocol: 1")],
    [defaults("x", { BalanceInboundConnections: "foo" }), one("invalid value for balance_inbound_connections: foo")],
    [
      defaults("x", { MutualTLSMode: "foo" }),
      `Invalid MutualTLSMode "foo". Must be one of "", "strict", or "permissive".`
    ],
    [
      defaults("x", { MutualTLSMode: "permissive" }),
      "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    ],
    [
      defaults("x", { Destination: { Addresses: ["*.foo"], Port: 0 } }),
      "2 errors occurred:\n\t* Destination address '*.foo' is invalid Could not validate address *.foo as an IP or Hostname\n\t* Invalid Port number 0\n\n"
    ],
    [
      defaults("x", { UpstreamConfig: { Overrides: [{ ConnectTimeoutMs: 1 }] } }),
      one("error in upstream override for :: Name is required")
    ],
    [
      defaults("x", { UpstreamConfig: { Defaults: { Name: "x" } } }),
      one("error in upstream defaults: Name must be empty")
    ]
  ])

  refusals("proxy-defaults", [
    [{ Kind: "proxy-defaults", Name: "foo" }, `invalid name ("foo"), only "global" is supported`],
    [
      { Kind: "proxy-defaults", Name: "global", AccessLogs: { Enabled: true, Type: "foo" } },
      "invalid access log type: foo"
    ],
    [
      { Kind: "proxy-defaults", Name: "global", AccessLogs: { Enabled: true, JSONFormat: "a", TextFormat: "b" } },
      "cannot specify both access log JSONFormat and TextFormat"
    ]
  ])

  refusals("service-resolver", [
    [resolver({ DefaultSubset: "v9", Subsets: { v1: {} } }), `DefaultSubset "v9" is not a valid subset`],
    [resolver({ Subsets: { "": {} } }), "Subset defined with empty name"],
    [
      resolver({ Subsets: { "v1.x": {} } }),
      `Subset "v1.x" is invalid: must be 63 characters or fewer, begin or end with lower case alphanumeric characters, and contain lower case alphanumeric characters or '-' in between`
    ],
    [
      resolver({ Subsets: { v1: { Filter: "bad filter" } } }),
      `Filter for subset "v1" is not a valid expression: 1:5 (4): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]`
    ],
    [resolver({ Subsets: { v1: { Filter: "Service.Nope == a" } } }), true],
    [resolver({ Redirect: {} }), "Redirect is empty"],
    [resolver({ Redirect: { Service: "web" } }), true],
    [resolver({ Redirect: { ServiceSubset: "x" } }), "Redirect.ServiceSubset defined without Redirect.Service"],
    [resolver({ Redirect: { Namespace: "x" } }), "Redirect: Setting Namespace requires Consul Enterprise"],
    [
      resolver({ Redirect: { Service: "x", Peer: "p", Datacenter: "d" } }),
      "Redirect.Peer cannot be set with Redirect.Datacenter"
    ],
    [resolver({ Redirect: { Service: "x", ServiceSubset: "p" } }), `service "x" does not have a subset named "p"`],
    [
      resolver({ Redirect: { Datacenter: "d" }, Failover: { "*": { Service: "x" } } }),
      "Redirect and Failover cannot both be set"
    ],
    [
      failover({}),
      `Bad Failover["*"]: one of Service, ServiceSubset, Namespace, Targets, SamenessGroup, or Datacenters is required`
    ],
    [resolver({ Failover: { v1: { Service: "x" } } }), `Bad Failover["v1"]: not a valid subset subset`],
    [failover({ Service: "x", Targets: [{ Service: "y" }] }), `Bad Failover["*"]: Targets cannot be set with Service`],
    [
      failover({ Datacenters: ["a"], Targets: [{ Service: "y" }] }),
      `Bad Failover["*"]: Targets cannot be set with Datacenters`
    ],
    [failover({ Datacenters: [""] }), `Bad Failover["*"].Datacenters: found empty datacenter`],
    [failover({ Targets: [{}] }), true],
    [
      failover({ Targets: [{ Service: "x", Peer: "p", Datacenter: "d" }] }),
      `Bad Failover["*"].Targets[0]: Peer cannot be set with Datacenter`
    ],
    [failover({ ServiceSubset: "x" }), `Bad Failover["*"]: ServiceSubset "x" is not a valid subset of ""`],
    [
      failover({ Service: "x", Policy: { Mode: "foo" } }),
      `Bad Failover["*"]: Setting failover policies requires Consul Enterprise`
    ],
    [resolver({ ConnectTimeout: "-1s" }), "Bad ConnectTimeout '-1s', must be >= 0"],
    [balancer({ Policy: "foo" }), `Bad LoadBalancer policy: "foo" is not supported`],
    [
      balancer({ Policy: "random", RingHashConfig: { MinimumRingSize: 1 } }),
      `Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balancing policy "random"`
    ],
    [
      balancer({ Policy: "random", HashPolicies: [{ SourceIP: true }] }),
      `Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: "random"`
    ],
    [
      hashed({ SourceIP: true, Field: "header" }),
      `Bad LoadBalancer HashPolicy[0]: A single hash policy cannot hash both a source address and a "header"`
    ],
    [hashed({ Field: "foo", FieldValue: "x" }), `Bad LoadBalancer HashPolicy[0]: "foo" is not a supported field`],
    [hashed({ Field: "header" }), `Bad LoadBalancer HashPolicy[0]: Field "header" was specified without a FieldValue`],
    [hashed({ FieldValue: "header" }), "Bad LoadBalancer HashPolicy[0]: FieldValue requires a Field to apply to"],
    [
      hashed({ Field: "header", FieldValue: "x", CookieConfig: { TTL: "1s" } }),
      `Bad LoadBalancer HashPolicy[0]: cookie_config provided for "header"`
    ],
    [
      hashed({ Field: "cookie", FieldValue: "x", CookieConfig: { TTL: "1s", Session: true } }),
      "Bad LoadBalancer HashPolicy[0]: a session cookie cannot have an associated TTL"
    ],
    [hashed({}), true],
    [resolver({ PrioritizeByLocality: { Mode: "failover" } }), "Prioritize-by-locality requires Consul Enterprise "]
  ])

  refusals("service-intentions", [
    [{ Kind: "service-intentions", Sources: [{ Name: "a", Action: "allow" }] }, "Name is required"],
    [intentions(), "At least one source is required"],
    [intentions({ Action: "allow" }), "Sources[0].Name is required"],
    [
      intentions({ Name: "a*", Action: "allow" }),
      "Sources[0].Name: wildcard character '*' cannot be used with partial values"
    ],
    [intentions({ Name: "a" }), "Sources[0].Action must be set to 'allow' or 'deny'"],
    [
      intentions({ Name: "a", Action: "allow" }, { Name: "a", Action: "deny" }),
      `Sources[1] defines "a" more than once`
    ],
    [intentions({ Name: "a", Action: "allow", Type: "foo" }), "Sources[0].Type must be set to 'consul'"],
    [intentions({ Name: "a", Action: "allow", Peer: "*" }), "Sources[0].Peer: cannot use wildcard '*' in peer"],
    [
      intentions({ Name: "a", Action: "allow", SamenessGroup: "p" }),
      "Sources[0].SamenessGroup: Sameness groups are a Consul Enterprise feature. "
    ],
    [
      intentions({ Name: "a", Action: "allow", Permissions: [{ Action: "allow", HTTP: { PathExact: "/" } }] }),
      "Sources[0].Action must be omitted if Permissions are specified"
    ],
    [
      permission({ PathExact: "/" }),
      `service "db" has protocol "tcp", which is incompatible with L7 intentions permissions`
    ],
    [
      permission({ PathExact: "/" }, { Action: "foo" }),
      "Sources[0].Permissions[0].Action must be set to 'allow' or 'deny'"
    ],
    [
      intentions({ Name: "a", Permissions: [{ Action: "allow" }] }),
      "Sources[0].Permissions[0].HTTP is required"
    ],
    [permission({}), "Sources[0].Permissions[0].HTTP should not be empty"],
    [
      permission({ PathPrefix: "noslash" }),
      "Sources[0].Permissions[0].HTTP.PathPrefix doesn't start with '/': \"noslash\""
    ],
    [
      permission({ Header: [{ Present: true }] }),
      "Sources[0].Permissions[0].HTTP.Header[0] missing required Name field"
    ],
    [
      permission({ Header: [{ Name: "x", Present: true, Exact: "y" }] }),
      "Sources[0].Permissions[0].HTTP.Header[0] should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex"
    ],
    [
      permission({ Header: [{ Name: "x", Regex: "x", IgnoreCase: true }] }),
      "Sources[0].Permissions[0].HTTP.Header[0] should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase"
    ],
    [permission({ Methods: ["FOO"] }), `Sources[0].Permissions[0].HTTP.Methods contains an invalid method "FOO"`],
    [permission({ Methods: ["GET", "get"] }), `Sources[0].Permissions[0].HTTP.Methods contains "GET" more than once`],
    [
      permission({ PathExact: "/" }, { JWT: { Providers: [{ Name: "" }] } }),
      one("JWT provider name is required")
    ],
    [
      permission({ PathExact: "/" }, { JWT: { Providers: [{ Name: "okta" }] } }),
      one("Referenced JWT Provider does not exist. Provider Name: okta")
    ],
    [
      { ...permission({ PathExact: "/" }), Name: "*" },
      "Sources[0].Permissions cannot be specified on intentions with wildcarded destinations"
    ]
  ])

  refusals("service-splitter and service-router", [
    [splitter(), "no splits configured"],
    [
      splitter({ Weight: 50 }, { Weight: 20 }),
      `split destination occurs more than once: service="s", subset="", namespace="", partition=""`
    ],
    [splitter({ Weight: 50 }, { Weight: 20, Service: "t" }), "the sum of all split weights must be 100, not 70.000000"],
    [
      splitter({ Weight: 80 }, { Weight: 20, Service: "t" }),
      `discovery chain "s" uses inconsistent protocols; service "t" has "tcp" which is not "http"`
    ],
    [splitter({ Weight: 100, ServiceSubset: "nope" }), `service "s" does not have a subset named "nope"`],
    [
      router({ Match: { HTTP: { PathExact: "/x", PathPrefix: "/y" } } }),
      "Route[0] should only contain at most one of PathExact, PathPrefix, or PathRegex"
    ],
    [router({ Match: { HTTP: { PathExact: "x" } } }), `Route[0] PathExact doesn't start with '/': "x"`],
    [
      router({ Match: { HTTP: { PathRegex: "x" } }, Destination: { PrefixRewrite: "/" } }),
      "Route[0] cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix"
    ],
    [
      router({ Match: { HTTP: { Header: [{ Name: "x" }] } } }),
      "Route[0] Header[0] should only contain one of Present, Exact, Prefix, Suffix, or Regex"
    ],
    [
      router({ Match: { HTTP: { QueryParam: [{ Present: true }] } } }),
      "Route[0] QueryParam[0] missing required Name field"
    ],
    [router({ Match: { HTTP: { Methods: ["FOO"] } } }), `Route[0] Methods contains an invalid method "FOO"`],
    [router({ Destination: { RetryOn: ["foo"] } }), `Route[0] contains an invalid retry condition: "foo"`]
  ], [defaults("s")])

  refusals("entries that form a circle", [
    [
      { Kind: "service-resolver", Name: "rb", Redirect: { Service: "ra" } },
      "detected circular resolver redirect: [rb.default.default.dc1 -> ra.default.default.dc1 -> rb.default.default.dc1]"
    ],
    [
      { Kind: "service-splitter", Name: "t", Splits: [{ Weight: 80 }, { Weight: 20, Service: "s" }] },
      "detected circular reference: [splitter:t.default.default -> splitter:s.default.default -> splitter:t.default.default]"
    ]
  ], [
    defaults("s"),
    defaults("t"),
    { Kind: "service-resolver", Name: "ra", Redirect: { Service: "rb" } },
    splitter({ Weight: 80 }, { Weight: 20, Service: "t" })
  ])

  refusals("the other kinds", [
    [
      { Kind: "mesh", TLS: { Incoming: { TLSMinVersion: "foo" } } },
      "error in incoming TLS configuration: no matching TLS version found for foo, please specify one of [TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3]"
    ],
    [{ Kind: "mesh", Name: "mesh" }, true],
    [
      { Kind: "exported-services", Name: "default", Services: [{ Name: "x" }] },
      "Services[0]: must have at least one consumer"
    ],
    [{ Kind: "exported-services", Name: "foo" }, `exported-services Name must be "default"`],
    [{ Kind: "tcp-route", Name: "r", Parents: [{ Name: "gw" }] }, true]
  ])

  const jwt = (fields: object) => ({
    Kind: "jwt-provider",
    Name: "o",
    JSONWebKeySet: { Local: { JWKS: "e30=" } },
    ...fields
  })
  const remote = (fields: object) => jwt({ JSONWebKeySet: { Remote: { URI: "https://x", ...fields } } })
  const trusted = (TrustedCA: object) => remote({ JWKSCluster: { TLSCertificates: { TrustedCA } } })
  const oneCa =
    "must specify exactly one of: Filename, EnvironmentVariable, InlineString or InlineBytes for JWKS' TrustedCA"
  refusals("jwt-provider", [
    [{ Kind: "jwt-provider", Name: "o" }, "JSONWebKeySet is required"],
    [jwt({}), true],
    [jwt({ JSONWebKeySet: {} }), "must specify exactly one of Local or Remote JSON Web key set"],
    [jwt({ JSONWebKeySet: { Local: { JWKS: "***" } }, Locations: [{}] }), "JWKS must be valid base64 encoded string"],
    [remote({ URI: "x" }), "Remote JWKS URI is invalid: parse \"x\": invalid URI for request, uri: x"],
    [remote({ JWKSCluster: { DiscoveryType: "static" } }), "unsupported jwks cluster discovery type: \"static\""],
    [remote({ JWKSCluster: { DiscoveryType: "STATIC", ConnectTimeout: "3s" } }), true],
    [
      remote({ RetryPolicy: { RetryPolicyBackOff: { BaseInterval: "10s", MaxInterval: "1s" } } }),
      "retry policy backoff's MaxInterval should be greater or equal to BaseInterval"
    ],
    [remote({ RetryPolicy: { RetryPolicyBackOff: { BaseInterval: "10s" } } }), true],
    [trusted({ Filename: "/ca" }), true],
    [trusted({}), oneCa],
    [trusted({ Filename: "/ca", InlineString: "x" }), oneCa],
    [
      jwt({ Locations: [{}, { Header: { Name: "" } }, { QueryParam: { Name: "" } }, { Cookie: { Name: "" } }] }),
      "4 errors occurred:\n\t* must set exactly one of: JWT location header, query param or cookie\n" +
      "\t* JWT location header name must be specified\n\t* JWT location query param name must be specified\n" +
      "\t* JWT location cookie name must be specified\n\n"
    ],
    [jwt({ Forwarding: {} }), "Header name required for forwarding config"]
  ])

  const terminating = (...Services: ReadonlyArray<Schema.JsonObject>) => ({
    Kind: "terminating-gateway",
    Name: "tg",
    Services
  })
  const withoutAll = "Service \"a\" must have a CertFile, CAFile, and KeyFile specified for TLS origination"
  refusals("terminating-gateway", [
    [{ Kind: "terminating-gateway" }, "Name is required"],
    [terminating(), true],
    [terminating({ Name: "" }), "Service name cannot be blank."],
    [terminating({ Name: "a" }, { Name: "b" }), true],
    [terminating({ Name: "*" }), true],
    [terminating({ Name: "a" }, { Name: "a" }), "Service \"a\" was specified more than once within a namespace"],
    [terminating({ Name: "a", CAFile: "/ca", SNI: "x" }), true],
    [terminating({ Name: "a", CertFile: "/c" }), withoutAll],
    [terminating({ Name: "a", CertFile: "/c", KeyFile: "/k" }), withoutAll],
    [terminating({ Name: "a", CAFile: "/ca", CertFile: "/c", KeyFile: "/k" }), true]
  ])

  const apiGateway = (...Listeners: ReadonlyArray<Schema.JsonObject>) => ({
    Kind: "api-gateway",
    Name: "gw",
    Listeners
  })
  const web = { Name: "web", Port: 80, Protocol: "http" }
  refusals("api-gateway", [
    [apiGateway(web), true],
    [apiGateway(web, { ...web, Name: "web.other" }), true],
    [apiGateway(), "api gateway must have at least one listener"],
    [
      apiGateway(web, { ...web, Name: "other", Hostname: "a.example" }),
      "listeners \"web\" and \"other\" cannot be merged"
    ],
    [apiGateway(web, { ...web, Name: "other", Protocol: "tcp" }), "listeners \"web\" and \"other\" cannot be merged"],
    [apiGateway(web, web), "found multiple listeners with the name \"web\""],
    [
      apiGateway({ ...web, Name: "Web" }),
      "listener name \"Web\" is invalid, must be at least 1 character and contain only letters, numbers, or dashes"
    ],
    [apiGateway({ ...web, Port: 0 }), "listener port 0 not in the range 1-65535"],
    [apiGateway({ ...web, Protocol: "UDP" }), "unsupported listener protocol \"udp\", must be one of 'tcp', or 'http'"],
    [apiGateway({ ...web, Protocol: "TCP", Hostname: "a" }), "hostname specification is not supported when using TCP"],
    [apiGateway({ ...web, Hostname: "*.a" }), true],
    [
      apiGateway({ ...web, Hostname: "a.*" }),
      "host \"a.*\" is not valid, a wildcard specifier is only allowed as the left-most label"
    ],
    [apiGateway({ ...web, TLS: { Certificates: [{ Name: "c" }] } }), true],
    [
      apiGateway({ ...web, TLS: { MinVersion: "1.2" } }),
      "no matching TLS version found for 1.2, please specify one of [TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3]"
    ],
    [apiGateway({ ...web, TLS: { Certificates: [{}] } }), "certificate reference must have a name"],
    [
      apiGateway({ ...web, TLS: { Certificates: [{ Kind: "x", Name: "c" }] } }),
      "unsupported certificate kind: \"x\", must be 'inline-certificate'"
    ]
  ])
  const httpRoute = (rule: Schema.JsonObject, rest: Schema.JsonObject = {}) => ({
    Kind: "http-route",
    Name: "r",
    Parents: [{ Name: "gw" }],
    Rules: [rule],
    ...rest
  })
  const Services = [{ Name: "a" }]
  refusals("http-route", [
    [httpRoute({ Services }), true],
    [httpRoute({}), true],
    [
      httpRoute({ Services, Matches: [{}, { Path: { Match: "exact", Value: "x" } }] }),
      "Rule[0], Match[1], Path, exact type match doesn't start with '/': \"x\""
    ],
    [
      httpRoute({ Services, Matches: [{ Path: { Match: "glob", Value: "/" } }] }),
      "Rule[0], Match[0], Path, match type should be one of exact, prefix, or regex"
    ],
    [
      httpRoute({ Services, Matches: [{ Query: [{ Match: "exact", Value: "x" }] }] }),
      "Rule[0], Match[0], Query[0], missing required Name field"
    ],
    [
      httpRoute({ Services, Matches: [{ Headers: [{ Match: "glob", Name: "x" }] }] }),
      "Rule[0], Match[0], Headers[0], match type should be one of present, exact, prefix, suffix, or regex"
    ],
    [
      httpRoute({ Services, Matches: [{ Method: "LOOK" }] }),
      "Rule[0], Match[0], Method contains an invalid method \"LOOK\""
    ],
    [httpRoute({ Services }, { Hostnames: ["*.a"] }), "host \"*.a\" must not be a wildcard"],
    [httpRoute({ Services }, { Hostnames: ["a..b"] }), "host \"a..b\" must be a valid DNS hostname"],
    [httpRoute({ Services }, { Parents: [{ Name: "gw" }, { Name: "gw" }] }), "route parents must be unique"],
    [httpRoute({ Services }, { Parents: [{ Name: "gw" }, { Name: "gw", SectionName: "web" }] }), true],
    [
      httpRoute({ Services }, { Parents: [{ Kind: "mesh-gateway", Name: "x" }] }),
      "unsupported parent kind: \"mesh-gateway\", must be 'api-gateway'"
    ]
  ])
  refusals("tcp-route and inline-certificate", [
    [{ Kind: "tcp-route", Name: "r", Services }, true],
    [
      { Kind: "tcp-route", Name: "r", Services: [{ Name: "a" }, { Name: "b" }] },
      "tcp-route currently only supports one service"
    ],
    [{ Kind: "inline-certificate", Name: "c", Certificate: "x", PrivateKey: "y" }, "failed to parse private key PEM"]
  ])
})
