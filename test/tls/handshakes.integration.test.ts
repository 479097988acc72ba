/** Certificates of every kind through real handshakes, in both roles. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import type * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import {
  bundle,
  crossSign,
  intermediate,
  issue,
  type Issued,
  root,
  service,
  trustDomain
} from "../support/certificates.ts"
import { handshake, material } from "../support/handshake.ts"
import { policy } from "../support/mesh.ts"

const name = Result.match({ onFailure: Refusal.reason, onSuccess: () => "accepted" })

/** How a peer with this certificate fares with a side that trusts `roots`: first as a caller, then when called. */
const outcomes = Effect.fnUntraced(function*(peer: Issued, roots: TrustBundle.TrustBundle) {
  const own = yield* Effect.promise(async () => issue(await root("somebody")))
  const other = material(peer, roots)
  const self = material(own, roots)
  const called = yield* handshake(other, self)
  const calling = yield* handshake(self, other)
  return [
    name(PeerVerification.acceptor(called.client, policy("api", { web: "allow" }), self.subordinateAnchors)),
    name(PeerVerification.dialler(calling.server, service("web")))
  ]
})

const scenario = (
  title: string,
  expected: readonly [string, string],
  make: () => Promise<readonly [Issued, TrustBundle.TrustBundle]>
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const [peer, roots] = yield* Effect.promise(make)
      assert.deepStrictEqual(yield* outcomes(peer, roots), [...expected])
    }))

const hour = 3_600_000

describe("a peer's certificate", () => {
  scenario("is accepted under the root", ["accepted", "accepted"], async () => {
    const ca = await root("ca")
    return [await issue(ca), bundle(ca)]
  })

  scenario("is accepted through intermediates that were sent", ["accepted", "accepted"], async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one")
    const two = await intermediate(one, "two")
    return [await issue(two, { intermediates: [two, one] }), bundle(ca)]
  })

  scenario("is refused where an intermediate was not sent", ["unknown_authority", "unknown_authority"], async () => {
    const ca = await root("ca")
    return [await issue(await intermediate(ca, "one")), bundle(ca)]
  })

  scenario("is refused under another authority", ["unknown_authority", "unknown_authority"], async () => {
    const other = await root("ca")
    return [await issue(other, { intermediates: [other] }), bundle(await root("ca"))]
  })

  scenario("is refused when the intermediates of a root are all that vouches for it", [
    "unknown_authority",
    "unknown_authority"
  ], async () => {
    const ca = await root("ca")
    const stray = await intermediate(await root("elsewhere"), "stray")
    const trusted = bundle(ca)
    const listed = { ...trusted.roots[0], intermediates: bundle(stray).roots.map(({ certificate }) => certificate) }
    return [await issue(stray, { intermediates: [stray] }), { ...trusted, roots: [listed] }]
  })

  scenario("is accepted under any listed root, active or not", ["accepted", "accepted"], async () => {
    const [active, old] = [await root("new"), await root("old")]
    return [await issue(old), bundle(active, old)]
  })

  scenario("is accepted under a root that is not self-signed", ["accepted", "accepted"], async () => {
    const subordinate = await intermediate(await root("corporate"), "mesh")
    return [await issue(subordinate), bundle(subordinate)]
  })

  scenario(
    "is refused when expired, under such a root too",
    ["certificate_expired", "certificate_expired"],
    async () => {
      const subordinate = await intermediate(await root("corporate"), "mesh")
      return [await issue(subordinate, { notBefore: -hour, notAfter: -1000 }), bundle(subordinate)]
    }
  )

  scenario("is refused for its purpose, under such a root too", ["wrong_purpose", "accepted"], async () => {
    const subordinate = await intermediate(await root("corporate"), "mesh")
    return [await issue(subordinate, { usages: ["server"] }), bundle(subordinate)]
  })

  scenario("is refused above such a root", ["unknown_authority", "unknown_authority"], async () => {
    const corporate = await root("corporate")
    const subordinate = await intermediate(corporate, "mesh")
    return [await issue(corporate, { intermediates: [corporate] }), bundle(subordinate)]
  })

  scenario(
    "is accepted by who knows only the old root, through a cross-signed new one",
    ["accepted", "accepted"],
    async () => {
      const [old, next] = [await root("old"), await root("new")]
      return [await issue(next, { intermediates: [await crossSign(old, next)] }), bundle(old)]
    }
  )

  scenario("is accepted through the cross-signed one when the listed root of that name has expired", [
    "accepted",
    "accepted"
  ], async () => {
    const [old, next] = [await root("old"), await root("new", { notBefore: -2 * hour, notAfter: -hour })]
    return [await issue(next, { intermediates: [await crossSign(old, next)] }), bundle(next, old)]
  })

  scenario("is refused under an expired root", ["certificate_expired", "certificate_expired"], async () => {
    const ca = await root("ca", { notBefore: -2 * hour, notAfter: -hour })
    return [await issue(ca), bundle(ca)]
  })

  scenario("is refused under an expired intermediate", ["certificate_expired", "certificate_expired"], async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { notBefore: -2 * hour, notAfter: -hour })
    return [await issue(one, { intermediates: [one] }), bundle(ca)]
  })

  scenario("is refused when not valid yet", ["certificate_not_yet_valid", "certificate_not_yet_valid"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { notBefore: hour, notAfter: 2 * hour }), bundle(ca)]
  })

  scenario("is refused as a caller's when it is for servers only", ["wrong_purpose", "accepted"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { usages: ["server"] }), bundle(ca)]
  })

  scenario("is refused as a server's when it is for clients only", ["accepted", "wrong_purpose"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { usages: ["client"] }), bundle(ca)]
  })

  scenario("is accepted for both sides when it names no usage", ["accepted", "accepted"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { usages: "none" }), bundle(ca)]
  })

  scenario("is refused when its key may not sign handshakes", ["wrong_purpose", "wrong_purpose"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { keyUsage: 64 /* nonRepudiation */ >> 5 }), bundle(ca)]
  })

  scenario("is refused without a URI", ["no_identity", "no_identity"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { uris: [], dns: ["web"] }), bundle(ca)]
  })

  scenario("is refused for an agent", ["not_a_service", "not_a_service"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { uris: [`spiffe://${trustDomain}/agent/client/dc/dc1/id/node`] }), bundle(ca)]
  })

  scenario("is refused for a gateway", ["not_a_service", "not_a_service"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { uris: [`spiffe://${trustDomain}/gateway/mesh/dc/dc1`] }), bundle(ca)]
  })

  scenario("speaks for its first URI only", ["denied", "unexpected_identity"], async () => {
    const ca = await root("ca")
    return [
      await issue(ca, { uris: [SpiffeId.format(service("batch")), SpiffeId.format(service("web"))] }),
      bundle(ca)
    ]
  })

  scenario("can not smuggle a URI in by a DNS name", ["denied", "unexpected_identity"], async () => {
    const ca = await root("ca")
    const forged = `x, URI:${SpiffeId.format(service("web"))}`
    return [await issue(ca, { dns: [forged], uris: [SpiffeId.format(service("batch"))] }), bundle(ca)]
  })
})
