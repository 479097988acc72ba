import { assert, describe, it } from "@effect/vitest"
import { Result, type Schema } from "effect"
import * as SubsetRoute from "../../src/watch/SubsetRoute.ts"

const resolver = (Name: string, rest: Schema.JsonObject) => ({ Kind: "service-resolver", Name, ...rest })
const v1 = { Filter: "Service.Meta.version == 1" }
const v2 = { Filter: "Service.Meta.version == 2", OnlyPassing: true }

const route = (
  entries: ReadonlyArray<ReturnType<typeof resolver>>,
  request: Omit<SubsetRoute.Request, "service"> & { readonly service?: string }
) => SubsetRoute.of(SubsetRoute.resolvers(entries), { service: "api", ...request })

const targets = (...all: Parameters<typeof route>) =>
  Result.getOrThrow(route(...all)).targets.map(({ datacenter, filter, onlyPassing, service }) =>
    [service, datacenter, filter, ...(onlyPassing ? ["passing"] : [])].join(" ")
  )

const failure = (...all: Parameters<typeof route>) => Result.getOrThrow(Result.flip(route(...all)))

describe("SubsetRoute", () => {
  it("is the filter that the resolver has for the subset, where the caller says", () => {
    const entries = [resolver("API", { Subsets: { v1, v2 }, ConnectTimeout: "3s" })]
    assert.deepStrictEqual(targets(entries, { subset: "v1" }), ["api  Service.Meta.version == 1"])
    assert.deepStrictEqual(targets(entries, { subset: "v2", datacenter: "dc2" }), [
      "api dc2 Service.Meta.version == 2 passing"
    ])
    assert.strictEqual(Result.getOrThrow(route(entries, { subset: "v1" })).connectTimeoutMillis, 3000)
    assert.strictEqual(
      Result.getOrThrow(route(entries, { subset: "v1", connectTimeoutMillis: 7 })).connectTimeoutMillis,
      7
    )
  })

  it("balances as the resolver says", () => {
    const entries = [resolver("api", { Subsets: { v1 }, LoadBalancer: { Policy: "random" } })]
    assert.deepStrictEqual(Result.getOrThrow(route(entries, { subset: "v1" })).balancing?.policy, { _tag: "random" })
  })

  it("fails over as is said for the subset, else for all", () => {
    const Subsets = { v1, v2 }
    const toBackup = [
      resolver("api", { Subsets, Failover: { v2: { Service: "backup" }, "*": { ServiceSubset: "v1" } } })
    ]
    assert.deepStrictEqual(targets(toBackup, { subset: "v2", datacenter: "dc1" }).slice(1), ["backup dc1 "])
    const toDatacenters = [resolver("api", { Subsets, Failover: { "*": { Datacenters: ["dc2", "dc1", "dc2"] } } })]
    assert.deepStrictEqual(targets(toDatacenters, { subset: "v1", datacenter: "dc1" }), [
      "api dc1 Service.Meta.version == 1",
      "api dc2 Service.Meta.version == 1"
    ])
    const toTargets = [
      resolver("api", { Subsets, Failover: { v1: { Targets: [{ Peer: "east" }, { Service: "old" }] } } }),
      resolver("old", { Redirect: { Service: "backup", Datacenter: "dc3" } }),
      resolver("backup", { DefaultSubset: "good", Subsets: { good: { Filter: "good" } } })
    ]
    assert.deepStrictEqual(targets(toTargets, { subset: "v1", datacenter: "dc1" }).slice(1), ["backup dc3 good"])
  })

  it("follows a redirect, which leaves the subset behind unless it names one", () => {
    const other = resolver("other", { Subsets: { v1 } })
    assert.deepStrictEqual(
      targets([resolver("api", { Redirect: { Service: "other" } }), other], { subset: "v1" }),
      ["other  "]
    )
    assert.deepStrictEqual(
      targets([resolver("api", { Redirect: { Service: "other", ServiceSubset: "v1" } }), other], { subset: "v9" }),
      ["other  Service.Meta.version == 1"]
    )
  })

  it("is none where the resolver does not have it, and says which there are", () => {
    assert.strictEqual(
      failure([resolver("api", { Subsets: { v1, v2 } })], { subset: "v3" }),
      "api has no subset v3 (but v1, v2): define it in the service-resolver of api, and let the token read that"
    )
    assert.match(failure([], { subset: "v1" }), /^api has no subset v1: define it/)
    assert.match(failure([resolver("api", { Subsets: {} })], { subset: "toString" }), /no subset toString/)
  })

  it("is none where redirects go in a circle or to a peer", () => {
    const circle = [
      resolver("api", { Redirect: { Service: "other" } }),
      resolver("other", { Redirect: { Service: "api" } })
    ]
    assert.match(failure(circle, { subset: "v1" }), /circle/)
    assert.match(
      failure([resolver("api", { Redirect: { Service: "x", Peer: "east" } })], { subset: "v1" }),
      /peer east/
    )
  })
})
