import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Requests from "../../../src/agent/ca/Requests.ts"
import * as Authority from "../../support/authority.ts"
import * as Certificates from "../../support/certificates.ts"
import { folder } from "../../support/temporary.ts"

const trustDomain = `spiffe://${Certificates.trustDomain}`

/** An authority of a company, as somebody hands it over, and the files that it stands in. */
const company = Effect.fnUntraced(function*(options: Certificates.AuthorityOptions = {}) {
  const path = yield* folder
  const root = yield* Effect.promise(() => Certificates.root("Company"))
  const division = yield* Effect.promise(() => Certificates.intermediate(root, "Division"))
  const config = {
    CertFile: join(path, "mesh.pem"),
    KeyFile: join(path, "mesh.key"),
    ChainFile: join(path, "chain.pem")
  }
  const write = Effect.fnUntraced(function*(options: Certificates.AuthorityOptions) {
    const mesh = yield* Effect.promise(() => Certificates.intermediate(division, "Mesh", options))
    writeFileSync(config.CertFile, mesh.pem)
    writeFileSync(config.KeyFile, yield* Effect.promise(() => Certificates.keyToPem(mesh.keys.privateKey)))
    // The order does not matter.
    writeFileSync(config.ChainFile, root.pem + division.pem)
    return mesh
  })
  return { root, division, mesh: yield* write(options), config, write: (options = {}) => write(options) }
})

describe("the provider files", () => {
  it.live("signs with what it is given, and is vouched for by the root before", () =>
    Effect.gen(function*() {
      const { config, division, mesh, root } = yield* company({ uris: [trustDomain] })
      const { chain, roots } = yield* Authority.make()
      const [builtIn] = roots.list().Roots
      assert.isDefined(builtIn)
      yield* roots.configure({ Provider: "files", Config: config })
      const leaf = yield* chain("web")
      assert.isUndefined(Authority.refusal(leaf, [root.pem]))
      assert.isUndefined(Authority.refusal(leaf, [builtIn.RootCert]))
      const listed = roots.list()
      assert.deepStrictEqual(listed.Roots.map(({ Active, Name }) => [Name, Active]), [
        ["Consul CA Primary Cert", false],
        ["Files CA Primary Cert", true]
      ])
      const active = listed.Roots[1]
      assert.strictEqual(active?.RootCert, root.pem)
      assert.deepStrictEqual(active?.IntermediateCerts.slice(1), [division.pem, mesh.pem])
      assert.strictEqual(roots.configuration().Provider, "files")
    }))

  it.live("vouches for the root after it", () =>
    Effect.gen(function*() {
      const { config, root } = yield* company()
      const { chain, roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      yield* roots.configure({ Provider: "consul" })
      const leaf = yield* chain("web")
      const active = roots.list().Roots.find(({ Active }) => Active)
      assert.strictEqual(active?.Name, "Consul CA Primary Cert")
      assert.isUndefined(Authority.refusal(leaf, [active?.RootCert ?? ""]))
      assert.isUndefined(Authority.refusal(leaf, [root.pem]))
    }))

  it.live("cannot vouch for the next root with an authority that may sign leaves only", () =>
    Effect.gen(function*() {
      const { config, root } = yield* company({ pathLength: 0 })
      const { chain, roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      const refused = yield* Effect.flip(roots.configure({ Provider: "consul" }))
      assert.include(refused.body, "does not support cross-signing")
      assert.strictEqual(roots.configuration().Provider, "files")
      assert.isUndefined(Authority.refusal(yield* chain("web"), [root.pem]))
      const request = yield* Requests.forAuthority(Certificates.trustDomain, { type: "ec", bits: 256 })
      assert.include((yield* Effect.flip(roots.signIntermediate(request.csr))).message, "path length is 0")
      yield* roots.configure({ Provider: "consul", ForceWithoutCrossSigning: true })
      assert.isDefined(Authority.refusal(yield* chain("web"), [root.pem]))
    }))

  it.live("signs authorities of other datacenters, down from the company's root", () =>
    Effect.gen(function*() {
      const { config, division, mesh } = yield* company()
      const { roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      const request = yield* Requests.forAuthority(Certificates.trustDomain, { type: "ec", bits: 256 })
      const [signed, ...path] = yield* roots.signIntermediate(request.csr)
      assert.deepStrictEqual(path.slice(0, 2), [mesh.pem, division.pem])
      assert.isTrue(Authority.split(signed ?? "")[0]?.checkIssued(Authority.split(mesh.pem)[0]!))
    }))

  it.live("reads the files again when it rotates, and keeps the root that is still theirs", () =>
    Effect.gen(function*() {
      const { config, root, write } = yield* company()
      const { chain, roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      const before = roots.list()
      const next = yield* write()
      yield* roots.rotate({ crossSign: true })
      const leaf = yield* chain("web")
      assert.isTrue(leaf[0]?.checkIssued(Authority.split(next.pem)[0]!))
      assert.isUndefined(Authority.refusal(leaf, [root.pem]))
      assert.strictEqual(roots.list().ActiveRootID, before.ActiveRootID)
      assert.strictEqual(roots.list().Roots.length, before.Roots.length)
    }))

  it.effect("changes nothing where the files are as they were", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.now())
      const { config } = yield* company()
      const { roots, store } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      const before = store.index()
      yield* roots.rotate({ crossSign: true })
      yield* roots.rotate({ crossSign: true })
      assert.strictEqual(store.index(), before)
    }))

  it.effect("reads them again when half of the life of what signs is over, without being told", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.now())
      const { config, root, write } = yield* company()
      const { roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "files", Config: config })
      const before = roots.list()
      const next = yield* write({ notAfter: 120 * 60_000 })
      const signs = () => roots.list().Roots.find(({ Active }) => Active)?.IntermediateCerts.at(-1)
      yield* TestClock.adjust("29 minutes")
      assert.notStrictEqual(signs(), next.pem)
      yield* TestClock.adjust("2 minutes")
      // Files are read outside the test's clock.
      while (signs() !== next.pem) yield* Effect.promise(() => new Promise(setImmediate))
      assert.strictEqual(roots.list().ActiveRootID, before.ActiveRootID)
      assert.strictEqual(roots.list().Roots.find(({ Active }) => Active)?.RootCert, root.pem)
    }))

  it.live.each(
    [
      [
        "another's key",
        "KeyFile",
        "mesh.key",
        () => Certificates.root("Other"),
        "not the key of the first certificate"
      ],
      ["no key", "KeyFile", "mesh.key", undefined, "no private key that can be read"],
      ["half a chain", "CertFile", "chain.pem", undefined, "leads to no root"]
    ] as const
  )("refuses %s", ([, name, file, other, text]) =>
    Effect.gen(function*() {
      const { config } = yield* company()
      const path = config[name].replace(/[^/]+$/, file)
      const content = other === undefined
        ? ""
        : yield* Effect.promise(async () => Certificates.keyToPem((await other()).keys.privateKey))
      writeFileSync(path, content)
      const { roots } = yield* Authority.make()
      const before = roots.list()
      const refused = yield* Effect.flip(roots.configure({ Provider: "files", Config: config }))
      assert.include(refused.body, "error configuring provider: ")
      assert.include(refused.body, text)
      assert.deepStrictEqual(roots.list(), before)
    }))

  it.live.each(
    [
      [{ uris: ["spiffe://99999999-2222-3333-4444-555555555555.consul"] }, "may not issue for"],
      [{ uris: [`${trustDomain}/ns/default/dc/dc1/svc/web`] }, "SPIFFE allows the trust domain alone"],
      [{ notAfter: -1000 }, "is valid from"]
    ] as const
  )("refuses an authority whose leaves would be refused: %j", ([options, text]) =>
    Effect.gen(function*() {
      const { config } = yield* company(options)
      const { roots } = yield* Authority.make()
      const refused = yield* Effect.flip(roots.configure({ Provider: "files", Config: config }))
      assert.include(refused.body, text)
    }))

  it.live("says which file it misses", () =>
    Effect.gen(function*() {
      const { roots } = yield* Authority.make()
      const without = yield* Effect.flip(roots.configure({ Provider: "files" }))
      assert.include(without.body, "must provide CertFile")
      const gone = yield* Effect.flip(roots.configure({ Provider: "files", Config: { CertFile: "/nowhere.pem" } }))
      assert.include(gone.body, "CertFile /nowhere.pem cannot be read")
    }))
})

describe("the provider consul", () => {
  it.live("takes a root and its key from the configuration", () =>
    Effect.gen(function*() {
      const { chain, roots } = yield* Authority.make()
      const given = yield* Effect.promise(() => Certificates.root("Given", { uris: [trustDomain] }))
      const PrivateKey = yield* Effect.promise(() => Certificates.keyToPem(given.keys.privateKey))
      yield* roots.configure({ Provider: "consul", Config: { PrivateKey, RootCert: given.pem } })
      assert.isUndefined(Authority.refusal(yield* chain("web"), [given.pem]))
      const alone = yield* Effect.flip(roots.configure({ Provider: "consul", Config: { RootCert: given.pem } }))
      assert.include(alone.body, "PrivateKey and RootCert go together")
    }))
})
