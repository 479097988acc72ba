import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import * as SpiffeRules from "../../src/tls/SpiffeRules.ts"
import { service, trustDomain } from "../support/certificates.ts"

const web = SpiffeId.format(service("web"))

const judge = (certificate: Partial<Parameters<typeof SpiffeRules.leaf>[0]>) =>
  Result.match(SpiffeRules.leaf({ uris: [web], isCa: false, maySign: false, ...certificate }), {
    onFailure: Refusal.reason,
    onSuccess: SpiffeId.display
  })

describe("a leaf", () => {
  it.each([
    ["names a service", {}, "web"],
    ["without a URI names nobody", { uris: [] }, "no_identity"],
    ["with two names nobody", { uris: [web, web] }, "several_identities"],
    ["of another scheme names nobody", { uris: ["https://web.example"] }, "invalid_identity"],
    ["of no known form names nobody", { uris: [`spiffe://${trustDomain}/web`] }, "invalid_identity"],
    ["of an agent is no service's", { uris: [`spiffe://${trustDomain}/agent/client/dc/dc1/id/node`] }, "not_a_service"],
    ["of a gateway is no service's", { uris: [`spiffe://${trustDomain}/gateway/mesh/dc/dc1`] }, "not_a_service"],
    ["of the authority itself is no service's", { uris: [`spiffe://${trustDomain}`] }, "not_a_service"],
    ["is not an authority's", { isCa: true }, "authority_as_leaf"],
    ["signs nothing", { maySign: true }, "authority_as_leaf"]
  ])("%s", (_, certificate, expected) => assert.strictEqual(judge(certificate), expected))

  it.prop(
    "names nobody as soon as it has a second URI",
    { others: Schema.NonEmptyArray(Schema.String), first: Schema.Boolean },
    ({ first, others }) =>
      assert.strictEqual(judge({ uris: first ? [web, ...others] : [...others, web] }), "several_identities")
  )
})

describe("an authority", () => {
  it.each([
    ["without a URI", [], undefined],
    ["of the trust domain", [`spiffe://${trustDomain}`], undefined],
    ["of the trust domain in other letters", [`spiffe://${trustDomain.toUpperCase()}`], undefined],
    [
      "of another trust domain",
      ["spiffe://other.consul"],
      `is one of spiffe://other.consul, and may not issue for ${trustDomain}`
    ],
    ["with a path", [web], `has the URI "${web}", which names no trust domain`],
    ["of another scheme", ["https://pki.example"], "has the URI \"https://pki.example\", which names no trust domain"],
    ["with several", [`spiffe://${trustDomain}`, "a:b"], "has 2 URIs, where SPIFFE allows one"]
  ])(
    "%s is judged by it",
    (_, uris, expected) => assert.strictEqual(SpiffeRules.fault({ uris }, trustDomain), expected)
  )
})
