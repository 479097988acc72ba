import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"

const td = "3d6a0000-0000-4000-8000-000000000001.consul"

// Letters that have to be encoded, so that generated names try every way out of their segment.
const Name = Schema.Array(Schema.Literals(["a", "B", "-", ".", "%", "/", "?", "#", " ", "é", "*"])).pipe(
  Schema.check(Schema.isMinLength(1), Schema.isMaxLength(6))
)
const ids = Schema.Struct({
  form: Schema.Literals(["Service", "Agent", "MeshGateway", "Server", "Signing"]),
  partition: Schema.Union([Schema.Literal("default"), Name]),
  a: Name,
  b: Name,
  c: Name
})

const make = (x: typeof ids.Type): SpiffeId.SpiffeId => {
  const partition = typeof x.partition === "string" ? x.partition : x.partition.join("")
  const [a, b, c] = [x.a.join(""), x.b.join(""), x.c.join("")]
  switch (x.form) {
    case "Service":
      return SpiffeId.service({ trustDomain: td, partition, namespace: a, datacenter: b, service: c })
    case "Agent":
      return { _tag: "Agent", trustDomain: td, partition, datacenter: a, node: b }
    case "MeshGateway":
      return { _tag: "MeshGateway", trustDomain: td, partition, datacenter: a }
    case "Server":
      return { _tag: "Server", trustDomain: td, datacenter: a }
    case "Signing":
      return { _tag: "Signing", trustDomain: td }
  }
}

describe("SpiffeId", () => {
  it.prop("reads back what it writes, whatever the names", { ids }, ({ ids }) => {
    const id = make(ids)
    assert.deepStrictEqual(Result.getOrThrow(SpiffeId.parse(SpiffeId.format(id))), id)
  })

  it.each([
    [`spiffe://${td}/ns/default/dc/dc1/svc/web`, "Service"],
    [`spiffe://${td}/ap/east/ns/team/dc/dc1/svc/web`, "Service"],
    [`spiffe://${td}/agent/client/dc/dc1/id/node-1`, "Agent"],
    [`spiffe://${td}/ap/east/agent/client/dc/dc1/id/node-1`, "Agent"],
    [`spiffe://${td}/gateway/mesh/dc/dc1`, "MeshGateway"],
    [`spiffe://${td}/ap/east/gateway/mesh/dc/dc1`, "MeshGateway"],
    [`spiffe://${td}/agent/server/dc/dc1`, "Server"],
    [`spiffe://${td}`, "Signing"]
  ])("knows %s for one of form %s", (uri, form) => {
    const id = Result.getOrThrow(SpiffeId.parse(uri))
    assert.strictEqual(id._tag, form)
    assert.strictEqual(SpiffeId.format(id), uri)
  })

  it("has one way to write a trust domain", () =>
    assert.strictEqual(
      SpiffeId.format(Result.getOrThrow(SpiffeId.parse("spiffe://Mesh.CONSUL/ns/default/dc/DC1/svc/Web"))),
      "spiffe://mesh.consul/ns/default/dc/DC1/svc/Web"
    ))

  it.each([
    ["", "empty"],
    ["http://x", "another scheme"],
    [`SPIFFE://${td}/ns/default/dc/dc1/svc/web`, "scheme in capitals"],
    [`spiffe://${td}/`, "a slash and nothing else"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/web/`, "trailing slash"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/`, "empty service"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/web/x`, "segment too many"],
    [`spiffe://${td}/x/ns/default/dc/dc1/svc/web`, "segment before"],
    [`spiffe://${td}/ns//dc/dc1/svc/web`, "empty namespace"],
    [`spiffe://${td}:8443/ns/default/dc/dc1/svc/web`, "port"],
    [`spiffe://user@${td}/ns/default/dc/dc1/svc/web`, "user"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/web?x=1`, "query"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/web#x`, "fragment"],
    [`spiffe://${td}/ns/default/dc/dc1/svc/%zz`, "bad percent-encoding"],
    [`spiffe://${td}/ap/east/agent/server/dc/dc1`, "partition on a server"],
    ["spiffe:///ns/default/dc/dc1/svc/web", "no trust domain"],
    ["spiffe://nodot", "signing identity without a dot"]
  ])("refuses %j: %s", (uri) => {
    assert.isTrue(Result.isFailure(SpiffeId.parse(uri)))
  })

  it("decodes segments after splitting, so an encoded slash stays inside a name", () => {
    const id = Result.getOrThrow(SpiffeId.parse(`spiffe://${td}/ns/default/dc/dc1/svc/a%2Fb`))
    assert.strictEqual(id._tag === "Service" && id.service, "a/b")
  })

  it("shows names as people know them", () => {
    const web = { trustDomain: td, datacenter: "dc1", service: "web" }
    assert.strictEqual(SpiffeId.display(SpiffeId.service(web)), "web")
    assert.strictEqual(SpiffeId.display(SpiffeId.service({ ...web, namespace: "team" })), "team/web")
    assert.strictEqual(SpiffeId.display(SpiffeId.service({ ...web, partition: "east" })), "east/default/web")
  })
})
