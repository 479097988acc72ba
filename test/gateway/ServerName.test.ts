import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as ServerName from "../../src/gateway/ServerName.ts"

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

const Label = Schema.Literals(["api", "web", "default", "dc1", "internal", "external", "internal-v1", "a_b-c"])
const Names = Schema.Union([
  Schema.TaggedStruct("Service", {
    service: Label,
    subset: Schema.Union([Schema.Literal(""), Label]),
    namespace: Label,
    partition: Label,
    datacenter: Label
  }),
  Schema.TaggedStruct("Exported", { service: Label, namespace: Label, partition: Label, peer: Label })
])

const service = (fields: Partial<ServerName.Local>): ServerName.Local => ({
  _tag: "Service",
  service: "api",
  subset: "",
  namespace: "default",
  partition: "default",
  datacenter: "dc1",
  ...fields
})

describe("ServerName", () => {
  it.prop("reads what it writes", { name: Names }, ({ name }) => {
    assert.deepStrictEqual(ServerName.parse(ServerName.format(name, trustDomain), trustDomain), name)
  })

  it.prop("is of one trust domain only", { name: Names }, ({ name }) => {
    assert.isUndefined(ServerName.parse(ServerName.format(name, trustDomain), `x${trustDomain}`))
    assert.isUndefined(ServerName.parse(ServerName.format(name, `x${trustDomain}`), trustDomain))
  })

  it("is of a trust domain in any letter case", () => {
    const text = ServerName.format(service({}), trustDomain)
    assert.deepStrictEqual(ServerName.parse(text, trustDomain.toUpperCase()), service({}))
  })

  it.each([
    ["api.default.dc1.internal", service({})],
    ["v2.api.default.dc1.internal", service({ subset: "v2" })],
    ["api.team.dc1.internal", service({ namespace: "team" })],
    ["api.team.part.dc1.internal-v1", service({ namespace: "team", partition: "part" })],
    ["v2.api.team.part.dc1.internal-v1", service({ subset: "v2", namespace: "team", partition: "part" })],
    ["api.default.default.east.external", {
      _tag: "Exported",
      service: "api",
      namespace: "default",
      partition: "default",
      peer: "east"
    }]
  ])("reads %s as Consul writes it", (text, name) => {
    assert.deepStrictEqual(ServerName.parse(`${text}.${trustDomain}`, trustDomain), name as ServerName.ServerName)
  })

  it.each([
    "",
    "internal",
    "dc1.internal",
    "default.dc1.internal",
    "a.b.c.default.dc1.internal",
    ".default.dc1.internal",
    "api..dc1.internal",
    "api.default.dc1.query",
    "api.default.dc1.internal-v1",
    "api.default.dc1",
    "api.east.external"
  ])("does not read %s", (text) => {
    assert.isUndefined(ServerName.parse(`${text}.${trustDomain}`, trustDomain))
    assert.isUndefined(ServerName.parse(text, trustDomain))
  })
})
