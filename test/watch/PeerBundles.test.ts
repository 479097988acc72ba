import { assert, describe, it } from "@effect/vitest"
import * as PeeringApi from "../../src/consul/PeeringApi.ts"
import * as PeerBundles from "../../src/watch/PeerBundles.ts"
import { root } from "../support/certificates.ts"

const first = await root("first", { uris: ["spiffe://east.consul"] })
const second = await root("second", { uris: ["spiffe://EAST.consul"] })
const other = await root("other", { uris: ["spiffe://west.consul"] })
const silent = await root("silent")
const service = await root("service", { uris: ["spiffe://east.consul/ns/default/dc/dc1/svc/web"] })

const known = (pems: ReadonlyArray<string>, State = "ACTIVE") => {
  const bundle = PeerBundles.ofPeerings([PeeringApi.Peering.make({ Name: "east", State, PeerCAPems: pems })]).get(
    "east"
  )
  return bundle === undefined ? "nobody" : `${bundle.roots.length} of ${bundle.trustDomain}`
}

describe("PeerBundles", () => {
  it("has the roots of a peer, all of those of a rotation", () => {
    assert.strictEqual(known([first.pem]), "1 of east.consul")
    assert.strictEqual(known([first.pem, second.pem]), "2 of east.consul")
    assert.strictEqual(known([first.pem], "PENDING"), "1 of east.consul")
  })

  it.each([
    ["there are none", []],
    ["one does not say whose it is", [first.pem, silent.pem]],
    ["one says that it is a service", [service.pem]],
    ["they are of several trust domains", [first.pem, other.pem]],
    ["one cannot be read", [first.pem, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]]
  ])("trusts nobody where %s", (_, pems) => assert.strictEqual(known(pems), "nobody"))

  it.each(["DELETING", "TERMINATED"])("trusts nobody of a peering that is %s", (state) => {
    assert.strictEqual(known([first.pem], state), "nobody")
  })
})
