import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import * as Certificate from "../../src/identity/Certificate.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as TrustBundle from "../../src/identity/TrustBundle.ts"

/** Answers of a real agent. */
const recorded = JSON.parse(
  readFileSync(new URL("../fixtures/consul-1.10/ca.json", import.meta.url), "utf8")
) as { exchanges: ReadonlyArray<{ body: Record<string, unknown> }> }
interface Json {
  readonly [key: string]: string
}
const rootJson = (recorded.exchanges[0]!.body["Roots"] as ReadonlyArray<Json>)[0]!
const leafJson = recorded.exchanges[3]!.body as Record<string, string>

describe("Certificate", () => {
  it("reads a leaf that a real agent issued", () => {
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.strictEqual(leaf.serial, leafJson["SerialNumber"])
    assert.strictEqual(leaf.uris.join(), leafJson["ServiceURI"])
    assert.strictEqual(SpiffeId.format(Result.getOrThrow(Certificate.identity(leaf))), leafJson["ServiceURI"])
    assert.strictEqual(leaf.notBefore.toISOString().replace(".000", ""), leafJson["ValidAfter"])
    assert.strictEqual(leaf.notAfter.toISOString().replace(".000", ""), leafJson["ValidBefore"])
    assert.deepStrictEqual(leaf.key, { _tag: "Ec", curve: "P-256" })
    assert.isFalse(leaf.isCa)
  })

  it("reads a root, and finds that it signed the leaf by their key ids", () => {
    const root = Result.getOrThrow(Certificate.parse(rootJson["RootCert"]!, "the root"))
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.isTrue(root.isCa)
    assert.strictEqual(root.subjectKeyId, Certificate.normalHex(rootJson["SigningKeyID"]!))
    assert.strictEqual(leaf.authorityKeyId, root.subjectKeyId)
    assert.strictEqual(Result.getOrThrow(Certificate.identity(root))._tag, "Signing")
  })

  it("is valid from its first to its last moment", () => {
    const leaf = Result.getOrThrow(Certificate.parse(leafJson["CertPEM"]!, "the leaf"))
    assert.isTrue(Certificate.isValidAt(leaf, leaf.notBefore.getTime()))
    assert.isTrue(Certificate.isValidAt(leaf, leaf.notAfter.getTime()))
    assert.isFalse(Certificate.isValidAt(leaf, leaf.notBefore.getTime() - 1))
    assert.isFalse(Certificate.isValidAt(leaf, leaf.notAfter.getTime() + 1))
  })

  it.each([
    ["", "it contains no PEM block of type CERTIFICATE"],
    ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate 1 is malformed"],
    [
      `${rootJson["RootCert"]}\n-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----`,
      "certificate 2 is malformed"
    ]
  ])("says what is wrong with a text that cannot be read", (pem, why) => {
    const result = Certificate.parseAll(pem, "the bundle")
    assert.strictEqual(Result.isFailure(result) && result.failure.message, `cannot read the bundle: ${why}`)
  })
})

describe("TrustBundle", () => {
  it("names the root that cannot be read", () => {
    const result = TrustBundle.root({ id: "c7", name: "East", rootCert: "", intermediateCerts: [], active: true })
    assert.match(Result.isFailure(result) ? result.failure.message : "", /the CA root East/)
  })
})
