import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Entries from "../../../src/policy/source/Entries.ts"
import * as Document from "../../../src/policy/source/Document.ts"
import * as Origin from "../../../src/policy/Origin.ts"
import * as Policy from "../../../src/policy/Policy.ts"

const read = (...texts: ReadonlyArray<unknown>) =>
  Entries.read(texts.map((text, i) => ({
    file: `${i}.json`,
    text: typeof text === "string" ? text : JSON.stringify(text, null, 1)
  })))

const problems = (...texts: ReadonlyArray<unknown>): ReadonlyArray<string> => {
  const result = read(...texts)
  return Result.isFailure(result) ? result.failure.map(Document.format) : []
}

const entry = (source: object, rest: object = {}) => ({
  Kind: "service-intentions",
  Name: "api",
  Sources: [{ Name: "web", ...source }],
  ...rest
})
const http = (HTTP: object) => entry({ Permissions: [{ Action: "allow", HTTP }] })
const header = (matcher: object) => http({ Header: [{ Name: "x-a", ...matcher }] })

describe("Entries", () => {
  it("reads keys as Consul does, and fills in what it fills in", () => {
    const { defaultProtocol, intentions, normalization, services } = Result.getOrThrow(read(
      [
        {
          kind: "service-intentions",
          name: "api",
          namespace: "team",
          meta: { any_thing: "1" },
          sources: [
            { name: "web", permissions: [{ action: "allow", http: { path_prefix: "/", methods: ["get"] } }] },
            { name: "db", peer: "east", action: "deny" }
          ],
          jwt: { providers: [{ name: "okta", verify_claims: [{ path: ["a", "b"], value: "c" }] }] }
        },
        { Kind: "service-defaults", Name: "web", Protocol: "HTTP", UpstreamConfig: { Defaults: {} } }
      ],
      { Kind: "proxy-defaults", Name: "global", Config: { protocol: "grpc", other: 1 } },
      { Kind: "mesh", http: { incoming: { request_normalization: { merge_slashes: true } } } }
    ))
    assert.deepStrictEqual(
      intentions.map((each) => [each.SourceName, each.SourceNS, each.SourcePeer, each.DestinationNS, each.Precedence]),
      [["web", "team", undefined, "team", 9], ["db", "default", "east", "team", 9]]
    )
    assert.deepStrictEqual(intentions[0]!.Permissions, [{
      Action: "allow",
      HTTP: { PathPrefix: "/", Methods: ["GET"] }
    }])
    assert.deepStrictEqual(intentions[0]!.JWT, {
      Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["a", "b"], Value: "c" }] }]
    })
    assert.strictEqual(defaultProtocol, "grpc")
    assert.deepStrictEqual(normalization, { MergeSlashes: true })
    assert.deepStrictEqual(services.map(({ protocol, service }) => [service, protocol]), [["web", "http"], [
      "api",
      undefined
    ]])
  })

  it("takes a service that has defaults and no protocol for tcp, as Consul does", () => {
    const { services } = Result.getOrThrow(read(
      { Kind: "service-defaults", Name: "api" },
      { Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" } }
    ))
    assert.deepStrictEqual(services.map(({ protocol }) => protocol), ["tcp"])
  })

  it("finds the protocol of a service, wherever else the service is named", () => {
    const entries = Result.getOrThrow(read(
      { services: [{ name: "api" }], config_entries: { bootstrap: [entry({ Action: "allow" })] } },
      { Kind: "service-defaults", Name: "API", Protocol: "grpc" }
    ))
    const policy = Policy.make({ ...entries, defaultPolicy: "deny" })
    assert.deepStrictEqual(Policy.protocol(policy, { service: "api", namespace: "default", partition: "default" }), {
      protocol: "grpc",
      from: "service"
    })
  })

  it("reads the configuration of an agent", () => {
    const { defaultPolicy, intentions, services } = Result.getOrThrow(read({
      default_intention_policy: "allow",
      services: [{ name: "web", port: 1 }],
      config_entries: { bootstrap: [entry({ Action: "allow" })] }
    }))
    assert.deepStrictEqual(intentions.map((each) => each.SourceName), ["web"])
    assert.deepStrictEqual(services.map(({ service }) => service), ["web", "api"])
    assert.strictEqual(defaultPolicy, "allow")
  })

  it("says where the syntax is wrong, and reads nothing", () => {
    assert.deepStrictEqual(problems(entry({ Action: "allow" }), "{\n  \"Kind\": \"mesh\",\n  \"Name\" \"x\"\n}"), [
      "1.json:3:10: not JSON: colon expected; correct the syntax here or just before"
    ])
    assert.match(problems("")[0]!, /^0\.json:1:1: /)
    assert.match(problems("[")[0]!, /^0\.json:1:2: not JSON/)
  })

  it.each([
    [
      "an unknown kind",
      { Kind: "service-intention", Name: "api" },
      /^0\.json:2:10: the kind service-intention is not known/
    ],
    ["no kind", { Name: "api" }, /^0\.json:1:1: the field Kind is missing/],
    ["an unknown field", entry({ Actoin: "allow" }), /^0\.json:7:4: the field Actoin is not known/],
    ["a wrong type", entry({ Action: { is: "allow" } }), /a text belongs here, and this is an object/],
    ["a field twice", "{\"Kind\": \"mesh\",\n \"kind\": \"mesh\"}", /^0\.json:2:2: kind is given twice/],
    ["no sources", { Kind: "service-intentions", Name: "api", Sources: [] }, /^0\.json:4:13: the entry has no sources/],
    ["no action", entry({}), /Action must be allow or deny/],
    ["an unknown action", entry({ Action: "audit" }), /Action must be allow or deny/],
    [
      "action and permissions",
      entry({ Action: "allow", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }] }),
      /exclude each other/
    ],
    ["a partial wildcard", entry({ Action: "allow" }, { Name: "ap*" }), /ap\* is neither a name nor \*/],
    [
      "a source twice",
      { ...entry({}), Sources: [{ Name: "a", Action: "deny" }, { Name: "a", Action: "allow" }] },
      /^0\.json:10:12: the source a exists already, at 0\.json:5:3/
    ],
    ["permissions for *", { ...http({ PathPrefix: "/" }), Name: "*" }, /an entry for \* can not have Permissions/],
    [
      "a name in the namespace *",
      entry({ Action: "allow", Namespace: "*" }),
      /in the namespace \* the name must be \*/
    ],
    [
      "peer and partition",
      entry({ Action: "allow", Peer: "a", Partition: "b" }),
      /Partition and Peer exclude each other/
    ],
    ["an empty HTTP", http({}), /HTTP says nothing/],
    ["no HTTP", entry({ Permissions: [{ Action: "allow" }] }), /the permission has no HTTP/],
    ["two paths", http({ PathExact: "/", PathPrefix: "/" }), /PathExact and PathPrefix exclude each other/],
    ["a relative path", http({ PathPrefix: "v1" }), /PathPrefix must start with \//],
    [
      "a bad expression",
      http({ PathRegex: "/a(" }),
      /^0\.json:11:20: PathRegex is no RE2 expression: .*missing closing/
    ],
    ["a bad expression in a header", header({ Regex: "(?=a)" }), /Regex is no RE2 expression/],
    ["an unknown method", http({ Methods: ["FETCH"] }), /the method FETCH is not known/],
    ["a method twice", http({ Methods: ["GET", "get"] }), /the method get is there twice/],
    ["a matcher of no kind", header({ Invert: true }), /the header matcher has no kind/],
    ["a matcher of two kinds", header({ Exact: "a", Prefix: "a" }), /has Exact and Prefix; give exactly one/],
    ["IgnoreCase on an expression", header({ Regex: "a", IgnoreCase: true }), /IgnoreCase means nothing for Regex/]
  ])("refuses %s", (_, value, message) => {
    const found = problems(value)
    assert.match(found[0] ?? "nothing", message)
    assert.strictEqual(found.length, 1, found.join("\n"))
  })

  it("refuses an entry that exists already, in whatever letter case, and names both places", () => {
    assert.deepStrictEqual(
      problems(entry({ Action: "deny" }), "\n" + JSON.stringify(entry({ Action: "deny" }, { Name: "API" }))),
      [
        "1.json:2:37: the entry service-intentions API exists already, at 0.json:1:1; merge the two"
      ]
    )
  })

  it("refuses providers that are not there, where there are some", () => {
    const jwt = entry({ Action: "allow" }, { JWT: { Providers: [{ Name: "okta" }] } })
    assert.deepStrictEqual(problems(jwt), [])
    assert.match(
      problems(jwt, { Kind: "jwt-provider", Name: "auth0" })[0]!,
      /there is no jwt-provider okta; known are auth0/
    )
  })

  it("finds all problems, not just the first", () => {
    assert.strictEqual(problems(entry({ Actoin: 1 }), "{", { Kind: "x" }).length, 3)
  })

  it("remembers where intentions and permissions are written, and nothing of what an agent answers", () => {
    const list = entry({ Permissions: [{ Action: "allow", HTTP: { PathExact: "/" } }] })
    const [written] = Result.getOrThrow(read(list)).intentions
    assert.strictEqual(Origin.format(Origin.of(written)!), "0.json:5:3")
    assert.strictEqual(Origin.format(Origin.ofRule(written, 0)!), "0.json:8:5")
    const stored = Entries.read([{ file: "GET /v1/config", stored: true, text: JSON.stringify([list]) }])
    assert.isUndefined(Origin.ofRule(Result.getOrThrow(stored).intentions[0], 0))
  })

  it("keeps what it does not know of entries that an agent has stored", () => {
    const { intentions } = Result.getOrThrow(Entries.read([{
      file: "agent",
      stored: true,
      text: JSON.stringify([http({ PathGlob: "/*" }), { Kind: "newer-kind", Name: "x" }])
    }]))
    assert.deepStrictEqual(intentions[0]!.Permissions![0]!.HTTP!.UnknownFields, ["PathGlob"])
  })
})
