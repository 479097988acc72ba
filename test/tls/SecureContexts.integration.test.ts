import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Result, Stream, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as Certificates from "../support/certificates.ts"
import { handshake, material } from "../support/handshake.ts"
import { type Member, member } from "../support/mesh.ts"
import * as Turns from "../support/turns.ts"

/** Lives as long as the test. */
const contextsOf = (it: Member) => Effect.map(Layer.build(it.layer), Context.get(SecureContexts.SecureContexts))

/** The material in force once `expected` holds for it. */
const once = (contexts: SecureContexts.SecureContexts["Service"], expected: (it: SecureContexts.Material) => boolean) =>
  Stream.runHead(Stream.filter(contexts.changes, expected)).pipe(Effect.flatMap(Effect.fromOption))

describe("SecureContexts", () => {
  it.live("follow leaf and roots, each on its own", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const web = yield* member("web", ca)
      const contexts = yield* contextsOf(web)
      const first = contexts.current()

      const renewed = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      yield* SubscriptionRef.set(web.leaf, renewed)
      const second = yield* once(contexts, (it) => it.leaf === renewed)
      const rotated = Certificates.bundle(yield* Effect.promise(() => Certificates.root("next")), ca)
      yield* SubscriptionRef.set(web.roots, rotated)
      const third = yield* once(contexts, (it) => it.roots === rotated)

      assert.strictEqual(second.roots, first.roots)
      assert.strictEqual(third.leaf, renewed)
      assert.strictEqual(contexts.current(), third)
      assert.notStrictEqual(third.client, first.client)
    }))

  it.live("of services that hear of new roots at once are built in turns of the loop of their own", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const members = yield* Effect.forEach(["web", "api", "db", "shop"], (name) => member(name, ca))
      const all = yield* Effect.forEach(members, contextsOf)
      const rotated = Certificates.bundle(yield* Effect.promise(() => Certificates.root("next")), ca)
      const counted = yield* Turns.counting
      const seen = yield* Effect.forEach(
        all,
        (contexts) => Effect.forkChild(Effect.map(once(contexts, (it) => it.roots === rotated), () => counted.turn))
      )
      yield* Effect.forEach(members, ({ roots }) => SubscriptionRef.set(roots, rotated))
      const turns = yield* Effect.forEach(seen, Fiber.join)
      assert.lengthOf(new Set(turns), members.length)
    }))

  it.live("keep what they have when leaf and key do not fit, without printing the key", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const web = yield* member("web", ca)
      const contexts = yield* contextsOf(web)
      const good = contexts.current()
      const other = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      yield* SubscriptionRef.set(web.leaf, { ...good.leaf, keyPem: other.keyPem })
      yield* SubscriptionRef.set(web.leaf, { ...good.leaf, keyPem: Redacted.make("no key") })
      const renewed = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
      yield* SubscriptionRef.set(web.leaf, renewed)
      yield* once(contexts, (it) => it.leaf === renewed)
      const lines = (yield* TestConsole.logLines).join("\n")
      assert.include(lines, "The ones before stay in force")
      assert.notInclude(lines, "PRIVATE KEY")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("wait for leaf and roots that fit together", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const web = yield* member("web", ca)
      const good = yield* SubscriptionRef.get(web.leaf)
      yield* SubscriptionRef.set(web.leaf, { ...good, keyPem: Redacted.make("no key") })
      const building = yield* Effect.forkChild(contextsOf(web))
      yield* Effect.yieldNow
      yield* SubscriptionRef.set(web.leaf, good)
      const contexts = yield* Fiber.join(building)
      assert.strictEqual(contexts.current().leaf, good)
    }))

  it.live("send the whole chain, by TLS 1.2 and by TLS 1.3", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const signing = yield* Effect.promise(() => Certificates.intermediate(ca, "signing"))
      const issued = yield* Effect.promise(() => Certificates.issue(signing, { intermediates: [signing] }))
      const side = material(issued, Certificates.bundle(ca))
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const seen = yield* handshake(side, side, version)
        const verified = PeerVerification.dialler(seen.server, Certificates.service("web"), side)
        assert.isTrue(Result.isSuccess(verified), version)
        assert.isUndefined(seen.client.pathError, version)
      }
    }))
})
