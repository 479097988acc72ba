import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { X509Certificate } from "node:crypto"
import * as Provider from "../../src/agent/ca/Provider.ts"
import * as Leaves from "../../src/agent/Leaves.ts"
import * as Roots from "../../src/agent/Roots.ts"
import * as Store from "../../src/agent/Store.ts"

const clusterId = "11111111-2222-3333-4444-555555555555"

const authority = (leafTtl: Duration.Input = "72 hours") =>
  Effect.gen(function*() {
    const store = Store.make()
    const roots = yield* Roots.make({ store, clusterId, leafTtl: Duration.fromInputUnsafe(leafTtl) })
    const leaves = yield* Leaves.make({ store, roots, datacenter: "dc1" })
    return { store, roots, leaves }
  })

describe("Leaves", () => {
  it.effect("hands out the same leaf until it is renewed", () =>
    Effect.gen(function*() {
      const { leaves, roots } = yield* authority()
      const first = yield* leaves.get("web", {})
      const again = yield* leaves.get("web", {})
      assert.isFalse(first.cached)
      assert.isTrue(again.cached)
      assert.strictEqual(again.value.CertPEM, first.value.CertPEM)
      assert.strictEqual(again.index, first.index)
      assert.strictEqual(first.value.ServiceURI, `spiffe://${roots.trustDomain}/ns/default/dc/dc1/svc/web`)
    }))

  it.effect("renews between 60 and 90 percent of the life, and wakes who waits for it", () =>
    Effect.gen(function*() {
      const { leaves } = yield* authority("100 hours")
      const first = yield* leaves.get("web", {})
      const next = yield* Effect.forkChild(
        leaves.get("web", { index: BigInt(first.index), wait: Duration.hours(1000) }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("59 hours")
      assert.isUndefined(next.pollUnsafe())
      yield* TestClock.adjust("31 hours")
      const renewed = yield* Fiber.join(next)
      assert.isAbove(renewed.index, first.index)
      assert.notStrictEqual(renewed.value.PrivateKeyPEM, first.value.PrivateKeyPEM)
    }))

  it.effect("issues again when another root signs, with the certificate that vouches for it", () =>
    Effect.gen(function*() {
      const { leaves, roots } = yield* authority()
      const first = yield* leaves.get("web", {})
      const former = roots.list()
      const waiting = yield* Effect.forkChild(leaves.get("web", { index: BigInt(first.index) }), {
        startImmediately: true
      })
      yield* roots.rotate({ crossSign: true })
      const { value } = yield* Fiber.join(waiting)
      const [leaf, cross] = value.CertPEM.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem !== "")
      assert.isDefined(leaf)
      assert.isDefined(cross)
      const [formerRoot] = former.Roots
      assert.isDefined(formerRoot)
      assert.isTrue(new X509Certificate(leaf).checkIssued(new X509Certificate(cross)))
      assert.isTrue(new X509Certificate(cross).verify(new X509Certificate(formerRoot.RootCert).publicKey))
      // A read that does not wait sees it too.
      assert.strictEqual((yield* leaves.get("web", {})).value.CertPEM, value.CertPEM)
    }))

  it.effect("forgets a leaf that nobody asks for, and issues it again when somebody does", () =>
    Effect.gen(function*() {
      const { leaves, store } = yield* authority("100 hours")
      const before = yield* leaves.get("web", {})
      // Certificates are signed outside the test's clock: time moves on once the last one has been.
      const forgotten = Effect.gen(function*() {
        while (store.indexOf(["leaf:web"]) !== nobody) {
          yield* TestClock.adjust("10 hours")
          yield* Effect.promise(() => new Promise(setImmediate))
        }
      })
      const nobody = store.indexOf(["leaf:nobody"])
      assert.notStrictEqual(store.indexOf(["leaf:web"]), nobody)
      yield* forgotten
      const index = store.index()
      const after = yield* leaves.get("web", { index: BigInt(before.index) })
      assert.isFalse(after.cached)
      assert.isAbove(after.index, index)
    }))

  it.effect("keeps a leaf that is read or waited for", () =>
    Effect.gen(function*() {
      const { leaves } = yield* authority("100 hours")
      const { index } = yield* leaves.get("api", {})
      yield* leaves.get("web", {})
      const waiting = yield* Effect.forkChild(
        leaves.get("api", { index: BigInt(index) + 1_000_000n, wait: Duration.hours(2000) }),
        { startImmediately: true }
      )
      for (let hours = 0; hours < 1000; hours += 50) {
        yield* TestClock.adjust("50 hours")
        assert.isTrue((yield* leaves.get("web", {})).cached)
      }
      assert.isUndefined(waiting.pollUnsafe())
      assert.isTrue((yield* leaves.get("api", {})).cached)
    }))

  it.effect("refuses a name that is more than a segment, as Consul does", () =>
    Effect.gen(function*() {
      const { leaves, roots } = yield* authority()
      const refusal = yield* Effect.flip(leaves.get("a/b", {}))
      assert.strictEqual(
        refusal.body,
        `SPIFFE ID is not in the expected format: spiffe://${roots.trustDomain}/ns/default/dc/dc1/svc/a/b`
      )
    }))

  it.each([[0, 60], [1, 90], [0.5, 75]])(
    "draws %d as %d percent of a life",
    (share, percent) => assert.strictEqual(Leaves.renewAt(1000, 1000 + 3_600_000, share), 1000 + 36_000 * percent)
  )

  it.each([[0, 50], [1, 60]])(
    "draws %d as %d percent of a life of seconds",
    (share, percent) => assert.strictEqual(Leaves.renewAt(1000, 6000, share), 1000 + 50 * percent)
  )
})

/** Leaves under a root that can be told to refuse, and to be another one. */
const stubborn = Effect.gen(function*() {
  const { roots, store } = yield* authority("100 hours")
  let isRefusing = false
  let generation = 0
  const signer: Roots.Roots["signer"] = () => ({
    ...roots.signer(),
    id: String(generation),
    sign: (csr) => isRefusing ? Effect.fail(new Provider.ProviderError({ why: "sealed" })) : roots.signer().sign(csr)
  })
  const leaves = yield* Leaves.make({ store, roots: { ...roots, signer }, datacenter: "dc1" })
  return {
    leaves,
    refuse: (refuses: boolean) => {
      isRefusing = refuses
    },
    rotate: () => {
      generation++
      store.commit(() => [undefined, ["roots"]])
    }
  }
})

describe("Leaves, where the provider does not sign", () => {
  it.effect("serves the one before as long as it holds, and the next one as soon as it can be had", () =>
    Effect.gen(function*() {
      const { leaves, refuse, rotate } = yield* stubborn
      const first = yield* leaves.get("web", {})
      refuse(true)
      rotate()
      const meanwhile = yield* leaves.get("web", {})
      assert.strictEqual(meanwhile.value.CertPEM, first.value.CertPEM)
      const next = yield* Effect.forkChild(
        leaves.get("web", { index: BigInt(first.index), wait: Duration.hours(1000) }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(next.pollUnsafe())
      refuse(false)
      while (next.pollUnsafe() === undefined) {
        yield* TestClock.adjust("10 seconds")
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      assert.notStrictEqual((yield* Fiber.join(next)).value.CertPEM, first.value.CertPEM)
    }))

  it.effect("says why there is none, where there was none or it has expired", () =>
    Effect.gen(function*() {
      const { leaves, refuse } = yield* stubborn
      refuse(true)
      assert.strictEqual((yield* Effect.flip(leaves.get("api", {}))).body, "sealed")
      refuse(false)
      yield* leaves.get("web", {})
      refuse(true)
      // Keys are made outside the test's clock.
      for (let hours = 0; hours < 101; hours++) {
        yield* TestClock.adjust("1 hour")
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      assert.strictEqual((yield* Effect.flip(leaves.get("web", {}))).body, "sealed")
    }))
})

describe("Roots", () => {
  it.effect("trusts a rotated root for two leaf lifetimes", () =>
    Effect.gen(function*() {
      const { roots, store } = yield* authority("10 hours")
      const first = roots.list()
      const index = store.indexOf(["roots"])
      yield* roots.rotate({ crossSign: true })
      const during = roots.list()
      assert.isAbove(store.indexOf(["roots"]), index)
      assert.strictEqual(during.Roots.length, 2)
      assert.notStrictEqual(during.ActiveRootID, first.ActiveRootID)
      assert.deepStrictEqual(during.Roots.map(({ Active }) => Active), [false, true])
      assert.strictEqual(during.Roots[1]?.IntermediateCerts.length, 1)
      yield* TestClock.adjust("19 hours")
      assert.strictEqual(roots.list().Roots.length, 2)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(roots.list().Roots.map(({ ID }) => ID), [during.ActiveRootID])
    }))

  it.effect("does not vouch for the next root when told not to", () =>
    Effect.gen(function*() {
      const { roots } = yield* authority()
      yield* roots.configure({ Config: { PrivateKeyBits: 384 }, ForceWithoutCrossSigning: true })
      const active = roots.list().Roots.find(({ Active }) => Active)
      assert.isDefined(active)
      assert.strictEqual(active.PrivateKeyBits, 384)
      assert.deepStrictEqual(active.IntermediateCerts, [])
    }))

  it.effect("keeps its root when the configuration keeps the kind of key", () =>
    Effect.gen(function*() {
      const { roots } = yield* authority()
      const before = roots.list().ActiveRootID
      yield* roots.configure({ Provider: "consul", Config: { LeafCertTTL: "2h" } })
      assert.strictEqual(roots.list().ActiveRootID, before)
      assert.strictEqual(roots.configuration().Config["LeafCertTTL"], "2h")
      assert.deepStrictEqual(roots.signer().leafTtl, Duration.hours(2))
    }))

  it.effect.each(
    [
      [{ Provider: "foo" }, `could not initialize provider: unknown CA provider "foo"`],
      [
        { Config: { LeafCertTTL: "1s" } },
        "error configuring provider: leaf cert TTL must be greater or equal than 1h0m0s"
      ],
      [
        { Config: { LeafCertTTL: "x" } },
        "error configuring provider: error decoding config: 1 error(s) decoding:\n\n* error decoding 'LeafCertTTL': time: invalid duration \"x\""
      ]
    ] as const
  )("refuses the configuration %j", ([update, text]) =>
    Effect.gen(function*() {
      const { roots } = yield* authority()
      const refusal = yield* Effect.flip(roots.configure(update))
      assert.strictEqual(refusal.body, text)
    }))
})
