import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as MeshUrl from "../../src/outbound/MeshUrl.ts"

const service = (service: string, scope: { readonly subset?: string; readonly datacenter?: string } = {}) => ({
  _tag: "Service" as const,
  service,
  ...scope
})
const query = (query: string, scope: { readonly datacenter?: string } = {}) => ({
  _tag: "Query" as const,
  query,
  ...scope
})

// Words of the grammar among them, as a name may be one.
const Label = Schema.Literals(["api", "v2", "dc2", "default", "a-b", "x_y", "ns", "dc"])
const Kind = Schema.Literals(["service", "connect", "virtual"])
const Extra = Schema.Literals(["", ".default.ns", ".default.ap", ".default.ns.default.ap"])

describe("MeshUrl", () => {
  it.each([
    ["api", service("api")],
    ["api.", service("api")],
    ["api.service.consul", service("api")],
    ["api.service.consul.", service("api")],
    ["api.connect.consul", service("api")],
    ["api.virtual.consul", service("api")],
    ["service.service.consul", service("service")],
    ["api.service.dc2.consul", service("api", { datacenter: "dc2" })],
    ["api.service.dc2.dc.consul", service("api", { datacenter: "dc2" })],
    ["api.service.default.dc2.consul", service("api", { datacenter: "dc2" })],
    ["api.service.default.ns.consul", service("api")],
    ["api.service.default.ns.default.ap.dc2.dc.consul", service("api", { datacenter: "dc2" })],
    ["v2.api.service.consul", service("api", { subset: "v2" })],
    ["v2.api.service.dc2.consul", service("api", { subset: "v2", datacenter: "dc2" })],
    ["geo.query.consul", query("geo")],
    ["geo.db.query.consul", query("geo.db")],
    ["geo.query.dc2.consul", query("geo", { datacenter: "dc2" })],
    ["geo.query.dc2.dc.consul", query("geo", { datacenter: "dc2" })]
  ])("reads %s", (host, name) => assert.deepStrictEqual(MeshUrl.parse(host), Result.succeed(name)))

  it.each([
    ["", /no name/],
    ["[::1]", /no name/],
    ["api..service.consul", /no name/],
    ["127.0.0.1", /option resolve/],
    ["api.service", /option resolve/],
    ["api.consul", /option resolve/],
    ["service.consul", /option resolve/],
    ["api.service.example.com", /option resolve/],
    ["a.v2.api.service.consul", /one label before/],
    ["_api._tcp.service.consul", /SRV/],
    ["geo._tcp.query.consul", /SRV/],
    ["api.service.team.dc2.consul", /namespaces/],
    ["api.service.team.ns.consul", /namespaces/],
    ["api.service.east.peer.consul", /peers/],
    ["api.service.east.sg.consul", /sameness/],
    ["api.service.dc1.dc.dc2.dc.consul", /names are as in/],
    ["api.service.a.b.c.consul", /names are as in/]
  ])("refuses %s, and says why", (host, why) => assert.match(Result.getOrThrow(Result.flip(MeshUrl.parse(host))), why))

  it.prop(
    "reads every form of the name of a service as the same service",
    { name: Label, datacenter: Label, kind: Kind, extra: Extra },
    ({ datacenter, extra, kind, name }) => {
      assert.deepStrictEqual(MeshUrl.parse(`${name}.${kind}${extra}.consul`), Result.succeed(service(name)))
      for (
        const host of [
          `${name}.${kind}.${datacenter}.dc${extra}.consul`,
          `${name}.${kind}${extra}.${datacenter}.dc.consul`
        ]
      ) {
        assert.deepStrictEqual(MeshUrl.parse(host), Result.succeed(service(name, { datacenter })))
      }
    }
  )

  it.prop(
    "has the subset in front of the service, whatever follows",
    { name: Label, subset: Label, kind: Kind, extra: Extra },
    ({ extra, kind, name, subset }) =>
      assert.deepStrictEqual(
        MeshUrl.parse(`${subset}.${name}.${kind}${extra}.consul`),
        Result.succeed(service(name, { subset }))
      )
  )

  it.prop("reads names with dots outside of .consul as nothing", { host: Schema.String }, ({ host }) => {
    if (/\.(?!$)/.test(host) && !/\.consul\.?$/.test(host)) assert.isTrue(Result.isFailure(MeshUrl.parse(host)))
  })
})
