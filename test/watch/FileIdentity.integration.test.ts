import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as Fs from "node:fs/promises"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as FileIdentity from "../../src/watch/FileIdentity.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Certificates from "../support/certificates.ts"
import { eventually } from "../support/sockets.ts"
import * as temporary from "../support/temporary.ts"

const issue = (authority: Certificates.Authority, name: string) =>
  Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service(name))] })

/** A folder with the identity of `web`, and who watches it. */
const start = Effect.fnUntraced(function*() {
  const folder = yield* temporary.folder
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const web = yield* Effect.promise(() => issue(authority, "web"))
  const files = FileIdentity.inFolder(folder)
  const put = (file: keyof typeof files, text: string) => Effect.promise(() => Fs.writeFile(files[file], text))
  yield* put("certFile", web.chainPem)
  yield* put("keyFile", web.keyPem)
  yield* put("rootsFile", authority.pem)
  const context = yield* Layer.build(
    SecureContexts.layer.pipe(Layer.provideMerge(FileIdentity.layer({ ...files, every: "10 millis" })))
  )
  const contexts = yield* SecureContexts.SecureContexts.pipe(Effect.provideContext(context))
  const leaf = yield* LeafCertificate.LeafCertificate.pipe(Effect.provideContext(context))
  const roots = yield* CaRoots.CaRoots.pipe(Effect.provideContext(context))
  return { authority, contexts, leaf, roots, put }
})

describe("FileIdentity", () => {
  it.live("is the service that the certificate names, in the trust domain of it", () =>
    Effect.gen(function*() {
      const { contexts, leaf, roots } = yield* start()
      assert.strictEqual(contexts.current().leaf.identity.service, "web")
      assert.strictEqual((yield* roots.get).trustDomain, Certificates.trustDomain)
      assert.strictEqual(leaf.latest(), contexts.current().leaf)
    }))

  it.live("does nothing while the files say the same", () =>
    Effect.gen(function*() {
      const { contexts, leaf } = yield* start()
      const before = contexts.current()
      const { answeredAt } = leaf.freshness()
      yield* eventually(() => (leaf.freshness().answeredAt ?? 0) > answeredAt! + 50)
      assert.strictEqual(contexts.current(), before)
    }))

  it.live("follows the files, roots first, then key, then certificate", () =>
    Effect.gen(function*() {
      const { authority, contexts, leaf, put } = yield* start()
      const next = yield* Effect.promise(() => Certificates.root("next"))
      const renewed = yield* Effect.promise(() => issue(next, "web"))
      yield* put("rootsFile", next.pem + authority.pem)
      yield* eventually(() => contexts.current().roots.roots.length === 2)
      assert.deepStrictEqual(contexts.current().roots.roots.map(({ active }) => active), [true, false])
      yield* put("keyFile", renewed.keyPem)
      yield* eventually(() => leaf.freshness().failures > 0)
      assert.include(leaf.freshness().lastError, "the key is not that of the certificate")
      const before = contexts.current()
      yield* put("certFile", renewed.chainPem)
      yield* eventually(() => contexts.current() !== before)
      assert.strictEqual(contexts.current().leaf.chainPem, renewed.chainPem)
      assert.strictEqual(leaf.freshness().failures, 0)
    }))

  it.live("says what is missing", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      const context = yield* Layer.build(
        FileIdentity.layer({ ...FileIdentity.inFolder(folder), every: "10 millis" })
      )
      const leaf = yield* LeafCertificate.LeafCertificate.pipe(Effect.provideContext(context))
      yield* eventually(() => leaf.freshness().lastError !== undefined)
      const error = yield* Effect.flip(Watched.readyWithin(leaf, "10 millis"))
      assert.include(error.message, "cert.pem")
      assert.include(error.message, "ENOENT")
    }))

  it.live("refuses files of which one is empty", () =>
    Effect.gen(function*() {
      const authority = yield* Effect.promise(() => Certificates.root("root"))
      const web = yield* Effect.promise(() => issue(authority, "web"))
      const outcome = (cert: string, key: string, root: string) => Result.isSuccess(FileIdentity.parse(cert, key, root))
      assert.deepStrictEqual([
        outcome(web.chainPem, web.keyPem, authority.pem),
        outcome("", web.keyPem, authority.pem),
        outcome(web.chainPem, "", authority.pem),
        outcome(web.chainPem, web.keyPem, "")
      ], [true, false, false, false])
    }))
})
