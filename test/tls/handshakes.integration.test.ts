/** Certificates of every kind through real handshakes, in both roles. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import type * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as x509 from "../../src/identity/x509.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import type * as SpiffeRules from "../../src/tls/SpiffeRules.ts"
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
import { admit, policy } from "../support/mesh.ts"

const name = Result.match({ onFailure: Refusal.reason, onSuccess: () => "accepted" })

/** How a peer with this certificate fares with a side that trusts `roots`: first as a caller, then when called. */
const outcomes = Effect.fnUntraced(function*(
  peer: Issued,
  roots: TrustBundle.TrustBundle,
  spiffe?: SpiffeRules.Extent
) {
  const own = yield* Effect.promise(async () => issue(await root("somebody")))
  const other = material(peer, roots)
  const self = material(own, roots, spiffe)
  const called = yield* handshake(other, self)
  const calling = yield* handshake(self, other)
  return [
    name(admit(called.client, policy("api", { web: "allow" }), self)),
    name(PeerVerification.dialler(calling.server, service("web"), self))
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

  scenario("is refused with several URIs", ["several_identities", "several_identities"], async () => {
    const ca = await root("ca")
    return [
      await issue(ca, { uris: [SpiffeId.format(service("web")), SpiffeId.format(service("batch"))] }),
      bundle(ca)
    ]
  })

  scenario("is accepted with other names beside its URI", ["accepted", "accepted"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { dns: ["web.example"] }), bundle(ca)]
  })

  scenario("is refused when it is one of an authority", ["authority_as_leaf", "authority_as_leaf"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { isCa: true }), bundle(ca)]
  })

  scenario("is refused when it may sign others", ["authority_as_leaf", "authority_as_leaf"], async () => {
    const ca = await root("ca")
    const keyUsage = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign
    return [await issue(ca, { keyUsage }), bundle(ca)]
  })

  scenario("is refused when it may sign revocations", ["authority_as_leaf", "authority_as_leaf"], async () => {
    const ca = await root("ca")
    const keyUsage = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.cRLSign
    return [await issue(ca, { keyUsage }), bundle(ca)]
  })

  scenario("is accepted without a key usage, as Consul does", ["accepted", "accepted"], async () => {
    const ca = await root("ca")
    return [await issue(ca, { keyUsage: "none" }), bundle(ca)]
  })

  scenario("can not smuggle a URI in by a DNS name", ["denied", "unexpected_identity"], async () => {
    const ca = await root("ca")
    const forged = `x, URI:${SpiffeId.format(service("web"))}`
    return [await issue(ca, { dns: [forged], uris: [SpiffeId.format(service("batch"))] }), bundle(ca)]
  })
})

/** What holds where SPIFFE's rules are for leaves only, beside what holds by default. */
const authorities = (
  title: string,
  expected: { readonly strict: string; readonly leaf: string },
  make: () => Promise<readonly [Issued, TrustBundle.TrustBundle]>
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const [peer, roots] = yield* Effect.promise(make)
      for (const spiffe of ["strict", "leaf"] as const) {
        assert.deepStrictEqual(yield* outcomes(peer, roots, spiffe), [expected[spiffe], expected[spiffe]], spiffe)
      }
    }))

const own = `spiffe://${trustDomain}`
const everywhere = { strict: "accepted", leaf: "accepted" }
const leafOnly = { strict: "foreign_authority", leaf: "accepted" }

describe("the authorities above a certificate", () => {
  authorities("may have the id of the trust domain, or none", everywhere, async () => {
    const ca = await root("ca", { uris: [own.toUpperCase().replace("SPIFFE", "spiffe")] })
    const one = await intermediate(ca, "one", { uris: [own] })
    const two = await intermediate(one, "two")
    return [await issue(two, { intermediates: [two, one] }), bundle(ca)]
  })

  authorities("may not be of another trust domain", leafOnly, async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { uris: ["spiffe://other.consul"] })
    return [await issue(one, { intermediates: [one] }), bundle(ca)]
  })

  authorities("may not be of another trust domain further up", leafOnly, async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { uris: ["spiffe://other.consul"] })
    const two = await intermediate(one, "two", { uris: [own] })
    return [await issue(two, { intermediates: [two, one] }), bundle(ca)]
  })

  authorities("may not be of another trust domain at the root", leafOnly, async () => {
    const ca = await root("ca", { uris: ["spiffe://other.consul"] })
    return [await issue(ca), bundle(ca)]
  })

  authorities("may not have the id of a service", leafOnly, async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { uris: [SpiffeId.format(service("web"))] })
    return [await issue(one, { intermediates: [one] }), bundle(ca)]
  })

  authorities("may not have a URI that is no SPIFFE id", leafOnly, async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { uris: ["https://pki.example/ca"] })
    return [await issue(one, { intermediates: [one] }), bundle(ca)]
  })

  authorities("may not have several URIs", leafOnly, async () => {
    const ca = await root("ca")
    const one = await intermediate(ca, "one", { uris: [own, "https://pki.example/ca"] })
    return [await issue(one, { intermediates: [one] }), bundle(ca)]
  })

  scenario("may not issue for another trust domain than theirs", [
    "foreign_authority",
    "foreign_authority"
  ], async () => {
    const ca = await root("ca", { uris: [own] })
    return [await issue(ca, { uris: ["spiffe://other.consul/ns/default/dc/dc1/svc/web"] }), bundle(ca)]
  })

  authorities("do not matter beside the path", everywhere, async () => {
    const [ca, stranger] = [await root("ca"), await root("stranger", { uris: ["spiffe://other.consul"] })]
    return [await issue(ca, { intermediates: [stranger] }), bundle(ca)]
  })

  authorities("may be replaced by a path of better ones", everywhere, async () => {
    // The cross-signed certificate of a rotation, whose issuer is no root any more.
    const [old, next] = [await root("old", { uris: ["spiffe://other.consul"] }), await root("new", { uris: [own] })]
    return [await issue(next, { intermediates: [await crossSign(old, next, { uris: [own] })] }), bundle(next)]
  })

  authorities("can not hide behind one that looks the same", leafOnly, async () => {
    const ca = await root("ca")
    const foreign = await intermediate(ca, "one", { uris: ["spiffe://other.consul"] })
    // Same name, same key, a better story. OpenSSL passes over it, as it has expired; Node goes by names alone.
    const expired = { notBefore: -2 * hour, notAfter: -hour }
    const decoy = await intermediate(ca, "one", { uris: [own], keys: foreign.keys, ...expired })
    return [await issue(foreign, { intermediates: [decoy, foreign] }), bundle(ca)]
  })
})
