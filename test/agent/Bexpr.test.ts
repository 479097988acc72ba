import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bexpr from "../../src/agent/Bexpr.ts"
import * as BexprFilter from "../../src/agent/BexprFilter.ts"
import * as Health from "../../src/consul/Health.ts"

const entry = Health.ServiceEntry.make({
  Node: Health.Node.make({ Node: "n1", Meta: { zone: "a" }, TaggedAddresses: { lan: "10.0.0.1" } }),
  Service: Health.NodeService.make({
    ID: "web-1",
    Service: "web",
    Tags: ["v1", "canary"],
    Meta: { version: "v1", "odd key": "x" },
    Port: 8080
  }),
  Checks: [
    Health.Check.make({ CheckID: "a", Status: "passing" }),
    Health.Check.make({ CheckID: "b", Status: "critical" })
  ]
})

const holds = (filter: string): boolean => Result.getOrThrow(BexprFilter.compile(filter, Health.ServiceEntry))(entry)

const problem = (filter: string): string =>
  Result.match(BexprFilter.compile(filter, Health.ServiceEntry), {
    onSuccess: () => "accepted",
    onFailure: (error) => error.detail
  })

describe("BexprFilter", () => {
  it.each([
    "Service.Meta.version == v1",
    "Service.Meta.version==\"v1\"",
    "Service.Meta[\"odd key\"] == `x`",
    "Service.Meta.nope != v1",
    "Service.Meta.nope is empty",
    "Service.Meta contains version",
    "version in Service.Meta",
    "canary in Service.Tags",
    "Service.Tags contains canary",
    "Service.Tags not contains beta",
    "beta not in Service.Tags",
    "Service.Tags is not empty",
    "Service.Port == 8080",
    "Service.EnableTagOverride == false",
    "Service.Meta.version matches \"^v[0-9]$\"",
    "Service.Service not matches api",
    "Service.Service contains eb",
    "Checks.Status == critical",
    "not Checks is empty",
    "not (Service.Port == 1 or Service.Port == 2)",
    "Service.Port == 1 or Service.Port == 8080 and Service.Service == web",
    "Node.Meta.zone == a and Node.TaggedAddresses.lan == \"10.0.0.1\""
  ])("holds: %s", (filter) => assert.isTrue(holds(filter)))

  it.each([
    "Service.Meta.version == v2",
    "Service.Meta.nope == v1",
    "Service.Meta.nope matches \".*\"",
    "Service.Tags is empty",
    "Service.Port != 8080",
    "not Service.Port == 8080",
    "(Service.Port == 1 or Service.Port == 8080) and Service.Service == api"
  ])("does not hold: %s", (filter) => assert.isFalse(holds(filter)))

  // As a real agent answers them.
  it.each([
    [
      "bad filter",
      `1:5 (4): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]`
    ],
    [
      "Service.Meta.version ==",
      `1:24 (23): no match found, expected: "-", "0", "\\"", "\`", [ \\t\\r\\n], [1-9] or [a-zA-Z]`
    ],
    ["Service.Service", `1:16 (15): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_]`],
    ["(a == b", `1:8 (7): rule "grouping": Unmatched parentheses`],
    ["==", `1:1 (0): no match found, expected: "(", "-", "0", "\\"", "\`", "not", [ \\t\\r\\n], [1-9] or [a-zA-Z]`],
    ["Service.Port == 3 and", `1:22 (21): no match found, expected: [ \\t\\r\\n]`],
    ["Service.Port == 3 foo", `1:19 (18): no match found, expected: "and", "or", [ \\t\\r\\n] or EOF`],
    ["Service.Tags is", `1:16 (15): no match found, expected: [ \\t\\r\\n]`],
    ["Service.ID == web-1", `1:18 (17): no match found, expected: ".", "[", [ \\t\\r\\n], [a-zA-Z0-9_] or EOF`],
    ["Service.ID == 1a", `1:16 (15): rule "number": Invalid number literal`],
    ["Service.Nope == v1", `Selector "Service.Nope" is not valid`],
    ["service.port == 1", `Selector "service.port" is not valid`],
    ["Service.Tags.foo == v1", `Selector "Service.Tags.foo" is not valid`],
    ["Service.Tags == v1", `Invalid match operator "Equal" for selector "Service.Tags"`],
    ["Service.Port matches 3", `Invalid match operator "Matches" for selector "Service.Port"`],
    [
      "Service.Port == abc",
      `Failed to coerce value "abc" for selector "Service.Port": strconv.ParseInt: parsing "abc": invalid syntax`
    ],
    [
      "Service.Meta.version matches \"(\"",
      "Failed to compile regular expression \"(\": error parsing regexp: missing closing ): `(`"
    ]
  ])("refuses %s", (filter, expected) => assert.strictEqual(problem(filter), expected))

  it.each(["(", "not ", "A == 1 and ", "A == 1 or "])(
    "refuses more than can be read: %s…",
    (part) => assert.include(problem(`${part.repeat(20_000)}A == 1`), "more than 1000 parts")
  )

  it.prop("parses what it is given or says where it can not, whatever it is", { text: Schema.String }, ({ text }) => {
    const result = Bexpr.parse(text)
    if (Result.isFailure(result)) assert.match(result.failure.detail, /^\d+:-?\d+ \(\d+\): /)
  })
})
