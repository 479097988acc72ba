import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as ExecuteQuery from "../../src/agent/query/ExecuteQuery.ts"
import * as PreparedQueries from "../../src/agent/query/PreparedQueries.ts"
import * as Store from "../../src/agent/Store.ts"
import * as Health from "../../src/consul/Health.ts"
import * as PreparedQuery from "../../src/consul/PreparedQuery.ts"

const decode = Schema.decodeUnknownSync(Schema.toCodecGoJson(PreparedQuery.PreparedQuery))
const query = (fields: object) => decode({ Service: { Service: "web" }, ...fields })
const template = (Name: string, fields: object = {}, Regexp = "") =>
  query({ Name, Template: { Type: "name_prefix_match", Regexp }, Service: { Service: "${name.suffix}", ...fields } })

/** With these, each of them accepted. */
const withQueries = (...queries: ReadonlyArray<PreparedQuery.PreparedQuery>) => {
  const all = PreparedQueries.make(Store.make())
  return { all, ids: queries.map((query) => Result.getOrThrow(all.create(query))) }
}

describe("PreparedQueries", () => {
  it("finds by id, and by name whatever its case", () => {
    const { all, ids } = withQueries(query({ Name: "geo" }))
    assert.deepStrictEqual([all.find(ids[0]!)?.Name, all.find("GEO")?.Name, all.find("ge")], ["geo", "geo", undefined])
  })

  it("prefers a name to a template, and the longest template", () => {
    const { all } = withQueries(
      template("", { Service: "any ${name.full}" }),
      template("geo-"),
      query({ Name: "geo-db" })
    )
    const serviceOf = (name: string) => all.find(name)?.Service.Service
    assert.deepStrictEqual(["geo-db", "geo-api", "x"].map(serviceOf), ["web", "api", "any x"])
  })

  it("fills in what a template names", () => {
    const { all } = withQueries(
      template(
        "re-",
        { Service: "${match(2)}", Tags: ["${match(1)}", "${name.prefix}", "${match(9)}"] },
        "^re-(.*)-([^-]+)$"
      )
    )
    const { Service, Tags } = all.find("re-a-web")!.Service
    assert.deepStrictEqual([Service, Tags], ["web", ["a", "re-", ""]])
  })

  it.each([
    [{}, "Invalid prepared query: Must be bound to a session"],
    [{ Name: "x", Service: {} }, "Invalid prepared query: Must provide a Service name to query"],
    [
      { Name: "x", DNS: { TTL: "nope" } },
      "Invalid prepared query: Bad DNS TTL 'nope': time: invalid duration \"nope\""
    ],
    [
      { Name: "x", Service: { Service: "web", Failover: { NearestN: -1 } } },
      "Invalid prepared query: Bad NearestN '-1', must be >= 0"
    ],
    [
      { Name: "x", Service: { Service: "web", Failover: { NearestN: 1, Targets: [{ Peer: "x" }] } } },
      "Invalid prepared query: Targets cannot be populated with NearestN or Datacenters"
    ],
    [{ Name: "x", Session: "nope" }, "raft apply failed: invalid session \"nope\""],
    [{ Name: "Taken" }, "raft apply failed: name 'Taken' aliases an existing query name"],
    [{ Name: "x", Template: { Type: "y" } }, "raft apply failed: failed compiling template: Bad Template.Type 'y'"],
    [{ Name: "x", ID: "y" }, "ID must be empty when creating a new prepared query"]
  ])("refuses %j", (fields, why) => {
    const { all } = withQueries(query({ Name: "taken" }))
    assert.deepStrictEqual(all.create(query(fields)), Result.fail(why))
  })

  it("is changed and deleted by id, once", () => {
    const { all, ids } = withQueries(query({ Name: "geo" }))
    const id = ids[0]!
    assert.isTrue(Result.isSuccess(all.update(id, query({ Name: "geo", Service: { Service: "api" } }))))
    assert.strictEqual(all.find("geo")?.Service.Service, "api")
    assert.isTrue(Result.isSuccess(all.remove(id)))
    assert.deepStrictEqual(all.remove(id), Result.fail(`Cannot modify non-existent prepared query: '${id}'`))
    assert.deepStrictEqual(
      all.remove("geo"),
      Result.fail("Prepared Query lookup failed: failed prepared query lookup: index error: UUID must be 36 characters")
    )
  })
})

describe("ExecuteQuery", () => {
  const entry = (status: string, Tags: ReadonlyArray<string> = []) => ({
    Node: Health.Node.make({ Meta: { rack: "1" } }),
    Service: Health.NodeService.make({ Tags, Meta: { version: "2" } }),
    Checks: [Health.Check.make({ CheckID: "flaky", Status: status })]
  })
  const wanted = (fields: Partial<PreparedQuery.ServiceQuery>) => PreparedQuery.ServiceQuery.make(fields)

  it.each([
    ["critical", {}, false],
    ["critical", { IgnoreCheckIDs: ["flaky"] }, true],
    ["warning", {}, true],
    ["warning", { OnlyPassing: true }, false],
    ["passing", { OnlyPassing: true }, true]
  ])(
    "with a %s check and %j: %s",
    (status, fields, expected) => assert.strictEqual(ExecuteQuery.matches(entry(status), wanted(fields)), expected)
  )

  it.each([
    [["a"], ["A"], true],
    [["a"], ["a", "b"], false],
    [["a", "b"], ["a", "!b"], false],
    [["a"], ["!b"], true]
  ])(
    "of tags %j takes %j: %s",
    (tags, asked, expected) =>
      assert.strictEqual(ExecuteQuery.matches(entry("passing", tags), wanted({ Tags: asked })), expected)
  )

  it.each([
    [{ NodeMeta: { rack: "1" }, ServiceMeta: { version: "2" } }, true],
    [{ NodeMeta: { rack: "2" } }, false],
    [{ ServiceMeta: { other: "" } }, false]
  ])(
    "by metadata %j: %s",
    (fields, expected) => assert.strictEqual(ExecuteQuery.matches(entry("passing"), wanted(fields)), expected)
  )
})
