import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Identity from "../../../src/xds/read/Identity.ts"
import * as certificates from "../../support/certificates.ts"
import * as resources from "../../support/xdsResources.ts"

const context = Effect.promise(async () => {
  const old = await certificates.root("Old")
  const { authorities, issued } = await resources.identity("web", await certificates.root("New"))
  return {
    certificate: issued.chainPem,
    key: issued.keyPem,
    authorities: new Map([["", `${old.pem}${authorities}`]]),
    identities: [],
    sni: ""
  }
})

describe("Identity", () => {
  it.effect("knows the root that signs by the leaf that it has signed", () =>
    Effect.gen(function*() {
      const { leaf, roots } = yield* Effect.fromResult(Identity.of(yield* context))
      assert.deepStrictEqual(leaf.identity, certificates.service("web"))
      assert.strictEqual(roots.trustDomain, certificates.trustDomain)
      assert.deepStrictEqual(roots.roots.map(({ active, name }) => [name, active]), [["CN=Old", false], [
        "CN=New",
        true
      ]])
    }))

  it.effect("takes the root that has signed the leaf, not the one that vouches for that root", () =>
    Effect.gen(function*() {
      const given = yield* Effect.promise(async () => {
        const [old, fresh] = [await certificates.root("Old"), await certificates.root("New")]
        const issued = await certificates.issue(fresh, { intermediates: [await certificates.crossSign(old, fresh)] })
        const authorities = new Map([["", `${old.pem}${fresh.pem}`]])
        return { certificate: issued.chainPem, key: issued.keyPem, authorities, identities: [], sni: "" }
      })
      const { roots } = yield* Effect.fromResult(Identity.of(given))
      assert.deepStrictEqual(roots.roots.map(({ active, name }) => [name, active]), [["CN=Old", false], [
        "CN=New",
        true
      ]])
    }))

  it.effect("has no use for certificates that OpenSSL refuses, and does not fall over them", () =>
    Effect.gen(function*() {
      const good = yield* context
      const pem = [...good.authorities.values()][0]!
      const body = Buffer.from(pem.match(/-----BEGIN CERTIFICATE-----([^-]*)/)![1]!, "base64")
      const wrong: Array<boolean> = []
      for (let at = 0; at < body.length; at++) {
        const broken = Buffer.from(body)
        broken[at]! ^= 0x55
        const text = `-----BEGIN CERTIFICATE-----\n${broken.toString("base64")}\n-----END CERTIFICATE-----\n`
        wrong.push(Result.isFailure(Identity.of({ ...good, authorities: new Map([["", text]]) })))
      }
      assert.include(wrong, true)
    }))
})
