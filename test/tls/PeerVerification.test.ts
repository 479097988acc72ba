import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import { bundle, issue, root, service } from "../support/certificates.ts"
import { material } from "../support/handshake.ts"
import { admit, policy } from "../support/mesh.ts"

const ca = await root("ca")
const issued = await issue(ca)
const self = material(issued, bundle(ca))
const certificateOf = async (uri: string) => new X509Certificate((await issue(ca, { uris: [uri] })).certPem)
const web = new X509Certificate(issued.certPem)
const batch = await certificateOf(SpiffeId.format(service("batch")))
const stranger = await certificateOf("spiffe://other.consul/ns/default/dc/dc1/svc/web")

const presented = (overrides: Partial<PeerVerification.Presented> = {}): PeerVerification.Presented => ({
  certificate: web,
  authorities: () => [],
  pathError: undefined,
  resumed: false,
  ...overrides
})

/** `web`, or the reason. */
const verdict = (result: Result.Result<SpiffeId.Service, Refusal.Refusal>) =>
  Result.match(result, { onFailure: Refusal.reason, onSuccess: SpiffeId.display })

const accept = (peer: PeerVerification.Presented, subordinateAnchors = false) =>
  verdict(admit(peer, policy("api", { web: "allow" }), { ...self, subordinateAnchors }))

describe("PeerVerification", () => {
  it.each([
    ["a caller that an intention allows", presented(), "web"],
    ["one that no intention covers", presented({ certificate: batch }), "denied"],
    ["one of another trust domain", presented({ certificate: stranger }), "denied"],
    ["one without a certificate", presented({ certificate: undefined }), "no_certificate"],
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
    const result = admit(presented(), policy("api", { web: "deny" }, "allow"), self)
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
    (_, expected, outcome) =>
      assert.strictEqual(verdict(PeerVerification.dialler(presented(), expected, self)), outcome)
  )

  it("judges the path of each connection, also for a certificate that it knows", () => {
    assert.strictEqual(accept(presented()), "web")
    assert.strictEqual(accept(presented({ pathError: "CERT_HAS_EXPIRED" })), "certificate_expired")
  })
})
