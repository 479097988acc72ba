import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Intention from "../../src/intention/Intention.ts"

const decode = Schema.decodeUnknownSync(Intention.Intention)
const encode = Schema.encodeUnknownSync(Intention.Intention)
const decodeMatch = Schema.decodeUnknownSync(Intention.MatchResult)

/** As a Consul 1.10 agent wrote it. */
const recorded = {
  SourceNS: "default",
  SourceName: "web",
  DestinationNS: "default",
  DestinationName: "api",
  SourceType: "consul",
  Permissions: [
    { Action: "allow", HTTP: { PathPrefix: "/v1", Methods: ["GET", "HEAD"] } },
    {
      Action: "deny",
      HTTP: {
        PathRegex: "/admin/.*",
        Header: [{ Name: "x-debug", Present: true }, { Name: "x-team", Exact: "red", Invert: true }]
      }
    }
  ],
  Precedence: 9,
  CreateIndex: 153,
  ModifyIndex: 153
}

describe("Intention", () => {
  it("encodes what it decoded from a real agent, field by field", () => {
    assert.deepStrictEqual(encode(decode(recorded)), recorded)
  })

  it("reads every spelling of nothing as absence, and writes none of them", () => {
    const bare = {
      SourceNS: "default",
      SourceName: "web",
      DestinationNS: "default",
      DestinationName: "api",
      SourceType: "consul",
      Action: "allow",
      Precedence: 9,
      CreateIndex: 1,
      ModifyIndex: 1
    }
    for (const nothing of [null, undefined]) {
      const spelled = decode({
        ...bare,
        SourcePeer: nothing,
        Permissions: nothing,
        JWT: nothing,
        Meta: nothing,
        ID: nothing
      })
      assert.deepStrictEqual(spelled, decode(bare))
    }
    const zeros = { ...bare, SourcePeer: "", Permissions: [], JWT: { Providers: [] }, Meta: {}, DefaultPort: 0 }
    assert.deepStrictEqual(decode(zeros), decode(bare))
    assert.deepStrictEqual(encode(decode(zeros)), bare)
  })

  it("takes absent namespaces for default, and ignores unknown fields of an intention", () => {
    const intention = decode({ SourceName: "web", DestinationName: "api", Action: "deny", FromTheFuture: { a: 1 } })
    assert.strictEqual(intention.SourceNS, "default")
    assert.strictEqual(intention.DestinationNS, "default")
    assert.isFalse("FromTheFuture" in intention)
  })

  it("names the conditions it does not know, unless they say nothing", () => {
    const { Permissions } = decode({
      SourceName: "web",
      DestinationName: "api",
      Permissions: [{ Action: "allow", HTTP: { PathGlob: "/a/*", Header: [{ Name: "x", OneOf: ["a"] }], Query: [] } }]
    })
    assert.deepStrictEqual(Permissions?.[0]?.HTTP?.UnknownFields, ["PathGlob"])
    assert.deepStrictEqual(Permissions?.[0]?.HTTP?.Header?.[0]?.UnknownFields, ["OneOf"])
    assert.strictEqual(Intention.headerKind(Permissions![0]!.HTTP!.Header![0]!), undefined)
  })

  it("cannot be told by the wire which conditions are unknown", () => {
    const { Permissions } = decode({
      SourceName: "web",
      DestinationName: "api",
      Permissions: [{ Action: "allow", HTTP: { PathExact: "/", UnknownFields: ["PathExact"] } }]
    })
    assert.deepStrictEqual(Permissions, [{ Action: "allow", HTTP: { PathExact: "/" } }])
  })

  it.each([
    ["default/web", "default/api", 9],
    ["default/*", "default/api", 8],
    ["*/*", "default/api", 7],
    ["default/web", "default/*", 6],
    ["default/*", "default/*", 5],
    ["*/*", "default/*", 4],
    ["default/web", "*/*", 3],
    ["default/*", "*/*", 2],
    ["*/*", "*/*", 1]
  ])("ranks %s → %s at %i, as Consul does", (source, destination, rank) => {
    const [SourceNS, SourceName] = source.split("/") as [string, string]
    const [DestinationNS, DestinationName] = destination.split("/") as [string, string]
    assert.strictEqual(Intention.precedence({ SourceNS, SourceName, DestinationNS, DestinationName }), rank)
  })

  it("sorts by precedence downwards, then by the names with the empty one first", () => {
    const sorted = [
      Intention.make("web", "api", "allow"),
      Intention.make("a", "api", "allow", { SourcePartition: "p" }),
      Intention.make("a", "api", "allow", { SourcePeer: "east" }),
      Intention.make("a", "api", "allow", { SourceSamenessGroup: "g" }),
      Intention.make("*", "api", "allow"),
      Intention.make("a", "*", "allow"),
      Intention.make("*", "*", "allow")
    ]
    assert.deepStrictEqual(sorted.toReversed().sort(Intention.compare), sorted)
  })

  it("reads null, [] and a missing name of a match result as no intentions", () => {
    for (const body of [{ db: null }, { db: [] }, {}]) {
      assert.deepStrictEqual(Intention.matches(decodeMatch(body), "db"), [])
    }
    assert.deepStrictEqual(Intention.matches(decodeMatch({}), "constructor"), [])
    assert.deepStrictEqual(Schema.encodeUnknownSync(Intention.MatchResult)({ db: [] }), { db: null })
  })
})
