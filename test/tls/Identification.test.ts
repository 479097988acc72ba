import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Identification from "../../src/tls/Identification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import { type Authority, bundle, intermediate, issue, root, trustDomain } from "../support/certificates.ts"

const own = { uris: [`spiffe://${trustDomain}`] }
const hour = 3_600_000
const ca = await root("ca", own)
const signing = await intermediate(ca, "signing", own)
const native = ({ certPem }: { readonly certPem: string }) => new X509Certificate(certPem)
const authorities = (...sent: ReadonlyArray<Authority>) => () => sent.map(({ pem }) => new X509Certificate(pem))
const leaf = native(await issue(signing))

const make = (extent?: "leaf") => Identification.make(bundle(ca).roots, extent ?? "strict")
const identify = (sent: () => ReadonlyArray<X509Certificate>, identification = make()) =>
  Result.match(identification.identify(leaf, sent), { onFailure: Refusal.reason, onSuccess: SpiffeId.display })

describe("Identification", () => {
  it("finds a path among what was sent, in whatever order", async () => {
    const [stranger, top] = [await root("stranger"), await intermediate(ca, "top")]
    const below = await intermediate(top, "below", own)
    const deep = native(await issue(below))
    const found = make().identify(deep, authorities(stranger, below, top))
    assert.isTrue(Result.isSuccess(found))
    assert.strictEqual(identify(authorities(stranger, signing)), "web")
  })

  it("follows signatures, not names", async () => {
    const { privateKey } = (await root("ca")).keys
    // As the root would write it in every respect but the signature.
    const forger = { ...ca, keys: { ...ca.keys, privateKey } }
    const forged = await intermediate(forger, "signing", { ...own, keys: signing.keys })
    assert.strictEqual(identify(authorities(forged)), "foreign_authority")
    assert.strictEqual(identify(authorities(forged, signing)), "web")
  })

  it("passes over authorities that have expired", async () => {
    const expired = await intermediate(ca, "signing", {
      ...own,
      keys: signing.keys,
      notBefore: -2 * hour,
      notAfter: -hour
    })
    assert.strictEqual(identify(authorities(expired)), "foreign_authority")
  })

  it("looks at the authorities of a certificate once, and again until a path was found", () => {
    const identification = make()
    let asked = 0
    const sent = (...those: ReadonlyArray<Authority>) => () => {
      asked++
      return authorities(...those)()
    }
    assert.strictEqual(identify(sent(), identification), "foreign_authority")
    assert.strictEqual(identify(sent(signing), identification), "web")
    assert.strictEqual(identify(sent(), identification), "web")
    assert.strictEqual(asked, 2)
  })

  it("does not look at them at all where only leaves have to follow SPIFFE", () =>
    assert.strictEqual(
      identify(() => {
        throw new Error("it did")
      }, make("leaf")),
      "web"
    ))

  it("gives up on a peer that sends many that could be meant", async () => {
    const forger = await root("ca", own)
    const many = await Promise.all(
      Array.from({ length: 40 }, () => intermediate(forger, "signing", { ...own, keys: signing.keys }))
    )
    assert.strictEqual(identify(authorities(...many, signing)), "foreign_authority")
  })
})
