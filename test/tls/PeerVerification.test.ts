import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import { service, trustDomain } from "../support/certificates.ts"
import { policy } from "../support/mesh.ts"

const web = SpiffeId.format(service("web"))

const presented = (overrides: Partial<PeerVerification.Presented> = {}): PeerVerification.Presented => ({
  certificate: { subjectAltName: `URI:${web}` },
  pathError: undefined,
  resumed: false,
  ...overrides
})

const withUri = (uri: string) => presented({ certificate: { subjectAltName: `URI:${uri}` } })

/** `web`, or the reason. */
const verdict = (result: Result.Result<{ readonly caller: SpiffeId.Service } | SpiffeId.Service, Refusal.Refusal>) =>
  Result.match(result, {
    onFailure: Refusal.reason,
    onSuccess: (it) => SpiffeId.display("caller" in it ? it.caller : it)
  })

const accept = (peer: PeerVerification.Presented, subordinateAnchors = false) =>
  verdict(PeerVerification.acceptor(peer, policy("api", { web: "allow" }), subordinateAnchors))

describe("PeerVerification", () => {
  it.each([
    ["a caller that an intention allows", presented(), "web"],
    ["one that no intention covers", withUri(SpiffeId.format(service("batch"))), "denied"],
    ["one of another trust domain", withUri("spiffe://other.consul/ns/default/dc/dc1/svc/web"), "denied"],
    ["one without a certificate", presented({ certificate: undefined }), "no_certificate"],
    ["one without a URI", presented({ certificate: { subjectAltName: "DNS:web" } }), "no_identity"],
    ["one without any name", presented({ certificate: { subjectAltName: undefined } }), "no_identity"],
    ["one whose URI is of another scheme", withUri("https://web.example"), "invalid_identity"],
    ["one whose path is of no known form", withUri(`spiffe://${trustDomain}/web`), "invalid_identity"],
    ["an agent", withUri(`spiffe://${trustDomain}/agent/client/dc/dc1/id/node`), "not_a_service"],
    ["a gateway", withUri(`spiffe://${trustDomain}/gateway/mesh/dc/dc1`), "not_a_service"],
    ["the authority itself", withUri(`spiffe://${trustDomain}`), "not_a_service"],
    ["a resumed session", presented({ resumed: true }), "resumed"],
    ["an expired path", presented({ pathError: "CERT_HAS_EXPIRED" }), "certificate_expired"],
    ["one that is not valid yet", presented({ pathError: "CERT_NOT_YET_VALID" }), "certificate_not_yet_valid"],
    ["one of an unknown authority", presented({ pathError: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }), "unknown_authority"],
    ["one for another purpose", presented({ pathError: "INVALID_PURPOSE" }), "wrong_purpose"],
    ["a path with any other fault", presented({ pathError: "PATH_LENGTH_EXCEEDED" }), "invalid_path"]
  ])("accepts or refuses %s", (_, peer, expected) => assert.strictEqual(accept(peer), expected))

  it("ends a path at an anchor that is not self-signed only where there is one", () => {
    const peer = presented({ pathError: "UNABLE_TO_GET_ISSUER_CERT" })
    assert.deepStrictEqual([accept(peer, false), accept(peer, true)], ["unknown_authority", "web"])
    assert.strictEqual(accept(presented({ pathError: "CERT_HAS_EXPIRED" }), true), "certificate_expired")
  })

  it("says which intention denied", () => {
    const result = PeerVerification.acceptor(presented(), policy("api", { web: "deny" }, "allow"), false)
    assert.strictEqual(
      Result.isFailure(result) && Refusal.explain(result.failure),
      "web denied by intention web → api (precedence 9)"
    )
  })

  it.each([
    ["the service that was meant", service("web"), "web"],
    ["another service", service("api"), "unexpected_identity"],
    ["another datacenter", { ...service("web"), datacenter: "dc2" }, "unexpected_identity"],
    ["another namespace", { ...service("web"), namespace: "team" }, "unexpected_identity"],
    ["another trust domain", { ...service("web"), trustDomain: "other.consul" }, "unexpected_identity"]
  ])(
    "dials %s",
    (_, expected, outcome) => assert.strictEqual(verdict(PeerVerification.dialler(presented(), expected)), outcome)
  )

  it.each([
    ["URI:spiffe://a/b", "spiffe://a/b"],
    ["DNS:web, IP Address:10.0.0.1, URI:spiffe://a/b, URI:spiffe://c/d", "spiffe://a/b"],
    ["DNS:\"x, URI:spiffe://forged\", URI:spiffe://a/b", "spiffe://a/b"],
    ["URI:\"spiffe://a/b, c\"", "spiffe://a/b, c"],
    ["DNS:\"x\\\", URI:spiffe://forged\"", undefined],
    ["DNS:web", undefined],
    ["", undefined],
    ["URI:\"broken", undefined],
    ["nonsense, URI:spiffe://a/b", undefined],
    [undefined, undefined]
  ])("reads the first URI of %s", (text, uri) => assert.strictEqual(PeerVerification.firstUri(text), uri))

  it.prop("never takes a part of another name for a URI", { name: Schema.String }, ({ name }) => {
    const quoted = /^[^",]*$/.test(name) ? name : JSON.stringify(name)
    assert.strictEqual(PeerVerification.firstUri(`DNS:${quoted}, URI:spiffe://a/b`), "spiffe://a/b")
  })
})
