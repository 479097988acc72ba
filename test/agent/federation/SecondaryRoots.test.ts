import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Provider from "../../../src/agent/ca/Provider.ts"
import * as Requests from "../../../src/agent/ca/Requests.ts"
import * as SecondaryRoots from "../../../src/agent/federation/SecondaryRoots.ts"
import * as Roots from "../../../src/agent/Roots.ts"
import * as Store from "../../../src/agent/Store.ts"

const clusterId = "11111111-2222-3333-4444-555555555555"

/** `failures`: how many times the primary can not sign, from when it is set on. */
const datacenters = Effect.gen(function*() {
  const leafTtl = Duration.hours(1)
  const first = Store.make()
  const signing = { failures: 0 }
  const primary = yield* Roots.make({ store: first, clusterId, leafTtl })
  yield* primary.configure({ Config: { LeafCertTTL: "1h", IntermediateCertTTL: "3h" } })
  const store = Store.make()
  const roots = yield* SecondaryRoots.make({
    store,
    leafTtl,
    crossing: Effect.void,
    primary: {
      store: first,
      roots: {
        ...primary,
        signIntermediate: (csr) =>
          signing.failures-- > 0
            ? Effect.fail(new Provider.ProviderError({ why: "sealed" }))
            : primary.signIntermediate(csr)
      }
    }
  })
  /** Signing is none of the clock's business. */
  const another = Effect.suspend(() => store.changed(["roots"], store.indexOf(["roots"])))
  return { primary, roots, signing, another }
})

const keyOf = ({ list }: Roots.Roots) => list().Roots.find(({ Active }) => Active)?.SigningKeyID

describe("SecondaryRoots", () => {
  it.effect("renews its intermediate after half of its life", () =>
    Effect.gen(function*() {
      const { another, roots } = yield* datacenters
      const before = keyOf(roots)
      for (let hours = 0; hours < 6; hours += 2) {
        const renewed = yield* Effect.forkChild(another, { startImmediately: true })
        yield* TestClock.adjust("2 hours")
        yield* Fiber.join(renewed)
      }
      assert.notStrictEqual(keyOf(roots), before)
      const { csr } = yield* Requests.forLeaf("spiffe://x/ns/default/dc/dc2/svc/web")
      assert.include(yield* roots.signer().sign(csr), "BEGIN CERTIFICATE")
    }))

  it.effect("asks again for an intermediate that could not be signed", () =>
    Effect.gen(function*() {
      const { another, primary, roots, signing } = yield* datacenters
      const before = roots.signer().id
      const renewed = yield* Effect.forkChild(another, { startImmediately: true })
      signing.failures = 1
      yield* primary.rotate({ crossSign: true })
      for (; renewed.pollUnsafe() === undefined;) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      assert.notStrictEqual(roots.signer().id, before)
      assert.strictEqual(roots.list().ActiveRootID, primary.list().ActiveRootID)
    }).pipe(Effect.provide(Logger.layer([]))))

  it.effect("keeps its configuration where its intermediate can not be signed", () =>
    Effect.gen(function*() {
      const { roots, signing } = yield* datacenters
      const before = roots.configuration()
      signing.failures = 1
      const error = yield* Effect.flip(roots.configure({ Config: { PrivateKeyType: "rsa", PrivateKeyBits: 2048 } }))
      assert.include(JSON.stringify(error), "sealed")
      assert.deepStrictEqual(roots.configuration(), before)
    }))
})
